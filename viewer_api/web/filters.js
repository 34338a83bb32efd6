/** What the list is filtered by, and how that stands in the page's address and in a search. Pure. */

import { dicomDate } from "./format.js";

/** Shortcuts of the study date: first and last day, counted back from today. */
export const DATE_SHORTCUTS = {
  all: null,
  today: { first: 0, last: 0 },
  yesterday: { first: 1, last: 1 },
  week: { first: 6, last: 0 },
  month: { first: 29, last: 0 },
};

/** Families of devices, as people name them; `label` is a sentence's key or the code itself. */
export const MODALITY_CHOICES = [
  { name: "CT", label: "CT", modalities: ["CT"] },
  { name: "MR", label: "MR", modalities: ["MR"] },
  { name: "XR", label: "list.modality.xray", modalities: ["CR", "DX", "RF"] },
  { name: "US", label: "list.modality.ultrasound", modalities: ["US"] },
  { name: "MG", label: "list.modality.mammography", modalities: ["MG"] },
  { name: "XA", label: "list.modality.angiography", modalities: ["XA"] },
  { name: "NM", label: "list.modality.nuclear", modalities: ["NM", "PT"] },
];

const NONE = Object.freeze({ q: "", date: "all", modalities: Object.freeze([]) });

/** The filters that a query string names; what it names wrongly is left out. */
export function filtersOfAddress(query) {
  const parameters = new URLSearchParams(query);
  const date = parameters.get("date");
  const known = new Set(MODALITY_CHOICES.map(({ name }) => name));
  return {
    q: parameters.get("q") ?? NONE.q,
    date: Object.hasOwn(DATE_SHORTCUTS, date ?? "") ? date : NONE.date,
    modalities: (parameters.get("modality") ?? "").split(",").filter((name) => known.has(name)),
  };
}

/** The query string that `filtersOfAddress` reads back; "" for no filters. */
export function addressOfFilters({ q, date, modalities }) {
  const parameters = new URLSearchParams();
  if (q) parameters.set("q", q);
  if (date !== NONE.date) parameters.set("date", date);
  if (modalities.length > 0) parameters.set("modality", modalities.join(","));
  return parameters.size > 0 ? `?${parameters}` : "";
}

/** The keys of a search (PS3.18 8.3.4, 10.6). */
export function searchKeys({ q, date, modalities }, now) {
  const days = DATE_SHORTCUTS[date];
  const chosen = MODALITY_CHOICES.filter(({ name }) => modalities.includes(name));
  return {
    q: q.trim(),
    StudyDate: days === null ? "" : `${dicomDate(now, days.first)}-${dicomDate(now, days.last)}`,
    ModalitiesInStudy: chosen.flatMap((choice) => choice.modalities).join(","),
  };
}

export function isFiltered({ q, date, modalities }) {
  return q.trim() !== "" || date !== NONE.date || modalities.length > 0;
}

export function noFilters() {
  return { ...NONE, modalities: [] };
}
