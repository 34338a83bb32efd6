/**
 * A frame's stored values, as a file of exact pixels has them: four bytes with the length of a description, the
 * description in JSON, and the values in planes of bytes, each integer as its difference to the one before it.
 */

const ARRAYS = {
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** One frame: `values` in rows, `lowest` and `highest` of them, and the `presentation` that the server described. */
export class ExactFrame {
  constructor({ rows, columns, presentation }, values) {
    this.height = rows;
    this.width = columns;
    this.presentation = presentation;
    this.values = values;
    [this.lowest, this.highest] = ends(values);
  }

  /** Told when the cache drops it. Memory is all that this holds, and who still draws it may go on. */
  close() {}
}

/** Read such a file. Throws on what is damaged, or has other than one sample for each pixel. */
export function readExactFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const description = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const { rows, columns, samples_per_pixel: samples, type } = description;
  const planes = new Uint8Array(buffer, 4 + length);
  const count = rows * columns;
  if (samples !== 1 || planes.length !== count * (ARRAYS[type]?.BYTES_PER_ELEMENT ?? 0)) throw new RangeError("no exact frame");
  return new ExactFrame(description, decodePlanes(planes, type, count));
}

/** The `count` values of a type that planes of bytes hold. */
export function decodePlanes(planes, type, count) {
  const values = new ARRAYS[type](count);
  const size = values.BYTES_PER_ELEMENT;
  if (type.startsWith("float")) return joined(planes, values, size);
  if (size === 1) undoDifferences8(planes, new Uint8Array(values.buffer));
  else if (size === 2) undoDifferences16(planes, new Uint16Array(values.buffer));
  else undoDifferences32(planes, new Uint32Array(values.buffer));
  return values;
}

function joined(planes, values, size) {
  const bytes = new Uint8Array(values.buffer);
  const count = values.length;
  for (let plane = 0; plane < size; plane += 1) {
    for (let i = 0; i < count; i += 1) bytes[i * size + plane] = planes[plane * count + i];
  }
  return values;
}

function undoDifferences8(planes, out) {
  let value = 0;
  for (let i = 0; i < out.length; i += 1) {
    const written = planes[i];
    value = (value + ((written >>> 1) ^ -(written & 1))) & 0xff;
    out[i] = value;
  }
}

function undoDifferences16(planes, out) {
  const count = out.length;
  let value = 0;
  for (let i = 0; i < count; i += 1) {
    const written = planes[i] | (planes[count + i] << 8);
    value = (value + ((written >>> 1) ^ -(written & 1))) & 0xffff;
    out[i] = value;
  }
}

function undoDifferences32(planes, out) {
  const count = out.length;
  let value = 0;
  for (let i = 0; i < count; i += 1) {
    const written = planes[i] | (planes[count + i] << 8) | (planes[2 * count + i] << 16) | (planes[3 * count + i] << 24);
    value = (value + ((written >>> 1) ^ -(written & 1))) | 0;
    out[i] = value;
  }
}

function ends(values) {
  let lowest = Infinity;
  let highest = -Infinity;
  for (const value of values) {
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  return [lowest, highest];
}
