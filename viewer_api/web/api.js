/** The archive's HTTP interface as the pages use it: addresses, answers, and what went wrong in words. */

export const DICOM_WEB = "/dicom-web";

/** A request that did not work. `kind` names the sentence for it (`error.<kind>`). */
export class RequestFailure extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

const KINDS = {
  401: "refused",
  403: "refused",
  404: "missing",
  406: "image.unsupported",
  410: "missing",
  422: "image.damaged",
  429: "busy",
  503: "busy",
  507: "busy",
};

/** Fetch, or throw a RequestFailure; an abort stays what it is. */
export async function request(address, accept, signal) {
  let response;
  try {
    response = await fetch(address, { headers: { Accept: accept }, signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new RequestFailure("network");
  }
  if (!response.ok) throw new RequestFailure(KINDS[response.status] ?? (response.status < 500 ? "request" : "server"));
  return response;
}

async function requestJson(address, signal) {
  const response = await request(address, "application/dicom+json", signal);
  if (response.status === 204) return [];
  const answer = await response.json().catch((error) => {
    throw error.name === "AbortError" ? error : new RequestFailure("server");
  });
  return Array.isArray(answer) ? answer : [];
}

/**
 * A page of the study list, newest first: `{ studies, more }`. `filters` has `q` and the QIDO-RS keys
 * `ModalitiesInStudy` and `StudyDate`; empty ones are not sent.
 */
export async function searchForStudies(filters, { limit, offset }, signal) {
  const query = new URLSearchParams({ limit, offset });
  for (const [key, value] of Object.entries(filters)) if (value) query.set(key, value);
  const response = await request(`/api/studies?${query}`, "application/dicom+json", signal);
  const studies = response.status === 204 ? [] : await response.json();
  // PS3.18 8.3.4.4: the server warns with 299 where there are more results than it sent.
  return { studies, more: (response.headers.get("Warning") ?? "").startsWith("299") };
}

export function searchForSeries(studyInstanceUid) {
  return requestJson(`${studyPath(studyInstanceUid)}/series`);
}

/** The study's own attributes: a data set, or null where the archive has no such study. */
export async function searchForStudy(studyInstanceUid) {
  const query = new URLSearchParams({ StudyInstanceUID: studyInstanceUid, includefield: "00080080" });
  const [study] = await requestJson(`${DICOM_WEB}/studies?${query}`);
  return study ?? null;
}

/** The data sets of all instances of a series, without pixels. */
export function retrieveMetadata(studyInstanceUid, seriesInstanceUid, signal) {
  return requestJson(`${seriesPath(studyInstanceUid, seriesInstanceUid)}/metadata`, signal);
}

export function studyPath(studyInstanceUid) {
  return `${DICOM_WEB}/studies/${encodeURIComponent(studyInstanceUid)}`;
}

export function seriesPath(studyInstanceUid, seriesInstanceUid) {
  return `${studyPath(studyInstanceUid)}/series/${encodeURIComponent(seriesInstanceUid)}`;
}

export function instancePath(studyInstanceUid, seriesInstanceUid, sopInstanceUid) {
  return `${seriesPath(studyInstanceUid, seriesInstanceUid)}/instances/${encodeURIComponent(sopInstanceUid)}`;
}

/** The address of one rendered frame; without `window` the server applies the file's own, without `size` all pixels. */
export function renderedFrameAddress(instance, frameNumber, { window = null, size = null, quality = 85 } = {}) {
  const query = [`quality=${quality}`];
  if (size !== null) query.push(`viewport=${size.width},${size.height}`);
  if (window !== null) query.push(`window=${window}`);
  return `${instance}/frames/${frameNumber}/rendered?${query.join("&")}`;
}

/** The address at which a browser downloads the DICOM file as it is kept. */
export function downloadAddress(instance) {
  return `${instance}?accept=${encodeURIComponent("application/dicom")}`;
}
