"""Which images are fetched, in which order, and how many are kept."""

from __future__ import annotations

LOADER = """
  const { ImageLoader } = await import('/image-loader.js');
  const flights = new Map(), begun = [], aborted = [], arrived = [];
  const load = (address, signal) => new Promise((resolve, reject) => {
    begun.push(address);
    signal.addEventListener('abort', () => { aborted.push(address); reject(new Error('aborted')); });
    const land = () => resolve({ width: 10, height: 10, close() {} });
    flights.set(address, { land, fail: () => reject(new Error('bad')) });
  });
  const settled = () => new Promise((resolve) => setTimeout(resolve));
  const wantAndLand = async (addresses) => {
    loader.want(addresses);
    flights.get(addresses[0]).land();
    await settled();
  };
  const loader = new ImageLoader({ maxBytes: 4000, load, onArrival: (address) => arrived.push(address) });
"""


def test_the_image_on_show_is_fetched_alone_and_then_four_neighbours_at_a_time(evaluate):
    body = """
      loader.want(['a', 'b', 'c', 'd', 'e', 'f']);
      const alone = [...begun];
      flights.get('a').land();
      await settled();
      const together = begun.slice(1);
      flights.get('c').land();
      await settled();
      return [alone, together, begun.at(-1), loader.inFlight, arrived];
    """
    assert evaluate(LOADER + body) == [["a"], ["b", "c", "d", "e"], "f", 4, ["a", "c"]]


def test_what_is_no_longer_wanted_is_aborted(evaluate):
    body = """
      await wantAndLand(['a', 'b', 'c', 'd']);
      loader.want(['a', 'c', 'x']);
      await settled();
      return [aborted, begun, arrived];
    """
    assert evaluate(LOADER + body) == [["b", "d"], ["a", "b", "c", "d", "x"], ["a"]]


def test_the_image_on_show_does_not_wait_behind_its_neighbours(evaluate):
    body = """
      await wantAndLand(['a', 'b', 'c', 'd', 'e']);
      loader.want(['x', 'a', 'b', 'c', 'd', 'e']);
      return [aborted, begun.at(-1), loader.inFlight];
    """
    assert evaluate(LOADER + body) == [["e"], "x", 4]


def test_while_a_window_is_dragged_one_request_flies_and_the_last_value_wins(evaluate):
    body = """
      for (const address of ['w1', 'w2', 'w3', 'w4']) loader.wantLatest(address);
      const before = [...begun];
      flights.get('w1').land();
      await settled();
      return [before, begun, aborted];
    """
    assert evaluate(LOADER + body) == [["w1"], ["w1", "w4"], []]


def test_a_failure_is_told_once_and_forgiven_on_request(evaluate):
    body = """
      loader.want(['a']);
      flights.get('a').fail();
      await settled();
      loader.want(['a']);
      const tries = begun.length, kind = loader.failure('a').kind;
      loader.forgive('a');
      loader.want(['a']);
      return [tries, kind, begun.length, arrived];
    """
    assert evaluate(LOADER + body) == [1, "image.damaged", 2, ["a"]]


def test_the_cache_stays_within_its_bytes_and_keeps_what_is_on_the_stage(evaluate):
    body = """
      const { ImageCache } = await import('/image-loader.js');
      const closed = [], cache = new ImageCache(1200);
      const put = (name) => cache.put(name, { width: 10, height: 10, close: () => closed.push(name) });
      ['a', 'b', 'c'].forEach(put);
      cache.pinned = 'a';
      cache.get('b');
      ['d', 'e'].forEach(put);
      return [closed, cache.bytes, ['a', 'b', 'c', 'd', 'e'].filter((name) => cache.has(name))];
    """
    assert evaluate(body) == [["c", "b"], 1200, ["a", "d", "e"]]


def test_neighbours_are_fetched_outward_more_of_them_ahead(evaluate):
    body = """
      const { outwardFrom, forwardFrom } = await import('/image-loader.js');
      return [outwardFrom(5, 100, 1, 7), outwardFrom(5, 100, -1, 4), outwardFrom(0, 3, 1, 50)];
    """
    assert evaluate(body) == [[5, 6, 7, 4, 8, 9, 3], [5, 4, 3, 6], [0, 1, 2]]


def test_a_stack_that_plays_is_fetched_forward_and_around(evaluate):
    assert evaluate("return (await import('/image-loader.js')).forwardFrom(3, 5, 4);") == [3, 4, 0, 1]


EXACT = """
  const { ExactSlices } = await import('/exact-slices.js');
  const begun = [];
  const load = async (address) => { begun.push(address); return { width: 512, height: 512, close() {} }; };
  const of = (maxBytes, isSparing) => new ExactSlices({ maxBytes, isSparing, onArrival() {}, load });
  const value = (number) => ({ Value: [number] });
  const place = (instance, side, more = {}) => {
    const dataset = { '00280002': value(1), '00280010': value(side), '00280011': value(side), ...more };
    return { instance, slice: { frameNumber: 1, dataset } };
  };
  const later = () => new Promise((resolve) => setTimeout(resolve, 400));
"""


def test_stored_values_are_fetched_where_the_slice_stays_and_is_small(evaluate):
    body = """
      const exact = of(192 * 2 ** 20, false);
      exact.want([place('passing', 512)]);
      exact.want([place('a', 512), place('large', 2048), place('b', 512)]);
      await later();
      exact.want([place('large', 2048), place('c', 512)]);
      await later();
      return begun;
    """
    assert evaluate(EXACT + body) == ["a/frames/1/exact", "b/frames/1/exact"]


def test_of_a_slow_link_and_a_large_image_stored_values_come_when_the_window_is_changed(evaluate):
    body = """
      const sparing = of(192 * 2 ** 20, true), phone = of(24 * 2 ** 20, false);
      sparing.want([place('a', 512)]);
      await later();
      sparing.wantNow(place('large', 2048));
      phone.wantNow(place('too-large', 2048));
      phone.wantNow(place('with-overlay', 512, { 60020010: value(512) }));
      phone.wantNow(place('with-palette', 512, { '00281101': value(16) }));
      return begun;
    """
    assert evaluate(EXACT + body) == ["large/frames/1/exact"]


def test_parts_of_an_answer_are_taken_apart_wherever_it_is_cut(evaluate):
    body = r"""
      const { PartReader } = await import('/previews.js');
      const head = (name) => `--b1\r\nContent-Type: image/jpeg\r\nContent-Location: ${name}\r\n\r\n`;
      const part = (name, body) => head(name) + body + '\r\n';
      const parts = part('/x/1', 'one\r\n-') + part('/x/2', '') + part('/x/3', '--b');
      const message = new TextEncoder().encode(parts + '--b1--\r\n');
      const read = (step) => {
        const reader = new PartReader('multipart/related; type="image/jpeg"; boundary="b1"'), found = [];
        for (let at = 0; at < message.length; at += step) {
          for (const { location, body } of reader.take(message.subarray(at, at + step))) {
            found.push([location, new TextDecoder().decode(body)]);
          }
        }
        return found;
      };
      return [1, 2, 7, 50, 1000].map(read);
    """
    assert evaluate(body) == [[["/x/1", "one\r\n-"], ["/x/2", ""], ["/x/3", "--b"]]] * 5
