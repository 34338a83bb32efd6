/** Playing a stack: one slice after the other at a rate, waiting where an image is not there yet. */

export const RATES = [2, 5, 8, 10, 15, 20, 25, 30, 50, 60];
const DEFAULT_RATE = 10;

export class Cine {
  #viewport;
  #onChange;
  #timer = null;
  #rate = DEFAULT_RATE;
  isLoop = false; // the stack is a loop, made for playing

  constructor(viewport, onChange) {
    this.#viewport = viewport;
    this.#onChange = onChange;
  }

  get isPlaying() {
    return this.#timer !== null;
  }

  /** Slices each second. */
  get rate() {
    return this.#rate;
  }

  set rate(value) {
    this.#rate = value;
    if (this.isPlaying) this.#schedule();
  }

  /** Take the rate that a stack's device asks for, as the nearest that can be chosen. */
  load({ frameRate, isLoop }) {
    const distance = (candidate) => Math.abs(Math.log(candidate / (frameRate ?? DEFAULT_RATE)));
    this.#rate = RATES.reduce((best, candidate) => (distance(candidate) < distance(best) ? candidate : best));
    this.isLoop = isLoop;
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else if (this.#viewport.count > 1) this.#play();
  }

  pause() {
    if (!this.isPlaying) return;
    clearInterval(this.#timer);
    this.#timer = null;
    this.#viewport.isPlaying = false;
    this.#onChange();
  }

  #play() {
    this.#schedule();
    this.#viewport.isPlaying = true;
    this.#onChange();
  }

  #schedule() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#advance(), 1000 / this.#rate);
  }

  #advance() {
    if (this.#viewport.isNextReady) this.#viewport.goTo((this.#viewport.index + 1) % this.#viewport.count);
  }
}
