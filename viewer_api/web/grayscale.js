/**
 * From stored values to gray levels, in the steps and the arithmetic of the server, so that both show the same
 * levels for the same window (PS3.3 C.11.1, C.11.2, C.11.6). A test compares them pixel by pixel.
 */

const ROUNDING = 1e-7; // of a level: as on the server, where sums of doubles fall short of the level they reach
const OPAQUE = 0xff000000;
const decoded = new WeakMap(); // table of a presentation -> its entries: a drag asks for them again and again
const FUNCTIONS = { linear: "LINEAR", "linear-exact": "LINEAR_EXACT", sigmoid: "SIGMOID" };

/** Fill `pixels` (a Uint32Array over RGBA) with the gray levels of an exact frame; `window` null: as the server shows it. */
export function drawLevels(frame, window, pixels) {
  const { values } = frame;
  const level = levelOf(frame.presentation, window);
  if (values instanceof Float32Array || values instanceof Float64Array || values.BYTES_PER_ELEMENT > 2) {
    for (let i = 0; i < values.length; i += 1) pixels[i] = gray(level(values[i]));
    return;
  }
  const table = new Uint32Array(frame.highest - frame.lowest + 1);
  for (let i = 0; i < table.length; i += 1) table[i] = gray(level(frame.lowest + i));
  const { lowest } = frame;
  for (let i = 0; i < values.length; i += 1) pixels[i] = table[values[i] - lowest];
}

/**
 * The function from a stored value to its level, 0 to 255. `presentation` is what the server says of the frame,
 * `window` is `{ center, width, shape }` or null for the server's own window or table.
 */
export function levelOf(presentation, window = null) {
  const modality = modalityOf(presentation.modality_lut);
  const voi = window === null ? voiOf(presentation.default_voi) : windowOf(window.center, window.width, FUNCTIONS[window.shape]);
  const present = presentationOf(presentation);
  const [first, last] = presentation.padding ?? [Infinity, -Infinity];
  return (stored) => {
    const fraction = voi(modality(stored));
    if (Number.isNaN(fraction) || (stored >= first && stored <= last)) return 0;
    return Math.floor(present(fraction) * 255 + ROUNDING);
  };
}

function modalityOf(lut) {
  if (lut.entries !== undefined) return tableOf(lut);
  const { slope, intercept } = lut;
  return (stored) => stored * slope + intercept;
}

function voiOf(voi) {
  if (voi.entries === undefined) return windowOf(voi.center, voi.width, voi.function);
  const look = tableOf(voi);
  const highest = 2 ** voi.bits_per_entry - 1;
  return (value) => look(value) / highest;
}

function windowOf(center, width, name) {
  if (name === "SIGMOID") {
    return (value) => 1 / (1 + Math.exp(clipped((-4 * (value - center)) / width, -700, 700)));
  }
  const isLinear = name === "LINEAR" && width >= 1; // a smaller width is only defined for LINEAR_EXACT
  const middle = isLinear ? center - 0.5 : center;
  const span = isLinear ? width - 1 : width;
  if (span === 0) return (value) => (value > middle ? 1 : 0);
  return (value) => clipped((value - middle) / span + 0.5, 0, 1);
}

function presentationOf({ inverted, presentation_lut: lut }) {
  if (lut === null) return inverted ? (fraction) => 1 - fraction : (fraction) => fraction;
  const look = tableOf(lut);
  const { first_value: first, bits_per_entry: bits } = lut;
  const last = decodeEntries(lut).length - 1;
  return (fraction) => look(fraction * last + first) / (2 ** bits - 1);
}

/** A table over integers: what lies outside gets the first or the last entry, what is no number the first. */
function tableOf(lut) {
  const entries = decodeEntries(lut);
  const last = entries.length - 1;
  return (value) => {
    const place = halfToEven(value - lut.first_value);
    return entries[Number.isNaN(place) ? 0 : clipped(place, 0, last)];
  };
}

function decodeEntries(lut) {
  if (!decoded.has(lut)) {
    const bytes = Uint8Array.from(atob(lut.entries), (character) => character.charCodeAt(0));
    decoded.set(lut, Uint16Array.from({ length: bytes.length / 2 }, (_, i) => bytes[2 * i] | (bytes[2 * i + 1] << 8)));
  }
  return decoded.get(lut);
}

/** Round as the server does: a half goes to the even number. */
function halfToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function clipped(value, least, most) {
  return Math.min(most, Math.max(least, value));
}

/** Red, green, blue and opacity of a gray level, as the bytes lie in memory (all browsers' machines are little endian). */
function gray(level) {
  return (OPAQUE | (level << 16) | (level << 8) | level) >>> 0;
}
