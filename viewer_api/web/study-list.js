/** The study list page: search box, filters, the list itself, and quiet news of what arrives. */

import { listViewers } from "./api.js";
import { byId, element, icon } from "./dom.js";
import { DATE_SHORTCUTS, MODALITY_CHOICES, addressOfFilters, filtersOfAddress, isFiltered, noFilters, searchKeys } from "./filters.js";
import { bindLanguageSwitch, language, onLanguageChange, t, translatePage } from "./i18n.js";
import { text } from "./dicom-json.js";
import { studyRow } from "./study-row.js";
import { StudySearch } from "./study-search.js";

const TYPING_PAUSE_MS = 250;
const POLL_MS = 15_000;
const AT_TOP = 80; // CSS pixels of scroll within which the list may grow at its top unasked
const SKELETON_ROWS = 7;

const list = byId("studies");
const searchBox = byId("search");
const drawn = new Map(); // StudyInstanceUID -> { node, source }
const studySearch = new StudySearch(() => searchKeys(filters, new Date()), render);

let filters = filtersOfAddress(location.search);
let typing = null;

start();

function start() {
  translatePage();
  bindLanguageSwitch(byId("language"));
  onLanguageChange(() => {
    renderFilters();
    render();
  });
  searchBox.value = filters.q;
  searchBox.addEventListener("input", () => {
    byId("clear").hidden = searchBox.value === "";
    clearTimeout(typing);
    typing = setTimeout(searchNow, TYPING_PAUSE_MS);
  });
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    searchNow();
  });
  byId("clear").addEventListener("click", () => {
    searchBox.value = "";
    searchBox.focus();
    searchNow();
  });
  byId("more").addEventListener("click", () => studySearch.more());
  byId("news").addEventListener("click", takeNews);
  new IntersectionObserver(([more]) => more.isIntersecting && studySearch.more(), { rootMargin: "600px" }).observe(byId("more"));
  document.addEventListener("visibilitychange", () => document.hidden || studySearch.poll());
  setInterval(() => document.hidden || studySearch.poll(), POLL_MS);
  renderFilters();
  studySearch.restart();
  offerOhif();
}

/** The links to OHIF are in every row; they are shown once it is known to be installed. */
async function offerOhif() {
  const { ohif } = await listViewers().catch(() => ({ ohif: null }));
  document.body.classList.toggle("has-ohif", ohif !== null);
}

function searchNow() {
  clearTimeout(typing);
  applyFilters({ ...filters, q: searchBox.value });
}

function applyFilters(changed) {
  filters = changed;
  searchBox.value = filters.q;
  history.replaceState(null, "", location.pathname + addressOfFilters(filters));
  renderFilters();
  studySearch.restart();
}

function takeNews() {
  scrollTo({ top: 0 });
  studySearch.takeNews();
}

function renderFilters() {
  byId("clear").hidden = filters.q === "";
  byId("dates").replaceChildren(
    ...Object.keys(DATE_SHORTCUTS).map((date) => chip(t(`list.date.${date}`), filters.date === date, { ...filters, date })),
  );
  byId("modalities").replaceChildren(
    chip(t("list.modality.all"), filters.modalities.length === 0, { ...filters, modalities: [] }),
    ...MODALITY_CHOICES.map(({ name, label }) =>
      chip(t(label), filters.modalities.includes(name), { ...filters, modalities: toggled(filters.modalities, name) }),
    ),
  );
}

function chip(words, isPressed, filtersThen) {
  const choose = ({ currentTarget }) => {
    const place = [currentTarget.parentElement, [...currentTarget.parentElement.children].indexOf(currentTarget)];
    applyFilters(filtersThen);
    place[0].children[place[1]].focus(); // the chips were built again
  };
  return element("button", { type: "button", class: "chip", text: words, "aria-pressed": String(isPressed), on: { click: choose } });
}

function toggled(names, name) {
  return names.includes(name) ? names.filter((each) => each !== name) : [...names, name];
}

function render() {
  if (studySearch.newsCount > 0 && scrollY <= AT_TOP) return studySearch.takeNews();
  const { state, studies, isMore, newsCount, isOffline } = studySearch;
  const isFirstLoad = state === "loading" && studies.length === 0;
  list.setAttribute("aria-busy", String(state === "loading"));
  renderRows(state === "failed" ? [] : studies);
  byId("skeleton").replaceChildren(...(isFirstLoad ? Array.from({ length: SKELETON_ROWS }, () => element("li")) : []));
  byId("more").hidden = !isMore || state === "failed";
  byId("news").hidden = newsCount === 0;
  byId("news-words").textContent = t("list.new", { n: newsCount });
  byId("offline").hidden = !isOffline;
  byId("columns").hidden = studies.length === 0 || state === "failed";
  byId("status").textContent = statusWords();
  renderNotice();
  return undefined;
}

function statusWords() {
  const { state, studies, isMore } = studySearch;
  if (state === "loading" && studies.length === 0) return t("list.loading");
  if (state === "failed" || studies.length === 0) return "";
  return t(isMore ? "list.shown.more" : "list.shown", { n: studies.length });
}

/** Bring the rows into the list's order, touching only those that changed. */
function renderRows(studies) {
  const isGrowing = drawn.size > 0;
  const wanted = studies.map((study) => rowOf(study, isGrowing));
  const keep = new Set(wanted);
  for (const [uid, { node }] of drawn) {
    if (keep.has(node)) continue;
    node.remove();
    drawn.delete(uid);
  }
  wanted.forEach((node, i) => list.children[i] === node || list.insertBefore(node, list.children[i] ?? null));
}

function rowOf(study, isGrowing) {
  const uid = text(study, "StudyInstanceUID");
  const source = language() + JSON.stringify(study);
  const known = drawn.get(uid);
  if (known?.source === source) return known.node;
  const node = studyRow(study);
  if (known === undefined && isGrowing) node.classList.add("arrived");
  if (known !== undefined) replaceRow(known.node, node);
  drawn.set(uid, { node, source });
  return node;
}

function replaceRow(old, node) {
  const hadFocus = old.contains(document.activeElement);
  old.replaceWith(node);
  if (hadFocus) node.querySelector("a").focus();
}

/** What stands in the place of an empty list. */
function renderNotice() {
  const { state, studies, failure } = studySearch;
  const notice = byId("notice");
  notice.hidden = !(state === "failed" || (state === "ready" && studies.length === 0));
  if (notice.hidden) return;
  notice.replaceChildren(...(state === "failed" ? failedNotice(failure) : emptyNotice()));
}

function failedNotice(failure) {
  return [
    icon("alert"),
    element("h2", { text: t("list.error.title") }),
    element("p", { text: t(`error.${failure.kind}`) }),
    noticeButton("error.retry", () => studySearch.restart()),
  ];
}

function emptyNotice() {
  if (!isFiltered(filters)) {
    return [icon("inbox"), element("h2", { text: t("list.empty.title") }), element("p", { text: t("list.empty.text") })];
  }
  return [
    icon("search"),
    element("h2", { text: t("list.none.title") }),
    element("p", { text: t("list.none.text") }),
    noticeButton("list.none.clear", () => applyFilters(noFilters())),
  ];
}

function noticeButton(key, act) {
  return element("button", { type: "button", class: "button", text: t(key), on: { click: act } });
}
