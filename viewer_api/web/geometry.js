/**
 * Where the image lies on the stage. Pure.
 *
 * A view is `{ zoom, panX, panY, quarterTurns, flipped }`; zoom 1 fits the image into the stage, pan is in CSS
 * pixels from the centre, quarter turns go clockwise and come after the flip.
 */

export const INITIAL_VIEW = Object.freeze({ zoom: 1, panX: 0, panY: 0, quarterTurns: 0, flipped: false });
export const ZOOM_RANGE = { smallest: 0.5, largest: 20 };
const SIZE_STEP = 128;

/** CSS pixels for one unit of the image so that the whole of it is seen. Sizes are `{ width, height }`. */
export function fitScale(stage, image, quarterTurns) {
  const [width, height] = quarterTurns % 2 === 0 ? [image.width, image.height] : [image.height, image.width];
  return Math.min(stage.width / width, stage.height / height);
}

/**
 * The image's size with square pixels, the coarser direction enlarged: what the server renders without a
 * viewport. `pixel` is the height (`row`) and width (`column`) of a pixel; what differs by less than a percent
 * is square, what differs more than tenfold is a mistake.
 */
export function displaySize(columns, rows, pixel) {
  const ratio = pixel.row / pixel.column;
  const larger = Math.max(ratio, 1 / ratio);
  const used = larger > 1.01 && larger <= 10 ? ratio : 1;
  return { width: columns * Math.max(1 / used, 1), height: rows * Math.max(used, 1) };
}

/**
 * The view zoomed by `factor` so that the point under the fingers stays there; `x`, `y` in CSS pixels from
 * the centre of the stage.
 */
export function zoomedAbout(view, factor, x, y) {
  const zoom = Math.min(ZOOM_RANGE.largest, Math.max(ZOOM_RANGE.smallest, view.zoom * factor));
  const ratio = zoom / view.zoom;
  return { ...view, zoom, panX: x - (x - view.panX) * ratio, panY: y - (y - view.panY) * ratio };
}

/** The view moved by `dx`, `dy`, keeping the image's centre on the stage. */
export function panned(view, dx, dy, stage) {
  const within = (value, limit) => Math.min(limit, Math.max(-limit, value));
  const reach = Math.max(1, view.zoom) / 2;
  return {
    ...view,
    panX: within(view.panX + dx, stage.width * reach),
    panY: within(view.panY + dy, stage.height * reach),
  };
}

/**
 * The size in pixels to ask of the server: what the stage can show at this zoom, never more than the image
 * has; null when that is the whole image. Coarse steps keep the number of different renderings small.
 */
export function requestedSize(stage, image, view, pixelRatio) {
  const doublings = Math.max(0, Math.ceil(Math.log2(Math.max(view.zoom, 1)) - 0.25));
  const longest = Math.max(image.width, image.height);
  const seen = longest * fitScale(stage, image, view.quarterTurns) * pixelRatio * 2 ** doublings;
  const length = Math.ceil(seen / SIZE_STEP) * SIZE_STEP;
  if (length >= longest * 0.9) return null;
  const scaled = (side) => Math.max(1, Math.round((side * length) / longest));
  return { width: scaled(image.width), height: scaled(image.height) };
}

/** The longest round length (1, 2 or 5 times a power of ten, in mm) that fits into `room` CSS pixels. */
export function rulerLength(mmPerPixel, room) {
  const longest = mmPerPixel * room;
  const power = 10 ** Math.floor(Math.log10(longest));
  const factor = [5, 2, 1].find((candidate) => candidate * power <= longest) ?? 1;
  return factor * power;
}
