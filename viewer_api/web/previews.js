/**
 * Small pictures of all frames of a series, in one answer: on a slow link the whole stack can be scrolled
 * through before its images are there.
 */

import { request } from "./api.js";

const MULTIPART = 'multipart/related; type="image/jpeg"';
const MOST_BYTES = 8 * 1024 * 1024;
const MOST_DECODED = 24;
const LINE_END = [13, 10];

export class Previews {
  #pictures = new Map(); // path of the frame -> Blob
  #decoded = new Map(); // path of the frame -> ImageBitmap, the last ones
  #address = null;
  #flight = null; // AbortController
  #onArrival;

  /** `onArrival()` is called when a picture can be had that could not before. */
  constructor(onArrival) {
    this.#onArrival = onArrival;
  }

  /** Fetch the pictures of a series, unless that was done; those of another one are let go. */
  async load(address) {
    if (address === this.#address) return;
    this.forget();
    this.#address = address;
    const flight = new AbortController();
    this.#flight = flight;
    // Without them nothing is lost but the wait for the images themselves.
    await request(address, MULTIPART, (response) => this.#read(response, flight.signal), flight.signal).catch(() => {});
  }

  /** Let go of everything. */
  forget() {
    this.#flight?.abort();
    this.#address = null;
    this.#pictures.clear();
    for (const image of this.#decoded.values()) image.close();
    this.#decoded.clear();
  }

  /** The picture of a frame, or null; where it still has to be decoded, that is told as an arrival. */
  of(instance, { frameNumber }) {
    const path = `${instance}/frames/${frameNumber}/rendered`;
    const image = this.#decoded.get(path);
    if (image === undefined && this.#pictures.has(path)) this.#decode(path);
    return image ?? null;
  }

  async #decode(path) {
    const image = await createImageBitmap(this.#pictures.get(path)).catch(() => null);
    if (image === null || !this.#pictures.has(path)) return;
    this.#decoded.set(path, image);
    const [oldest] = this.#decoded.keys();
    if (this.#decoded.size > MOST_DECODED) this.#decoded.delete(oldest); // it may be on the stage: not closed
    this.#onArrival();
  }

  async #read(response, signal) {
    const parts = new PartReader(response.headers.get("Content-Type") ?? "");
    let kept = 0;
    for await (const { location, body } of readParts(response.body.getReader(), parts)) {
      kept += body.length;
      if (signal.aborted || kept > MOST_BYTES) return;
      this.#pictures.set(new URL(location, document.baseURI).pathname, new Blob([body], { type: "image/jpeg" }));
    }
    this.#onArrival();
  }
}

async function* readParts(reader, parts) {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield* parts.take(value);
  }
}

/** Takes a multipart message apart as it comes: `take(bytes)` gives the parts that are complete. */
export class PartReader {
  #boundary;
  #rest = new Uint8Array(0);

  constructor(contentType) {
    const [, quoted, plain] = /boundary=(?:"([^"]+)"|([^;\s]+))/.exec(contentType) ?? [];
    this.#boundary = new TextEncoder().encode(`\r\n--${quoted ?? plain}`);
    this.#rest = Uint8Array.from(LINE_END); // what comes before the first boundary's line
  }

  *take(bytes) {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    let begin = 0;
    for (;;) {
      const next = find(all, this.#boundary, begin);
      if (next < 0) break;
      const part = readPart(all.subarray(begin, next));
      if (part !== null) yield part;
      begin = next + this.#boundary.length;
    }
    this.#rest = all.slice(begin);
  }
}

/** Head and body of a part; null for what comes before the first one. */
function readPart(bytes) {
  const end = find(bytes, Uint8Array.of(...LINE_END, ...LINE_END), 0);
  if (end < 0) return null;
  const [, location] = /^content-location:\s*(\S+)/im.exec(new TextDecoder().decode(bytes.subarray(0, end))) ?? [];
  return location === undefined ? null : { location, body: bytes.slice(end + 4) };
}

function find(bytes, wanted, from) {
  for (let at = bytes.indexOf(wanted[0], from); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    if (at + wanted.length > bytes.length) return -1;
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}
