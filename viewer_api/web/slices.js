/**
 * From the metadata of a series to what is scrolled through. Pure.
 *
 * A slice is one frame, `{ dataset, sopInstanceUid, frameNumber }`. A stack is a list of slices that belong
 * together: the single-frame images of a series, or one multi-frame image (a loop, an enhanced volume).
 * Objects without pixels are stacks of the kind "object".
 */

import { frameGroup, number, numbers, text } from "./dicom-json.js";

const PARALLEL = 0.99;
const LARGEST_STACK = 20_000; // frames; what a file claims may be a mistake, or meant to harm

/** The stacks of a series, from the data sets of its instances. */
export function stacksOfSeries(instances) {
  const ordered = [...instances].sort(byInstanceNumber);
  const images = ordered.filter(isImage);
  const singles = images.filter((dataset) => numberOfFrames(dataset) === 1);
  const loops = images.filter((dataset) => numberOfFrames(dataset) > 1);
  const objects = ordered.filter((dataset) => !isImage(dataset));
  return [
    ...(singles.length > 0 ? [imageStack(singles.flatMap(slicesOf))] : []),
    ...loops.map((dataset) => imageStack(slicesOf(dataset))),
    ...objects.map((dataset) => ({ kind: "object", dataset, sopInstanceUid: text(dataset, "SOPInstanceUID") })),
  ];
}

/**
 * Slices in the order of their position along the common normal, in the direction in which they were numbered.
 * As they came, where positions are missing, planes are not parallel, or a loop shows a place several times.
 */
export function sortedByPosition(slices) {
  const positions = positionsAlongNormal(slices);
  if (positions === null) return slices;
  const isLoop = numberOfFrames(slices[0].dataset) > 1;
  if (isLoop && new Set(positions).size < positions.length) return slices;
  const descends = positions[positions.length - 1] < positions[0];
  return slices
    .map((slice, index) => ({ slice, index, position: descends ? -positions[index] : positions[index] }))
    .sort((a, b) => a.position - b.position || a.index - b.index)
    .map(({ slice }) => slice);
}

/** Image Orientation (Patient) of a slice: six numbers, or none. */
export function imageOrientation({ dataset, frameNumber }) {
  const found = numbers(frameGroup(dataset, frameNumber, "PlaneOrientationSequence"), "ImageOrientationPatient");
  return found.length === 6 ? found : [];
}

/**
 * How large a pixel is: `{ row, column }` in mm (or in proportion only, `unit` null), and whether that is
 * measured `atDetector`, where a projection makes the body look larger (PS3.3 10.7.1.3).
 */
export function pixelSize({ dataset, frameNumber }) {
  const measures = frameGroup(dataset, frameNumber, "PixelMeasuresSequence");
  const candidates = [
    { pair: numbers(measures, "PixelSpacing"), unit: "mm", atDetector: false },
    { pair: numbers(dataset, "ImagerPixelSpacing"), unit: "mm", atDetector: true },
    { pair: numbers(dataset, "NominalScannedPixelSpacing"), unit: null, atDetector: false },
    { pair: numbers(dataset, "PixelAspectRatio"), unit: null, atDetector: false },
  ];
  const usable = ({ pair }) => pair.length >= 2 && pair[0] > 0 && pair[1] > 0;
  const { pair, unit, atDetector } = candidates.find(usable) ?? { pair: [1, 1], unit: null, atDetector: false };
  return { row: pair[0], column: pair[1], unit, atDetector };
}

/** Frames each second that the device asks for, or null (PS3.3 C.7.6.5, C.7.6.6). */
export function frameRate(dataset) {
  const asked = number(dataset, "RecommendedDisplayFrameRate") ?? number(dataset, "CineRate");
  const frameTimeMs = number(dataset, "FrameTime");
  const rate = asked || (frameTimeMs ? 1000 / frameTimeMs : null);
  return rate !== null && rate > 0 ? rate : null;
}

/** Size of the pixel matrix of a slice. */
export function dimensions({ dataset }) {
  return { columns: number(dataset, "Columns"), rows: number(dataset, "Rows") };
}

/** Number of Frames, as far as a browser can hold a list of them. */
export function numberOfFrames(dataset) {
  return Math.min(LARGEST_STACK, Math.max(1, Math.trunc(number(dataset, "NumberOfFrames") ?? 1)));
}

function isImage(dataset) {
  return (number(dataset, "Rows") ?? 0) > 0 && (number(dataset, "Columns") ?? 0) > 0;
}

function byInstanceNumber(a, b) {
  const [left, right] = [a, b].map((dataset) => number(dataset, "InstanceNumber") ?? Infinity);
  return left === right ? text(a, "SOPInstanceUID").localeCompare(text(b, "SOPInstanceUID")) : left - right;
}

function imageStack(slices) {
  const sorted = sortedByPosition(slices);
  const [{ dataset }] = sorted;
  return { kind: "images", slices: sorted, isLoop: numberOfFrames(dataset) > 1, frameRate: frameRate(dataset) };
}

function slicesOf(dataset) {
  const sopInstanceUid = text(dataset, "SOPInstanceUID");
  return Array.from({ length: numberOfFrames(dataset) }, (_, i) => ({ dataset, sopInstanceUid, frameNumber: i + 1 }));
}

/** Distance of each slice along the normal of the first, in mm; null where that is not one line. */
function positionsAlongNormal(slices) {
  const normal = normalOf(imageOrientation(slices[0]));
  if (normal === null) return null;
  const positions = slices.map((slice) => {
    const own = normalOf(imageOrientation(slice));
    const origin = numbers(frameGroup(slice.dataset, slice.frameNumber, "PlanePositionSequence"), "ImagePositionPatient");
    return own !== null && origin.length === 3 && dot(own, normal) >= PARALLEL ? dot(origin, normal) : null;
  });
  return positions.includes(null) ? null : positions;
}

function normalOf([rx, ry, rz, cx, cy, cz]) {
  if (cz === undefined) return null;
  const normal = [ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx];
  const length = Math.hypot(...normal);
  return length > 0.5 ? normal.map((component) => component / length) : null;
}

function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
