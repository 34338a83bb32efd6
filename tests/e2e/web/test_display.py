"""Windows, and where an image lies on the stage."""

from __future__ import annotations

import pytest

from tests.e2e.web.modules import attribute


def test_the_presets_are_those_that_hospitals_ask_for(evaluate):
    presets = evaluate("return (await import('/windows.js')).CT_PRESETS;")
    assert [(preset["center"], preset["width"]) for preset in presets] == [
        *[(-600, 1500), (40, 80), (480, 2500), (40, 350)],
        *[(40, 350), (300, 600), (45, 300), (90, 350)],
    ]


def test_the_files_windows_are_read_with_their_function_and_explanation(evaluate):
    dataset = {
        "00281050": attribute("DS", 40, 300, 1),
        "00281051": attribute("DS", 400, 0.5, 0),
        "00281055": attribute("LO", "MEDIASTINUM"),
    }
    windows = evaluate("return (await import('/windows.js')).fileWindows({ dataset: given[0] });", dataset)
    assert windows == [
        {"center": 40, "width": 400, "shape": "linear", "explanation": "MEDIASTINUM"},
        {"center": 300, "width": 0.5, "shape": "linear-exact", "explanation": ""},
    ]


def test_the_files_windows_are_not_those_of_an_angiogram_less_its_mask(evaluate):
    dataset = {
        "00281050": attribute("DS", 2000),
        "00281051": attribute("DS", 4000),
        "00281090": attribute("CS", "SUB"),
        "00286100": attribute("SQ", {"00286101": attribute("CS", "AVG_SUB")}),
    }
    windows = "return (await import('/windows.js')).fileWindows({ dataset: given[0] }).length;"
    assert evaluate(windows, dataset) == 0
    assert evaluate(windows, {**dataset, "00281090": attribute("CS", "NAT")}) == 1


def test_a_table_of_the_file_comes_before_its_window(evaluate):
    dataset = {"00281050": attribute("DS", 40), "00281051": attribute("DS", 400)}
    body = """
      const { defaultWindow } = await import('/windows.js');
      return [given[0], given[1]].map((dataset) => defaultWindow({ dataset, frameNumber: 1 })?.width ?? null);
    """
    assert evaluate(body, dataset, dataset | {"00283010": attribute("SQ", {})}) == [400, None]


SERVER_WINDOWS = """
  const { ServerWindows } = await import('/server-windows.js');
  const asked = [], arrived = [];
  const retrieve = async (...frame) => { asked.push(frame.slice(0, 2)); return given[1]; };
  const windows = new ServerWindows(() => arrived.push(1), retrieve);
  const slice = { dataset: given[0], frameNumber: 3 };
  const stay = () => new Promise((resolve) => setTimeout(resolve, 400));
"""
GRAY = {"00280002": attribute("US", 1), "00280004": attribute("CS", "MONOCHROME2")}
BY_SERVER = {"default_voi": {"center": 99.5, "width": 20, "function": "LINEAR_EXACT", "explanation": ""}}


def test_the_server_tells_its_window_of_a_slice_that_has_none(evaluate):
    body = """
      const before = windows.of('/i', slice);
      windows.want('/i', slice);
      await stay();
      windows.want('/i', slice);
      await stay();
      return [before, windows.of('/i', slice), windows.of('/other', slice), asked, arrived.length];
    """
    window = {"center": 99.5, "width": 20, "shape": "linear-exact"}
    assert evaluate(SERVER_WINDOWS + body, GRAY, BY_SERVER) == [None, window, None, [["/i", 3]], 1]


def test_the_server_is_not_asked_for_slices_that_pass_or_have_a_window_or_colours(evaluate):
    body = """
      windows.want('/passes', slice);
      windows.want('/stays', slice);
      await stay();
      const of = (dataset) => windows.want('/i', { dataset, frameNumber: 1 });
      of({ ...given[0], '00281050': { vr: 'DS', Value: [40] }, '00281051': { vr: 'DS', Value: [400] } });
      of({ '00280002': { vr: 'US', Value: [3] } });
      await stay();
      windows.want('/left', slice);
      windows.forget();
      await stay();
      return asked;
    """
    assert evaluate(SERVER_WINDOWS + body, GRAY, BY_SERVER) == [["/stays", 3]]


def test_a_table_of_the_server_is_no_window(evaluate):
    body = """
      windows.want('/i', slice);
      await stay();
      return [windows.of('/i', slice), asked.length];
    """
    table = {"default_voi": {"first_value": 0, "bits_per_entry": 8, "explanation": "", "entries": "AAA="}}
    assert evaluate(SERVER_WINDOWS + body, GRAY, table) == [None, 1]


@pytest.mark.parametrize(
    ("start", "dx", "dy", "center", "width"),
    [
        ((40, 400), 300, 0, 40, 800),
        ((40, 400), 0, -150, -160, 400),
        ((40, 400), -9000, 0, 40, 1),
        ((2.5, 5), 30, 30, 3.0, 5.5),
    ],
)
def test_a_drag_changes_a_window_in_proportion_to_its_width(evaluate, start, dx, dy, center, width):
    body = """
      const { draggedWindow } = await import('/windows.js');
      const [center, width, dx, dy] = given;
      return draggedWindow({ center, width, shape: 'linear' }, dx, dy);
    """
    changed = evaluate(body, *start, dx, dy)
    assert (changed["center"], changed["width"]) == pytest.approx((center, width))


@pytest.mark.parametrize("is_inverted", [False, True])
def test_the_preview_of_a_window_is_what_the_window_would_show(evaluate, is_inverted):
    """A wider window at the same center: what was black becomes a dark gray, the middle stays."""
    body = """
      const { previewTable } = await import('/windows.js');
      const table = previewTable({ center: 100, width: 100 }, { center: 100, width: 200 }, given[0]);
      return [0, 127, 255].map((gray) => table[gray]);
    """
    black, middle, white = evaluate(body, is_inverted)
    assert (black, white) == (64, 191)
    assert middle in (127, 128)


def test_zooming_keeps_the_point_under_the_fingers(evaluate):
    body = """
      const { zoomedAbout, INITIAL_VIEW } = await import('/geometry.js');
      const view = zoomedAbout({ ...INITIAL_VIEW, panX: 30, panY: -10 }, 2.5, 120, 80);
      return [(120 - view.panX) / view.zoom, (80 - view.panY) / view.zoom];
    """
    assert evaluate(body) == pytest.approx([90, 90])


@pytest.mark.parametrize(
    ("stage", "columns", "rows", "pixel", "expected"),
    [
        ((800, 600), 512, 512, (1, 1), None),
        ((400, 400), 2048, 1024, (1, 1), {"width": 512, "height": 256}),
        ((400, 400), 1024, 1024, (2, 1), {"width": 256, "height": 512}),
    ],
)
def test_no_more_pixels_are_asked_for_than_the_stage_shows_or_the_image_has(
    evaluate, stage, columns, rows, pixel, expected
):
    body = """
      const { displaySize, requestedSize, INITIAL_VIEW } = await import('/geometry.js');
      const [stage, columns, rows, pixel] = given;
      const image = displaySize(columns, rows, { row: pixel[0], column: pixel[1] });
      return requestedSize({ width: stage[0], height: stage[1] }, image, INITIAL_VIEW, 1);
    """
    assert evaluate(body, stage, columns, rows, pixel) == expected


@pytest.mark.parametrize(("mm_per_pixel", "expected"), [(0.5, 50), (1, 100), (0.05, 5), (0.02, 2)])
def test_the_ruler_has_a_round_length_that_fits(evaluate, mm_per_pixel, expected):
    assert (
        evaluate("return (await import('/geometry.js')).rulerLength(given[0], 140);", mm_per_pixel)
        == expected
    )
