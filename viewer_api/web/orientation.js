/**
 * The letters at the edges of an image: which way the patient lies.
 *
 * Image Orientation (Patient) holds the direction cosines of a row (towards rising columns) and of a column
 * (towards rising rows) in the patient's system: +x to the left, +y to the back, +z to the head
 * (PS3.3 C.7.6.2.1.1). A direction is written as its letters in order of size, as Patient Orientation
 * does (PS3.3 C.7.6.1.1.1), components under 0.1 (6 degrees) left out.
 */

const AXES = [
  ["L", "R"],
  ["P", "A"],
  ["H", "F"],
];
const OPPOSITE = { L: "R", R: "L", P: "A", A: "P", H: "F", F: "H" };
const SMALLEST_COMPONENT = 0.1;

/** Letters of one direction vector `[x, y, z]`, e.g. "L", "AR"; "" for a null vector. */
export function directionLetters(vector) {
  return vector
    .map((component, axis) => ({ size: Math.abs(component), letter: AXES[axis][component > 0 ? 0 : 1] }))
    .filter(({ size }) => size >= SMALLEST_COMPONENT)
    .sort((a, b) => b.size - a.size)
    .map(({ letter }) => letter)
    .join("");
}

/** The letters of the opposite direction; "" where a letter is none of ours. */
export function oppositeLetters(letters) {
  const opposite = [...letters].map((letter) => OPPOSITE[letter]);
  return opposite.includes(undefined) ? "" : opposite.join("");
}

/**
 * Letters at the four edges of the image as stored, or null where nothing is known.
 *
 * `imageOrientation` has six numbers; `patientOrientation` is the two strings that projection images carry.
 */
export function edgeLetters(imageOrientation, patientOrientation = []) {
  const [right, bottom] =
    imageOrientation.length === 6
      ? [directionLetters(imageOrientation.slice(0, 3)), directionLetters(imageOrientation.slice(3, 6))]
      : patientOrientation.map((letters) => (/^[LRAPHF]{1,3}$/.test(letters) ? letters : ""));
  if (!right || !bottom) return null;
  return { right, bottom, left: oppositeLetters(right), top: oppositeLetters(bottom) };
}

/** The same letters after a flip (left and right exchanged) and then `quarterTurns` clockwise. */
export function turnedLetters(edges, quarterTurns, flipped) {
  const { top, bottom } = edges;
  const [left, right] = flipped ? [edges.right, edges.left] : [edges.left, edges.right];
  const clockwise = [top, right, bottom, left];
  const at = (position) => clockwise[(position - quarterTurns + 8) % 4];
  return { top: at(0), right: at(1), bottom: at(2), left: at(3) };
}
