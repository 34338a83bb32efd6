/**
 * The stored values of the slice on show and of a few beside it, from which any window is drawn here at once,
 * level by level as the server would. What is not worth its bytes on this link or this device is not fetched.
 */

import { exactFrameAddress, request } from "./api.js";
import { readExactFrame } from "./exact-frame.js";
import { drawLevels } from "./grayscale.js";
import { ImageLoader } from "./image-loader.js";
import { dimensions } from "./slices.js";
import { isSubtracted, isWindowed, sameWindow } from "./windows.js";

const EXACT_FRAME = "application/vnd.filmless.exact-frame";
const STAYS_MS = 300;
const LARGEST_UNASKED = 1 << 20; // pixels of a frame that is fetched before anybody changes its window

export class ExactSlices {
  #loader;
  #timer = null;
  #canvas = document.createElement("canvas");
  #mapped = null; // { frame, window } that the canvas holds
  #isSparing;
  #largest;

  /**
   * `maxBytes` bounds what is kept; a frame may take a third of it. `isSparing`: only what a drag needs is
   * fetched. `onArrival(address)` is told of what has come; what fails is not missed.
   */
  constructor({ maxBytes, isSparing, onArrival, load = loadExactFrame }) {
    this.#isSparing = isSparing;
    this.#largest = maxBytes / 12;
    this.#loader = new ImageLoader({ maxBytes, maxInFlight: 2, onArrival, load });
  }

  /** The stored values of a slice, or null where they are not here. */
  of(instance, slice) {
    return this.#loader.cache.get(exactFrameAddress(instance, slice.frameNumber)) ?? null;
  }

  /** Want slices, `{ instance, slice }`, the first one most; after it has stayed on show, and small ones only. */
  want(places) {
    clearTimeout(this.#timer);
    const worthy = places.filter(({ slice }) => this.#isShowable(slice) && pixels(slice) <= LARGEST_UNASKED);
    if (this.#isSparing || worthy[0] !== places[0]) return;
    this.#timer = setTimeout(() => this.#loader.want(worthy.map(addressOf)), STAYS_MS);
  }

  /** Want a slice now: its window is being changed. */
  wantNow(place) {
    clearTimeout(this.#timer);
    if (this.#isShowable(place.slice)) this.#loader.want([addressOf(place)]);
  }

  /** Want nothing any more. */
  forget() {
    clearTimeout(this.#timer);
    this.#loader.want([]);
  }

  /** A slice's stored values as a canvas, under a window, or as the server shows them unasked (null). */
  draw(frame, window) {
    if (this.#mapped?.frame === frame && sameWindow(this.#mapped.window, window)) return this.#canvas;
    const { width, height } = frame;
    this.#canvas.width = width;
    this.#canvas.height = height;
    const context = this.#canvas.getContext("2d", { alpha: false });
    const image = context.createImageData(width, height);
    drawLevels(frame, window, new Uint32Array(image.data.buffer));
    context.putImageData(image, 0, 0);
    this.#mapped = { frame, window };
    return this.#canvas;
  }

  #isShowable(slice) {
    const count = pixels(slice);
    return isWindowed(slice) && !isSubtracted(slice) && !hasMore(slice) && count > 0 && count <= this.#largest;
  }
}

/** Whether the server lays over the grays what is not in the stored values: overlays, or colours of a palette. */
function hasMore({ dataset }) {
  return Object.keys(dataset).some((tag) => /^60[01][0-9A-F]0010$/.test(tag) || tag === "00281101");
}

function pixels(slice) {
  const { columns, rows } = dimensions(slice);
  return (columns ?? 0) * (rows ?? 0);
}

function addressOf({ instance, slice }) {
  return exactFrameAddress(instance, slice.frameNumber);
}

async function loadExactFrame(address, signal) {
  return readExactFrame(await request(address, EXACT_FRAME, (response) => response.arrayBuffer(), signal));
}
