/** What an object without pixels is, in words and as a picture. Pure. */

import { text } from "./dicom-json.js";

const STORAGE = "1.2.840.10008.5.1.4.1.1.";

// The first prefix that fits the SOP Class UID (PS3.4 B.5) decides.
const KINDS = [
  [`${STORAGE}88.59`, { name: "object.ko", icon: "star" }],
  [`${STORAGE}88.`, { name: "object.sr", icon: "document" }],
  [`${STORAGE}11.`, { name: "object.pr", icon: "pen" }],
  [`${STORAGE}104.1`, { name: "object.pdf", icon: "document" }],
  [`${STORAGE}104.`, { name: "object.document", icon: "document" }],
  [`${STORAGE}9.`, { name: "object.waveform", icon: "waveform" }],
  [`${STORAGE}481.3`, { name: "object.rtstruct", icon: "target" }],
  [`${STORAGE}481.`, { name: "object.rtplan", icon: "target" }],
  [`${STORAGE}66.`, { name: "object.registration", icon: "target" }],
];
const OTHER = { name: "object.other", icon: "document" };

const MODALITY_ICONS = {
  SR: "document",
  DOC: "document",
  PR: "pen",
  KO: "star",
  ECG: "waveform",
  HD: "waveform",
  AU: "waveform",
  RTSTRUCT: "target",
  RTPLAN: "target",
  PLAN: "target",
  REG: "target",
  RWV: "document",
  ANN: "pen",
};

/** `{ name, icon }` of a data set without pixels; `name` is the key of its sentence. */
export function objectKind(dataset) {
  const uid = text(dataset, "SOPClassUID");
  const matches = ([prefix]) => (prefix.endsWith(".") ? uid.startsWith(prefix) : uid === prefix || uid.startsWith(`${prefix}.`));
  return (KINDS.find(matches) ?? [null, OTHER])[1];
}

/** The icon of a modality whose series hold no images, or null where they do. */
export function objectIconOfModality(modality) {
  return MODALITY_ICONS[modality] ?? null;
}
