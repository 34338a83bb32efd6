/** The archive's HTTP interface as the pages use it: addresses, answers, and what went wrong in words. */

const ROOT = new URL("..", import.meta.url).pathname; // "/", or what a proxy puts before all of our paths
export const DICOM_WEB = `${ROOT}dicom-web`;
const DICOM_JSON = "application/dicom+json";
const TIMEOUT_MS = 60_000;

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

/**
 * Fetch and `read` the answer, or throw a RequestFailure. An abort by `signal` stays what it is; a server that
 * does not finish in time is one that cannot be reached.
 */
export async function request(address, accept, read, signal = null) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, TIMEOUT_MS);
  signal?.addEventListener("abort", abort);
  try {
    const response = await fetch(address, { headers: { Accept: accept }, signal: controller.signal });
    if (response.ok) return await read(response);
    throw new RequestFailure(KINDS[response.status] ?? (response.status < 500 ? "request" : "server"));
  } catch (error) {
    if (signal?.aborted || error instanceof RequestFailure) throw error;
    throw new RequestFailure(error instanceof SyntaxError ? "server" : "network");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** The data sets of an answer; none where there is no content (204). */
async function readDatasets(response) {
  const answer = response.status === 204 ? [] : await response.json();
  return Array.isArray(answer) ? answer : [];
}

/**
 * A page of the study list, newest first: `{ studies, more }`. `filters` has `q` and the QIDO-RS keys
 * `ModalitiesInStudy` and `StudyDate`; empty ones are not sent.
 */
export function searchForStudies(filters, { limit, offset }, signal) {
  const query = new URLSearchParams({ limit, offset });
  for (const [key, value] of Object.entries(filters)) if (value) query.set(key, value);
  // PS3.18 8.3.4.4: the server warns with 299 where there are more results than it sent.
  const read = async (response) => ({
    studies: await readDatasets(response),
    more: (response.headers.get("Warning") ?? "").startsWith("299"),
  });
  return request(`${ROOT}api/studies?${query}`, DICOM_JSON, read, signal);
}

/** What studies can be opened with besides our own viewer: `{ ohif }`, its version, or null where it is not installed. */
export function listViewers() {
  return request(`${ROOT}api/viewers`, "application/json", (response) => response.json());
}

/** Where OHIF shows a study. */
export function ohifAddress(studyInstanceUid) {
  return `${ROOT}ohif/viewer?StudyInstanceUIDs=${encodeURIComponent(studyInstanceUid)}`;
}

export function searchForSeries(studyInstanceUid) {
  return request(`${studyPath(studyInstanceUid)}/series`, DICOM_JSON, readDatasets);
}

/** The study's own attributes: a data set, or null where the archive has no such study. */
export async function searchForStudy(studyInstanceUid) {
  const query = new URLSearchParams({ StudyInstanceUID: studyInstanceUid });
  const [study] = await request(`${DICOM_WEB}/studies?${query}`, DICOM_JSON, readDatasets);
  return study ?? null;
}

/** What the index knows of the instances of a series: at once, where their metadata may take seconds. */
export function searchForInstances(studyInstanceUid, seriesInstanceUid) {
  return request(`${seriesPath(studyInstanceUid, seriesInstanceUid)}/instances`, DICOM_JSON, readDatasets);
}

/** The data sets of all instances of a series, without pixels. */
export function retrieveMetadata(studyInstanceUid, seriesInstanceUid) {
  return request(`${seriesPath(studyInstanceUid, seriesInstanceUid)}/metadata`, DICOM_JSON, readDatasets);
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

/** How the server shows the gray levels of a frame: `{ default_voi, ... }`. */
export function retrievePresentation(instance, frameNumber, signal) {
  return request(`${instance}/frames/${frameNumber}/presentation`, "application/json", (response) => response.json(), signal);
}

/** The address of the stored values of one frame. */
export function exactFrameAddress(instance, frameNumber) {
  return `${instance}/frames/${frameNumber}/exact`;
}

/** The address of small pictures of all frames of a series, in one answer. */
export function previewsAddress(studyInstanceUid, seriesInstanceUid, { side, quality }) {
  return `${seriesPath(studyInstanceUid, seriesInstanceUid)}/previews?viewport=${side},${side}&quality=${quality}`;
}

/** The address at which a browser, which asks for HTML first, gets this media type alone and not in parts. */
export function downloadAddress(path, mediaType) {
  return `${path}?accept=${encodeURIComponent(mediaType)}`;
}
