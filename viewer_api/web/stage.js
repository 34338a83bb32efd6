/** The canvas: draws one image under a view, black around it. */

import { fitScale } from "./geometry.js";

const LARGEST_PIXEL_RATIO = 2; // more cannot be seen and costs fourfold memory

export class Stage {
  #canvas;
  #context;
  #scratch = document.createElement("canvas");
  #last = null;

  /** `onResize` is told when the stage has another size. */
  constructor(canvas, onResize) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    new ResizeObserver(() => {
      this.#fitCanvas();
      onResize();
    }).observe(canvas);
    this.#fitCanvas();
  }

  /** Size in CSS pixels. */
  get size() {
    return { width: this.#canvas.clientWidth || 1, height: this.#canvas.clientHeight || 1 };
  }

  get pixelRatio() {
    return Math.min(LARGEST_PIXEL_RATIO, window.devicePixelRatio || 1);
  }

  /**
   * Draw `image` as `displaySize` (width and height with square pixels) under `view`; `isInverted` turns
   * black to white; `table`, if any, maps the gray values on the way (a window being dragged).
   */
  draw({ image, displaySize, view, isInverted, table = null }) {
    this.#last = { image, displaySize, view, isInverted, table };
    this.#clear();
    const context = this.#context;
    const scale = fitScale(this.size, displaySize, view.quarterTurns) * view.zoom;
    const ratio = this.pixelRatio;
    context.translate((this.size.width / 2 + view.panX) * ratio, (this.size.height / 2 + view.panY) * ratio);
    context.rotate((view.quarterTurns * Math.PI) / 2);
    context.scale(view.flipped ? -scale * ratio : scale * ratio, scale * ratio);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    const place = [-displaySize.width / 2, -displaySize.height / 2, displaySize.width, displaySize.height];
    context.drawImage(table === null ? image : this.#mapped(image, table), ...place);
    if (isInverted) {
      // |white - gray| is the negative; unlike ctx.filter this works in every browser.
      context.globalCompositeOperation = "difference";
      context.fillStyle = "#fff";
      context.fillRect(...place);
    }
  }

  /** Draw the last image again, e.g. after a resize. */
  redraw() {
    if (this.#last !== null) this.draw(this.#last);
  }

  /** Black. */
  empty() {
    this.#last = null;
    this.#clear();
  }

  #clear() {
    this.#context.setTransform(1, 0, 0, 1, 0, 0);
    this.#context.globalCompositeOperation = "source-over";
    this.#context.fillStyle = "#000";
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #fitCanvas() {
    const { width, height } = this.size;
    this.#canvas.width = Math.round(width * this.pixelRatio);
    this.#canvas.height = Math.round(height * this.pixelRatio);
    this.redraw();
  }

  /** The image with its gray values mapped; at most 512 pixels wide, since it is seen only while dragging. */
  #mapped(image, table) {
    const shrink = Math.min(1, 512 / Math.max(image.width, image.height));
    const scratch = this.#scratch;
    scratch.width = Math.max(1, Math.round(image.width * shrink));
    scratch.height = Math.max(1, Math.round(image.height * shrink));
    const context = scratch.getContext("2d", { alpha: false, willReadFrequently: true });
    context.drawImage(image, 0, 0, scratch.width, scratch.height);
    const pixels = context.getImageData(0, 0, scratch.width, scratch.height);
    const bytes = pixels.data;
    for (let i = 0; i < bytes.length; i += 4) bytes[i] = bytes[i + 1] = bytes[i + 2] = table[bytes[i]];
    context.putImageData(pixels, 0, 0);
    return scratch;
  }
}
