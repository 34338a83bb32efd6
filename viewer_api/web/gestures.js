/**
 * From pointers, wheel and double taps to what they mean: scroll, window, pan, zoom, reset.
 *
 * Wheel always scrolls (with Ctrl, or a trackpad pinch, it zooms). The left button and one finger do what the
 * chosen tool says, the right button windows, the middle one pans, two fingers zoom and pan.
 */

const WHEEL_STEP = 60; // CSS pixels of wheel travel for one image
const SCROLL_TRAVEL = { fewest: 4, most: 24 }; // CSS pixels of drag for one image
const TAP = { travel: 12, apart_ms: 350 };
const BUTTON_TOOLS = { 1: "pan", 2: "window" };

/**
 * Listen on `target`. `meaning` has the functions `tool()`, `count()`, `scroll(steps)`, `startWindow()`,
 * `window(dx, dy)` (from where the drag began), `endWindow()`, `pan(dx, dy)`, `zoom(factor, x, y)` (from the
 * centre of the target), `reset()`.
 */
export class Gestures {
  #target;
  #meaning;
  #pointers = new Map(); // pointerId -> { x, y }
  #drag = null; // { tool, startX, startY, scrolled }
  #travel = 0;
  #wheel = 0;
  #lastTap = { time: -Infinity, x: 0, y: 0 };

  constructor(target, meaning) {
    this.#target = target;
    this.#meaning = meaning;
    target.addEventListener("pointerdown", (event) => this.#down(event));
    target.addEventListener("pointermove", (event) => this.#move(event));
    target.addEventListener("pointerup", (event) => this.#up(event));
    target.addEventListener("pointercancel", (event) => this.#up(event));
    target.addEventListener("wheel", (event) => this.#turnWheel(event), { passive: false });
    target.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  #down(event) {
    if (event.target.closest("a, button")) return; // a captured pointer would take the click from it
    this.#target.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (this.#pointers.size === 1) this.#startDrag(event);
    else this.#endDrag();
    if (event.button === 1) event.preventDefault(); // no autoscroll
  }

  #startDrag(event) {
    const tool = BUTTON_TOOLS[event.button] ?? this.#meaning.tool();
    this.#travel = 0;
    this.#drag = { tool, startX: event.clientX, startY: event.clientY, scrolled: 0 };
    if (tool === "window") this.#meaning.startWindow();
  }

  #move(event) {
    const previous = this.#pointers.get(event.pointerId);
    if (previous === undefined) return;
    const current = { x: event.clientX, y: event.clientY };
    if (this.#pointers.size === 2) this.#pinch(event.pointerId, previous, current);
    this.#pointers.set(event.pointerId, current);
    this.#travel += Math.abs(current.x - previous.x) + Math.abs(current.y - previous.y);
    if (this.#drag !== null) this.#continueDrag(previous, current);
  }

  #continueDrag(previous, current) {
    const { tool, startX, startY } = this.#drag;
    if (tool === "window") this.#meaning.window(current.x - startX, current.y - startY);
    else if (tool === "scroll") this.#scrollTo(current.y - startY);
    else this.#meaning.pan(current.x - previous.x, current.y - previous.y);
  }

  /** A drag over most of the stage passes the whole stack, but a short stack does not fly by. */
  #scrollTo(dy) {
    const perImage = (this.#target.clientHeight * 0.8) / Math.max(1, this.#meaning.count());
    const travel = Math.min(SCROLL_TRAVEL.most, Math.max(SCROLL_TRAVEL.fewest, perImage));
    const steps = Math.trunc(dy / travel);
    if (steps !== this.#drag.scrolled) this.#meaning.scroll(steps - this.#drag.scrolled);
    this.#drag.scrolled = steps;
  }

  #pinch(pointerId, previous, current) {
    const [other] = [...this.#pointers].filter(([id]) => id !== pointerId).map(([, point]) => point);
    const before = Math.hypot(previous.x - other.x, previous.y - other.y);
    const after = Math.hypot(current.x - other.x, current.y - other.y);
    const middle = this.#fromCentre((current.x + other.x) / 2, (current.y + other.y) / 2);
    this.#meaning.pan((current.x - previous.x) / 2, (current.y - previous.y) / 2);
    if (before > 0) this.#meaning.zoom(after / before, middle.x, middle.y);
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    const wasTap = this.#drag !== null && this.#travel <= TAP.travel && event.type === "pointerup" && event.button === 0;
    this.#endDrag();
    if (wasTap) this.#tap(event);
  }

  #endDrag() {
    if (this.#drag?.tool === "window") this.#meaning.endWindow();
    this.#drag = null;
  }

  #tap(event) {
    const { time, x, y } = this.#lastTap;
    const isSecond = event.timeStamp - time < TAP.apart_ms && Math.hypot(event.clientX - x, event.clientY - y) < 30;
    this.#lastTap = { time: isSecond ? -Infinity : event.timeStamp, x: event.clientX, y: event.clientY };
    if (isSecond) this.#meaning.reset();
  }

  #turnWheel(event) {
    event.preventDefault();
    const travel = event.deltaY * [1, 40, 400][event.deltaMode];
    if (event.ctrlKey) {
      const { x, y } = this.#fromCentre(event.clientX, event.clientY);
      this.#meaning.zoom(Math.exp(-travel / 300), x, y);
      return;
    }
    // A notch of a mouse wheel is one image, whatever its travel; a trackpad's small travels add up.
    if (Math.abs(travel) >= WHEEL_STEP) {
      this.#wheel = 0;
      this.#meaning.scroll(Math.sign(travel));
      return;
    }
    this.#wheel += travel;
    const steps = Math.trunc(this.#wheel / (WHEEL_STEP / 2));
    this.#wheel -= steps * (WHEEL_STEP / 2);
    if (steps !== 0) this.#meaning.scroll(steps);
  }

  #fromCentre(clientX, clientY) {
    const box = this.#target.getBoundingClientRect();
    return { x: clientX - box.left - box.width / 2, y: clientY - box.top - box.height / 2 };
  }
}
