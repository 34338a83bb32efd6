/**
 * Display windows: those of the file, the presets for CT, and what a drag makes of them.
 *
 * A window is `{ center, width, shape }`, in rescaled units (HU for CT); `shape` is the function's name in the
 * `window` parameter (PS3.18 8.3.5.1.4). Pure.
 */

import { frameGroup, items, number, numbers, text, values } from "./dicom-json.js";

/** What Vietnamese hospitals ask for, in the order of the keys 1 to 8. In HU. */
export const CT_PRESETS = [
  { name: "preset.lung", center: -600, width: 1500 },
  { name: "preset.brain", center: 40, width: 80 },
  { name: "preset.bone", center: 480, width: 2500 },
  { name: "preset.abdomen", center: 40, width: 350 },
  { name: "preset.chest", center: 40, width: 350 },
  { name: "preset.angio", center: 300, width: 600 },
  { name: "preset.pelvis", center: 45, width: 300 },
  { name: "preset.head_neck", center: 90, width: 350 },
].map((preset) => ({ ...preset, shape: "linear" }));

const CT_DEFAULT = Object.freeze({ center: 40, width: 400, shape: "linear" });
const SHAPES = { LINEAR: "linear", LINEAR_EXACT: "linear-exact", SIGMOID: "sigmoid" };
const PIXELS_PER_WIDTH = 300;

/** Whether the server may show a slice less its mask: then the file's windows are not of what is seen (C.7.6.10). */
export function isSubtracted({ dataset }) {
  return text(dataset, "RecommendedViewingMode") === "SUB" && items(dataset, "MaskSubtractionSequence").length > 0;
}

/** The windows that the device wrote for a frame, each with its `explanation` (PS3.3 C.11.2). */
export function fileWindows({ dataset, frameNumber }) {
  if (isSubtracted({ dataset })) return [];
  const group = frameGroup(dataset, frameNumber, "FrameVOILUTSequence");
  const widths = numbers(group, "WindowWidth");
  const explanations = values(group, "WindowCenterWidthExplanation");
  const shape = SHAPES[text(group, "VOILUTFunction") || "LINEAR"] ?? "linear";
  return numbers(group, "WindowCenter")
    .slice(0, widths.length)
    .map((center, i) => ({ center, width: widths[i], shape, explanation: String(explanations[i] ?? "") }))
    .filter(({ width }) => width > 0)
    .map((window) => (window.width < 1 && shape === "linear" ? { ...window, shape: "linear-exact" } : window));
}

/**
 * The window with which the server shows a slice unasked: the file's first one. Null where the file has none,
 * or a table that comes before it (PS3.3 C.11.2.1).
 */
export function defaultWindow(slice) {
  return items(slice.dataset, "VOILUTSequence").length > 0 ? null : (fileWindows(slice)[0] ?? null);
}

/**
 * The window in what the server says of a frame (`default_voi`), which it made from the pixels where the file
 * has none. Null for a table.
 */
export function windowOfServer({ center, width, function: name }) {
  return center === undefined ? null : { center, width, shape: SHAPES[name] ?? "linear-exact" };
}

/** Whether a window means anything: one sample for each pixel, and no palette. Not known before the metadata is. */
export function isWindowed({ dataset }) {
  return number(dataset, "SamplesPerPixel") === 1 && text(dataset, "PhotometricInterpretation") !== "PALETTE COLOR";
}

/** Whether the lowest value is shown white (PS3.3 C.7.6.3.1.2, C.11.6). */
export function isLowestWhite({ dataset }) {
  return text(dataset, "PhotometricInterpretation") === "MONOCHROME1" || text(dataset, "PresentationLUTShape") === "INVERSE";
}

/**
 * Where a drag starts from when the file has no window and the server has not said its own yet: soft tissue for
 * CT, else all values that the image says it has, or that its bits can hold.
 */
export function guessedWindow({ dataset }, modality) {
  if (modality === "CT") return CT_DEFAULT;
  const span = 2 ** (number(dataset, "BitsStored") ?? 8);
  const least = number(dataset, "PixelRepresentation") === 1 ? -span / 2 : 0;
  const smallest = number(dataset, "SmallestImagePixelValue") ?? least;
  const largest = number(dataset, "LargestImagePixelValue") ?? least + span - 1;
  const slope = number(dataset, "RescaleSlope") || 1;
  const center = ((smallest + largest) / 2) * slope + (number(dataset, "RescaleIntercept") ?? 0);
  return { center, width: Math.abs((largest - smallest) * slope) || 1, shape: "linear-exact" };
}

/**
 * The window after a drag of `dx` and `dy` CSS pixels from where `start` held: right widens, down darkens.
 * A drag of 300 pixels changes it by its own width, so that narrow and wide windows feel the same.
 */
export function draggedWindow(start, dx, dy) {
  const perPixel = start.width / PIXELS_PER_WIDTH;
  const narrowest = start.shape === "linear" ? 1 : start.width / 1000;
  return {
    center: rounded(start.center + dy * perPixel, start.width),
    width: Math.max(narrowest, rounded(start.width + dx * perPixel, start.width)),
    shape: start.shape,
  };
}

/** The `window` parameter of a rendered request. */
export function windowParameter({ center, width, shape }) {
  return `${center},${width},${shape}`;
}

/**
 * For each gray value (0 to 255) that was drawn with the window `shown`, the one that `wanted` would give:
 * what a drag can show before the server answers. What `shown` had clipped stays clipped.
 */
export function previewTable(shown, wanted, isInverted) {
  const lowest = shown.center - shown.width / 2 - (wanted.center - wanted.width / 2);
  return Uint8ClampedArray.from({ length: 256 }, (_, drawn) => {
    const gray = isInverted ? 255 - drawn : drawn;
    const mapped = ((lowest + (gray / 255) * shown.width) / wanted.width) * 255;
    return isInverted ? 255 - Math.min(255, Math.max(0, mapped)) : mapped;
  });
}

export function sameWindow(a, b) {
  return a === b || (a !== null && b !== null && a.center === b.center && a.width === b.width && a.shape === b.shape);
}

/** Whole numbers for wide windows, three more digits than the width for narrow ones (float data). */
function rounded(value, width) {
  if (width >= 50) return Math.round(value);
  const step = 10 ** Math.floor(Math.log10(width) - 2);
  return Number((Math.round(value / step) * step).toPrecision(10));
}
