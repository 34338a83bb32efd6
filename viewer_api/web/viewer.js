/** The viewer page: opens the study that the address names, and joins strip, stage, tools and keys. */

import {
  RequestFailure,
  instancePath,
  previewsAddress,
  retrieveMetadata,
  searchForInstances,
  searchForSeries,
  searchForStudy,
} from "./api.js";
import { Cine } from "./cine.js";
import { number, personName, text } from "./dicom-json.js";
import { byId, element, isolated } from "./dom.js";
import { formatPersonName, plain } from "./format.js";
import { Gestures } from "./gestures.js";
import { bindLanguageSwitch, onLanguageChange, t, translatePage } from "./i18n.js";
import { listenToKeys } from "./keyboard.js";
import { failureCard, imageFailureCard, objectCard, quietCard } from "./message-cards.js";
import { objectIconOfModality } from "./objects.js";
import { Overlays } from "./overlays.js";
import { SeriesStrip } from "./series-strip.js";
import { stacksOfSeries } from "./slices.js";
import { StackViewport } from "./stack-viewport.js";
import { Stage } from "./stage.js";
import { studyTime } from "./study-words.js";
import { Toolbar } from "./toolbar.js";

const MEBIBYTE = 1024 * 1024;
const PREVIEW = { side: 160, quality: 60 };

const studyInstanceUid = studyOfAddress(location.search);
const isPhone = matchMedia("(pointer: coarse)").matches;
// Safari and Firefox do not tell; then a phone is taken for one on a mobile network.
const isSlow = /2g|3g/.test(navigator.connection?.effectiveType ?? "");
const stageNode = byId("stage");
const stage = new Stage(byId("canvas"), () => viewport.resized());
const viewport = new StackViewport(stage, {
  maxBytes: (isPhone ? 72 : 224) * MEBIBYTE,
  maxExactBytes: (isPhone ? 24 : 192) * MEBIBYTE,
  isSparing: navigator.connection?.saveData === true || isSlow,
  onChange: render,
});
const cine = new Cine(viewport, render);
const overlays = new Overlays(stageNode);
const toolbar = new Toolbar(viewport, cine, { modality: () => text(chosen?.series, "Modality") });
const strip = new SeriesStrip(byId("series"), studyInstanceUid, open);

let study = null;
let entries = [];
let chosen = null; // the entry on show
let message = null; // () => card, shown instead of an image
let cardCause = null; // of the card that is on the stage
let isRenderDue = false;

start();

function start() {
  translatePage();
  bindLanguageSwitch(byId("language"));
  onLanguageChange(() => {
    strip.render(entries, chosen);
    renderHeading();
    renderCard(null);
    render();
  });
  new Gestures(stageNode, {
    tool: () => toolbar.tool,
    count: () => viewport.count,
    scroll: (steps) => scroll(steps),
    startWindow: () => viewport.startWindowDrag(),
    window: (dx, dy) => viewport.dragWindow(dx, dy),
    endWindow: () => viewport.endWindowDrag(),
    pan: (dx, dy) => viewport.pan(dx, dy),
    zoom: (factor, x, y) => viewport.zoom(factor, x, y),
    reset: () => viewport.reset(),
  });
  renderHeading();
  listenToKeys({ viewport, toolbar, cine, scroll });
  document.addEventListener("visibilitychange", () => document.hidden && cine.pause());
  openStudy();
}

/** The study named by `StudyInstanceUIDs` (the first of several), or null where it is no UID. */
export function studyOfAddress(query) {
  const [uid] = (new URLSearchParams(query).get("StudyInstanceUIDs") ?? "").split(",");
  return /^[0-9.]{1,64}$/.test(uid) ? uid : null;
}

async function openStudy() {
  if (studyInstanceUid === null) return say(() => failureCard(t("viewer.error.title"), t("viewer.no_study")));
  say(() => quietCard(t("viewer.loading")));
  try {
    const [found, series] = await Promise.all([searchForStudy(studyInstanceUid), searchForSeries(studyInstanceUid)]);
    study = found;
    renderHeading();
    entries = series.sort(byNumber).map((dataset) => ({ series: dataset, stack: null, isPart: false }));
  } catch (error) {
    return say(() => failureCard(t("viewer.error.title"), reason(error), openStudy));
  }
  if (entries.length === 0) return say(() => failureCard(t("viewer.no_series"), "", openStudy));
  strip.render(entries, null);
  return open(entries.find(({ series }) => objectIconOfModality(text(series, "Modality")) === null) ?? entries[0]);
}

/** Show an entry of the strip; the first time, its instances are fetched and it may turn into several. */
async function open(entry) {
  chosen = entry;
  strip.select(entry);
  cine.pause();
  viewport.clear();
  if (entry.stack !== null) return showStack(entry);
  say(() => quietCard(t("viewer.loading")));
  preview(entry);
  try {
    const [first] = await expand(entry);
    if (chosen !== entry) return undefined;
    chosen = first;
    return showStack(first);
  } catch (error) {
    if (chosen !== entry) return undefined;
    viewport.clear();
    return say(() => failureCard(t("viewer.error.title"), reason(error), () => open(entry)));
  }
}

/** Show the images of a series by what the index knows of them, until their metadata is there. */
async function preview(entry) {
  const instances = await searchForInstances(studyInstanceUid, seriesOf(entry)).catch(() => []);
  const [stack] = stacksOfSeries(instances.map((instance) => ({ ...study, ...entry.series, ...instance })));
  if (chosen === entry && stack?.kind === "images") showStack({ series: entry.series, stack });
}

/** Put the stacks of a series into the strip, in the place of its entry, and return their entries. */
async function expand(entry) {
  // Of objects that are not shown, the index knows enough; a document's metadata tells where the document is.
  const modality = text(entry.series, "Modality");
  const isNameEnough = objectIconOfModality(modality) !== null && modality !== "DOC";
  const stacks = stacksOfSeries(await (isNameEnough ? searchForInstances : retrieveMetadata)(studyInstanceUid, seriesOf(entry)));
  if (stacks.length === 0) throw new RequestFailure("missing");
  const known = stacks.map((stack) => ({ series: entry.series, stack, isPart: stacks.length > 1 }));
  entries = entries.flatMap((each) => (each === entry ? known : [each]));
  strip.render(entries, chosen === entry ? known[0] : chosen);
  return known;
}

function showStack({ series, stack }) {
  if (stack.kind === "object") return say(() => objectCard(stack.dataset, series, instanceAddress(stack)));
  say(null);
  cine.load(stack);
  const previews = isPhone || isSlow ? previewsAddress(studyInstanceUid, text(series, "SeriesInstanceUID"), PREVIEW) : null;
  return viewport.show(stack, { instanceAddress, modality: text(series, "Modality"), previews });
}

function seriesOf({ series }) {
  return text(series, "SeriesInstanceUID");
}

/** Where the archive keeps the instance of a slice (or object) of the chosen series. */
function instanceAddress({ sopInstanceUid }) {
  return instancePath(studyInstanceUid, seriesOf(chosen), sopInstanceUid);
}

function scroll(steps) {
  cine.pause();
  viewport.step(steps);
}

function say(makeCard) {
  message = makeCard;
  render();
}

/** Ask for the page to be brought up to date, once for all changes before the next picture of it. */
function render() {
  if (isRenderDue) return;
  isRenderDue = true;
  requestAnimationFrame(() => {
    isRenderDue = false;
    renderNow();
  });
}

function renderNow() {
  overlays.render(viewport, chosen?.series ?? null);
  toolbar.render();
  const { state, index, count } = viewport;
  stageNode.dataset.state = message === null ? state : "message";
  stageNode.setAttribute("aria-busy", String(chosen?.stack === null));
  stageNode.dataset.pixels = viewport.isExact ? "exact" : "rendered";
  stageNode.dataset.slice = String((viewport.drawn?.index ?? index) + 1);
  stageNode.setAttribute("aria-label", count > 0 ? t("viewer.image_of", { n: index + 1, count }) : t("viewer.stage"));
  renderCard(message ?? viewport.failure);
}

/** Put a card on the stage for `cause`: a function that makes it, a failure of the slice, or null for none. */
function renderCard(cause) {
  if (cause === cardCause) return; // building it again would take the focus from its buttons
  cardCause = cause;
  const ofImage = () => imageFailureCard(reason(cause), instanceAddress(viewport.slice), () => viewport.retry());
  const cards = cause === null ? [] : [typeof cause === "function" ? cause() : ofImage()];
  byId("message").replaceChildren(...cards);
  byId("message").hidden = cause === null;
}

function renderHeading() {
  const name = formatPersonName(personName(study, "PatientName"));
  byId("patient").replaceChildren(isolated(name || t(study === null ? "viewer.title" : "list.no_name")));
  const parts = [studyTime(study), plain(text(study, "StudyDescription"))].filter(Boolean);
  byId("study").replaceChildren(isolated(parts.join(" · ")));
}

function reason(error) {
  return t(`error.${error instanceof RequestFailure ? error.kind : "server"}`);
}

function byNumber(a, b) {
  const rank = (series) => (objectIconOfModality(text(series, "Modality")) === null ? 0 : 1);
  const order = (series) => number(series, "SeriesNumber") ?? Infinity;
  return rank(a) - rank(b) || (order(a) === order(b) ? 0 : order(a) - order(b));
}
