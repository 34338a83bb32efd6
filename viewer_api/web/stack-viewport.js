/** One stack on the stage: which slice, under which window and view, and the images that takes. */

import { renderedFrameAddress } from "./api.js";
import { INITIAL_VIEW, displaySize, fitScale, panned, requestedSize, zoomedAbout } from "./geometry.js";
import { ExactSlices } from "./exact-slices.js";
import { ImageLoader, forwardFrom, outwardFrom } from "./image-loader.js";
import { Previews } from "./previews.js";
import { ServerWindows } from "./server-windows.js";
import { dimensions, pixelSize } from "./slices.js";
import {
  draggedWindow,
  fileWindows,
  guessedWindow,
  isLowestWhite,
  isWindowed,
  previewTable,
  sameWindow,
  windowOfServer,
  windowParameter,
} from "./windows.js";

const LARGEST_PREFETCH = 150;
const SPARING_PREFETCH = 6;
const EXACT_NEIGHBOURS = 7; // slices whose stored values are fetched: the one on show, and those around it
const CACHE_SHARE = 0.7; // of the cache, for the images around the one on show
const PASSING = new Set(["network", "busy", "server"]); // failures worth another try when the slice is shown again

export class StackViewport {
  #stage;
  #loader;
  #onChange;
  #stack = null;
  #index = 0;
  #direction = 1;
  #isPlaying = false;
  #window = null; // null: as the file says, slice by slice
  #dragStart = null;
  #view = INITIAL_VIEW;
  #isInverted = false;
  #drawn = null; // { index, image, window, address }; `exact` instead of an image: a frame's stored values
  #asked = new Map(); // address -> { index, window } of what was asked for last
  #serverWindows;
  #exact;
  #previews = new Previews(() => this.#previewsArrived());

  /**
   * `onChange()` is called when anything that the page shows may be different. `maxBytes` bounds the images
   * that are kept, `maxExactBytes` the stored values.
   */
  constructor(stage, { maxBytes, maxExactBytes, onChange, isSparing = false }) {
    this.#stage = stage;
    this.#onChange = onChange;
    this.isSparing = isSparing;
    this.#loader = new ImageLoader({ maxBytes, onArrival: (address) => this.#arrived(address) });
    this.#exact = new ExactSlices({ maxBytes: maxExactBytes, isSparing, onArrival: () => this.#exactArrived() });
    this.#serverWindows = new ServerWindows(onChange);
  }

  /**
   * Show a stack of images. `instanceAddress(slice)` tells where the archive keeps a slice's instance,
   * `modality` is the series', `previews` where small pictures of all its frames are, or null. If the slice on show is one of the stack, more is known of the same images:
   * slice, window and view stay; else they start afresh.
   */
  show(stack, { instanceAddress, modality, previews = null }) {
    const place = this.#stack === null ? -1 : placeOf(this.slice, stack.slices);
    const drawnPlace = this.#drawn === null ? -1 : placeOf(this.drawn.slice, stack.slices);
    this.#stack = { slices: stack.slices, instanceAddress, modality, previews };
    this.#index = Math.max(0, place);
    if (drawnPlace >= 0) this.#drawn.index = drawnPlace;
    else this.#blank();
    if (place < 0) this.#startAfresh();
    this.#refresh();
  }

  #startAfresh() {
    this.#isPlaying = false;
    this.#isInverted = false;
    this.#window = null;
    this.#view = INITIAL_VIEW;
  }

  /** Show nothing and fetch nothing. */
  clear() {
    this.#stack = null;
    this.#loader.want([]);
    this.#exact.forget();
    this.#previews.forget();
    this.#blank();
    this.#onChange();
  }

  get count() {
    return this.#stack?.slices.length ?? 0;
  }

  get index() {
    return this.#index;
  }

  get view() {
    return this.#view;
  }

  get isInverted() {
    return this.#isInverted;
  }

  /** The slice that is wanted; the one that is seen is `drawn.slice`. */
  get slice() {
    return this.#stack?.slices[this.#index] ?? null;
  }

  /** What is on the stage: `{ index, slice, window }`, the window null where it is not known; or null. */
  get drawn() {
    if (this.#drawn === null) return null;
    const slice = this.#stack.slices[this.#drawn.index];
    return { index: this.#drawn.index, slice, window: this.#window ?? this.#defaultWindow(slice) };
  }

  /** Whether the stored values themselves are on the stage, and not a picture that the server made of them. */
  get isExact() {
    return this.#drawn?.exact !== undefined;
  }

  /** The chosen window, or null while each slice has its own. */
  get window() {
    return this.#window;
  }

  /** "empty", "ready", "loading" or "failed". */
  get state() {
    if (this.#stack === null) return "empty";
    if (this.failure !== null) return "failed";
    return this.#drawn?.address === this.#address(this.#index) ? "ready" : "loading";
  }

  /** Why the wanted slice cannot be shown, or null. */
  get failure() {
    return this.#stack === null ? null : this.#loader.failure(this.#address(this.#index));
  }

  /** CSS pixels on the stage for each mm, or null; with `atDetector` as in `pixelSize`. */
  get scale() {
    if (this.#drawn === null) return null;
    const pixel = pixelSize(this.drawn.slice);
    if (pixel.unit === null) return null;
    const fit = fitScale(this.#stage.size, this.#displaySize(this.drawn.slice), this.#view.quarterTurns);
    return { pixelsPerMm: (fit * this.#view.zoom) / Math.min(pixel.row, pixel.column), atDetector: pixel.atDetector };
  }

  goTo(index) {
    const wanted = Math.min(this.count - 1, Math.max(0, index));
    if (this.#stack === null || wanted === this.#index) return;
    this.#direction = Math.sign(wanted - this.#index);
    this.#index = wanted;
    if (PASSING.has(this.failure?.kind)) this.#loader.forgive(this.#address(wanted));
    this.#refresh();
  }

  step(steps) {
    this.goTo(this.#index + steps);
  }

  /** Whether the next slice (around the end) can be shown without waiting. */
  get isNextReady() {
    const next = this.#address((this.#index + 1) % this.count);
    return this.#loader.cache.has(next) || this.#loader.failure(next) !== null;
  }

  set isPlaying(value) {
    this.#isPlaying = value;
    if (this.#stack !== null) this.#refresh();
  }

  retry() {
    this.#loader.forgive(this.#address(this.#index));
    this.#refresh();
  }

  setWindow(window) {
    this.#window = window;
    this.#refresh();
  }

  startWindowDrag() {
    const slice = this.slice;
    if (slice === null || !isWindowed(slice)) return;
    const own = this.#window ?? fileWindows(slice)[0] ?? this.#defaultWindow(slice);
    const start = own ?? guessedWindow(slice, this.#stack.modality);
    this.#dragStart = { window: start, moved: false };
  }

  dragWindow(dx, dy) {
    if (this.#dragStart === null || (!this.#dragStart.moved && Math.hypot(dx, dy) < 3)) return;
    this.#dragStart.moved = true;
    this.#window = draggedWindow(this.#dragStart.window, dx, dy);
    if (!this.#drawExactly()) this.#dragByServer();
    this.#onChange();
  }

  /** Until the stored values are here: one picture after the other, and between them what can be made of the last. */
  #dragByServer() {
    const address = this.#address(this.#index);
    this.#exact.wantNow(this.#place(this.#index));
    this.#loader.wantLatest(address);
    this.#drawIfCached(address);
    this.#redraw();
  }

  endWindowDrag() {
    const moved = this.#dragStart?.moved ?? false;
    this.#dragStart = null;
    if (moved) this.#refresh();
  }

  invert() {
    this.#isInverted = !this.#isInverted;
    this.#redraw();
    this.#onChange();
  }

  rotate() {
    this.#changeView({ ...this.#view, quarterTurns: (this.#view.quarterTurns + 1) % 4 });
  }

  /** Exchange left and right as they are seen, however the image is turned. */
  flip() {
    const { quarterTurns, flipped } = this.#view;
    this.#changeView({ ...this.#view, flipped: !flipped, quarterTurns: (4 - quarterTurns) % 4 });
  }

  zoom(factor, x, y) {
    this.#changeView(zoomedAbout(this.#view, factor, x, y));
  }

  pan(dx, dy) {
    this.#changeView(panned(this.#view, dx, dy, this.#stage.size));
  }

  /** View, window and inversion as at the beginning; the slice stays. */
  reset() {
    this.#window = null;
    this.#isInverted = false;
    this.#changeView(INITIAL_VIEW);
  }

  /** The stage has another size. */
  resized() {
    if (this.#stack !== null) this.#refresh();
  }

  #changeView(view) {
    this.#view = view;
    if (this.#stack === null) return;
    this.#redraw();
    this.#refresh();
  }

  #address(index) {
    const slice = this.#stack.slices[index];
    const window = this.#window !== null && isWindowed(slice) ? windowParameter(this.#window) : null;
    const size = requestedSize(this.#stage.size, this.#displaySize(slice), this.#view, this.#stage.pixelRatio);
    const address = renderedFrameAddress(this.#stack.instanceAddress(slice), slice.frameNumber, { window, size });
    this.#asked.set(address, { index, window: this.#window });
    return address;
  }

  #refresh() {
    const limit = this.#prefetchLimit();
    const order = this.#isPlaying
      ? forwardFrom(this.#index, this.count, limit)
      : outwardFrom(this.#index, this.count, this.#direction, limit);
    this.#asked.clear();
    const addresses = order.map((index) => this.#address(index));
    const isExact = this.#drawExactly();
    if (!isExact && !this.#drawIfCached(addresses[0])) this.#drawPreview();
    if (this.failure !== null) this.#fail();
    else this.#loader.want(isExact ? addresses.slice(1) : addresses);
    if (this.#dragStart === null) this.#wantExact(order);
    this.#onChange();
  }

  #place(index) {
    const slice = this.#stack.slices[index];
    return { slice, instance: this.#stack.instanceAddress(slice) };
  }

  /** Want the stored values of what is on show, once a picture of it is there, and of its neighbours. */
  #wantExact(order) {
    if (this.#isPlaying || this.state !== "ready") this.#exact.forget();
    else this.#exact.want(order.slice(0, EXACT_NEIGHBOURS).map((index) => this.#place(index)));
  }

  #exactArrived() {
    if (this.#stack === null || this.#isPlaying || this.isExact) return;
    if (this.#drawExactly()) this.#onChange();
  }

  /** Draw the wanted slice from its stored values; false where they are not here. */
  #drawExactly() {
    const { slice, instance } = this.#place(this.#index);
    const exact = this.#isPlaying ? null : this.#exact.of(instance, slice);
    if (exact === null) return false;
    const address = this.#address(this.#index);
    this.#drawn = { index: this.#index, exact, window: this.#window, address };
    this.#redraw();
    return true;
  }

  /** Small pictures of the whole stack are fetched when the first image is there. */
  #wantPreviews() {
    if (this.#stack.previews !== null && this.count > 1) this.#previews.load(this.#stack.previews);
  }

  #previewsArrived() {
    if (this.#stack !== null && this.state === "loading") {
      this.#drawPreview();
      this.#onChange();
    }
  }

  /** Show a small picture of the wanted slice until its image is there. */
  #drawPreview() {
    const { slice, instance } = this.#place(this.#index);
    const image = this.#stack.previews === null ? null : this.#previews.of(instance, slice);
    if (image === null) return;
    this.#drawn = { index: this.#index, image, window: null, address: null };
    this.#redraw();
  }

  #prefetchLimit() {
    if (this.isSparing) return SPARING_PREFETCH;
    const whole = this.#displaySize(this.slice);
    const { width, height } = requestedSize(this.#stage.size, whole, this.#view, this.#stage.pixelRatio) ?? whole;
    const bytes = width * height * 4;
    return Math.max(3, Math.min(LARGEST_PREFETCH, Math.floor((this.#loader.cache.maxBytes * CACHE_SHARE) / bytes)));
  }

  #arrived(address) {
    const asked = this.#asked.get(address);
    if (asked?.index !== this.#index || (this.isExact && this.#drawn.index === this.#index)) return;
    // While a window is dragged, what lands may be a moment old: better than nothing, and mapped to the newest.
    if (this.#dragStart !== null || address === this.#address(this.#index)) this.#drawIfCached(address);
    if (this.failure !== null) this.#fail();
    else if (this.#dragStart === null && this.state === "ready") this.#settled();
    this.#onChange();
  }

  /** The image on show is there: now what makes it better, and its neighbours quicker. */
  #settled() {
    this.#wantExact(outwardFrom(this.#index, this.count, this.#direction, EXACT_NEIGHBOURS));
    this.#wantPreviews();
  }

  /** What this slice failed of, the other frames of its instance would too: none is asked for unseen. */
  #fail() {
    this.#blank();
    this.#loader.want([this.#address(this.#index)]);
  }

  /** A slice that cannot be shown leaves no other slice's image behind. */
  #blank() {
    this.#drawn = null;
    this.#serverWindows.forget();
    this.#loader.cache.pinned = null;
    this.#stage.empty();
  }

  #drawIfCached(address) {
    const image = this.#loader.cache.get(address);
    if (image === undefined) return false;
    const { index, window } = this.#asked.get(address);
    this.#drawn = { index, image, window, address };
    this.#loader.cache.pinned = address;
    this.#redraw();
    const slice = this.#stack.slices[index];
    if (!this.#isPlaying) this.#serverWindows.want(this.#stack.instanceAddress(slice), slice);
    return true;
  }

  /** The window of a slice that none was chosen for; what its stored values came with says it best. */
  #defaultWindow(slice) {
    const exact = this.#exact.of(this.#stack.instanceAddress(slice), slice);
    if (exact !== null) return windowOfServer(exact.presentation.default_voi);
    return this.#serverWindows.of(this.#stack.instanceAddress(slice), slice);
  }

  #redraw() {
    if (this.#drawn === null) return;
    const slice = this.#stack.slices[this.#drawn.index];
    const { exact } = this.#drawn;
    this.#stage.draw({
      image: exact === undefined ? this.#drawn.image : this.#exact.draw(exact, this.#window),
      displaySize: this.#displaySize(slice),
      view: this.#view,
      isInverted: this.#isInverted,
      table: exact === undefined ? this.#previewTable(slice) : null,
    });
  }

  /** How to bring the drawn image near the wanted window, or null where it has it or nothing is known. */
  #previewTable(slice) {
    const shown = this.#drawn.window ?? this.#defaultWindow(slice);
    const wanted = this.#window ?? this.#defaultWindow(slice);
    if (!isWindowed(slice) || shown === null || wanted === null || sameWindow(shown, wanted)) return null;
    return previewTable(shown, wanted, isLowestWhite(slice));
  }

  #displaySize(slice) {
    const { columns, rows } = dimensions(slice);
    return displaySize(columns, rows, pixelSize(slice));
  }
}

/** Where in `slices` the same frame of the same instance is, or -1. */
function placeOf({ sopInstanceUid, frameNumber }, slices) {
  return slices.findIndex((slice) => slice.sopInstanceUid === sopInstanceUid && slice.frameNumber === frameNumber);
}
