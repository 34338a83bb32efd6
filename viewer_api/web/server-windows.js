/**
 * The windows that the server made for slices whose file has none. It is asked for that of the slice on show
 * only, and not before that stays for a moment.
 */

import { retrievePresentation } from "./api.js";
import { defaultWindow, isWindowed, windowOfServer } from "./windows.js";

const STAYS_MS = 200;
const MOST_KEPT = 10_000;

export class ServerWindows {
  #known = new Map(); // address of the frame -> window, or null where there is none
  #timer = null;
  #flight = null; // AbortController
  #onArrival;
  #retrieve;

  /** `onArrival()` is called when a window has become known. */
  constructor(onArrival, retrieve = retrievePresentation) {
    this.#onArrival = onArrival;
    this.#retrieve = retrieve;
  }

  /** The window with which the server shows a slice unasked, or null where that is not known (yet). */
  of(instance, slice) {
    return defaultWindow(slice) ?? this.#known.get(key(instance, slice)) ?? null;
  }

  /** Ask for the window of the slice that is on show now, unless it is known, or is none. */
  want(instance, slice) {
    this.forget();
    if (!isWindowed(slice) || defaultWindow(slice) !== null || this.#known.has(key(instance, slice))) return;
    this.#timer = setTimeout(() => this.#ask(instance, slice), STAYS_MS);
  }

  /** Ask for nothing any more. */
  forget() {
    clearTimeout(this.#timer);
    this.#flight?.abort();
  }

  async #ask(instance, slice) {
    const flight = new AbortController();
    this.#flight = flight;
    const presentation = await this.#retrieve(instance, slice.frameNumber, flight.signal).catch(() => null);
    // Without an answer nothing is lost but the numbers of the window; who looks at the slice again asks again.
    if (presentation === null || flight.signal.aborted) return;
    if (this.#known.size >= MOST_KEPT) this.#known.clear();
    this.#known.set(key(instance, slice), windowOfServer(presentation.default_voi));
    this.#onArrival();
  }
}

function key(instance, { frameNumber }) {
  return `${instance}/${frameNumber}`;
}
