/**
 * Fetches and decodes rendered frames: a few at a time, the needed one first, what is no longer wanted aborted,
 * what was decoded kept within a bound of bytes.
 */

import { RequestFailure, request } from "./api.js";

/** Cached images, the least recently used dropped first when they outgrow `maxBytes`. */
export class ImageCache {
  #images = new Map();
  #bytes = 0;

  constructor(maxBytes) {
    this.maxBytes = maxBytes;
    this.pinned = null; // the address on the stage, which must not be closed under it
  }

  get(address) {
    const image = this.#images.get(address);
    if (image === undefined) return undefined;
    this.#images.delete(address);
    this.#images.set(address, image);
    return image;
  }

  has(address) {
    return this.#images.has(address);
  }

  put(address, image) {
    this.#drop(address);
    this.#images.set(address, image);
    this.#bytes += sizeBytes(image);
    for (const oldest of this.#images.keys()) {
      if (this.#bytes <= this.maxBytes) break;
      if (oldest !== address && oldest !== this.pinned) this.#drop(oldest);
    }
  }

  get bytes() {
    return this.#bytes;
  }

  #drop(address) {
    const image = this.#images.get(address);
    if (image === undefined) return;
    this.#images.delete(address);
    this.#bytes -= sizeBytes(image);
    image.close();
  }
}

export class ImageLoader {
  #wanted = [];
  #flights = new Map(); // address -> AbortController
  #failures = new Map(); // address -> RequestFailure
  #limit = 1;

  /** `onArrival(address)` is told of every image and of every failure. */
  constructor({ maxBytes, maxInFlight = 4, onArrival, load = loadImage }) {
    this.cache = new ImageCache(maxBytes);
    this.maxInFlight = maxInFlight;
    this.onArrival = onArrival;
    this.load = load;
  }

  get inFlight() {
    return this.#flights.size;
  }

  failure(address) {
    return this.#failures.get(address) ?? null;
  }

  /** Forget that this one failed, so that it is asked for again when wanted. */
  forgive(address) {
    this.#failures.delete(address);
  }

  /** Want these and nothing else, the first one most; requests for others are aborted. */
  want(addresses) {
    this.#wanted = addresses;
    this.#limit = this.maxInFlight;
    const wanted = new Set(addresses);
    for (const address of this.#flights.keys()) if (!wanted.has(address)) this.#abort(address);
    this.#makeRoomForFirst();
    this.#fill();
  }

  /**
   * Want one image that changes faster than it can be fetched (a window being dragged): one request at a
   * time, which is left to land so that something is seen on a slow link; then the latest.
   */
  wantLatest(address) {
    if (this.#limit !== 1) for (const flying of this.#flights.keys()) this.#abort(flying);
    this.#wanted = [address];
    this.#limit = 1;
    this.#fill();
  }

  /** Start what is missing. The image on show has the line to itself: its neighbours follow when it has landed. */
  #fill() {
    for (const address of this.#wanted) {
      if (this.#flights.size >= this.#limit) return;
      if (this.#isMissing(address)) this.#start(address);
      if (address === this.#wanted[0] && this.#flights.has(address)) return;
    }
  }

  #isMissing(address) {
    return !this.cache.has(address) && !this.#failures.has(address) && !this.#flights.has(address);
  }

  /** The image on show does not queue behind its neighbours: the least wanted of them gives way. */
  #makeRoomForFirst() {
    const [first] = this.#wanted;
    if (first === undefined || !this.#isMissing(first) || this.#flights.size < this.#limit) return;
    const flying = this.#wanted.filter((address) => this.#flights.has(address));
    this.#abort(flying[flying.length - 1]);
  }

  #abort(address) {
    this.#flights.get(address).abort();
    this.#flights.delete(address);
  }

  async #start(address) {
    const controller = new AbortController();
    this.#flights.set(address, controller);
    try {
      const image = await this.load(address, controller.signal);
      if (controller.signal.aborted) return image.close();
      this.cache.put(address, image);
    } catch (error) {
      if (controller.signal.aborted) return undefined;
      this.#failures.set(address, error instanceof RequestFailure ? error : new RequestFailure("image.damaged"));
    }
    this.#flights.delete(address);
    this.onArrival(address);
    return this.#fill();
  }
}

/**
 * The order in which a stack of `count` is fetched from `index`: that one, then outward, two ahead in the
 * direction of travel for one behind; at most `limit`.
 */
export function outwardFrom(index, count, direction, limit) {
  const order = [index];
  const ahead = direction < 0 ? -1 : 1;
  const offer = (candidate) => {
    if (candidate >= 0 && candidate < count && order.length < limit) order.push(candidate);
  };
  for (let step = 1; order.length < Math.min(limit, count) && step <= count; step += 1) {
    offer(index + ahead * (2 * step - 1));
    offer(index + ahead * 2 * step);
    offer(index - ahead * step);
  }
  return order;
}

/** The order while a stack of `count` plays: from `index` on and around, at most `limit`. */
export function forwardFrom(index, count, limit) {
  return Array.from({ length: Math.min(limit, count) }, (_, step) => (index + step) % count);
}

async function loadImage(address, signal) {
  return createImageBitmap(await request(address, "image/jpeg", (response) => response.blob(), signal));
}

function sizeBytes({ width, height }) {
  return width * height * 4;
}
