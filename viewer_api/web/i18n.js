/** Which language the page speaks, and the sentences in it. Vietnamese first, English too. */

import { MESSAGES } from "./messages.js";

const STORAGE_KEY = "filmless.language";
const changed = new EventTarget();
let current = initialLanguage(readStored(), navigator.languages ?? [navigator.language]);

/**
 * Choose the language of a first visit: what was chosen before, else the first one of the browser's that we
 * speak, else Vietnamese.
 */
export function initialLanguage(stored, preferred) {
  const spoken = preferred.map((tag) => String(tag).toLowerCase().split("-")[0]);
  return [stored, ...spoken].find((code) => code in MESSAGES) ?? "vi";
}

/** The language of the page: "vi" or "en". */
export function language() {
  return current;
}

/** Change the language, remember it, and tell those who asked (`onLanguageChange`). */
export function setLanguage(code) {
  current = code;
  try {
    localStorage.setItem(STORAGE_KEY, code);
  } catch {
    // Private windows may forbid storage; the choice then lasts as long as the page.
  }
  translatePage();
  changed.dispatchEvent(new Event("change"));
}

export function onLanguageChange(listener) {
  changed.addEventListener("change", listener);
}

/** The sentence `key` in the current language; `{name}` filled from `values`, `one|many` chosen by `values.n`. */
export function t(key, values = {}) {
  const forms = (MESSAGES[current][key] ?? key).split("|");
  const sentence = Number(values.n) === 1 ? forms[0] : forms[forms.length - 1];
  return sentence.replace(/\{(\w+)\}/g, (_, name) =>
    typeof values[name] === "number" ? formatNumber(values[name]) : String(values[name] ?? ""),
  );
}

/** A number as the language writes it: 1.234,5 or 1,234.5. */
export function formatNumber(value) {
  return new Intl.NumberFormat(current, { maximumFractionDigits: 2 }).format(value);
}

/**
 * Write the sentences into the static part of the page: `data-i18n` is the text, `data-i18n-label` the
 * accessible name and tooltip, `data-i18n-placeholder` the placeholder.
 */
export function translatePage(root = document) {
  document.documentElement.lang = current;
  for (const node of root.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const node of root.querySelectorAll("[data-i18n-label]")) {
    node.setAttribute("aria-label", t(node.dataset.i18nLabel));
    node.title = t(node.dataset.i18nLabel);
  }
  for (const node of root.querySelectorAll("[data-i18n-placeholder]")) {
    node.placeholder = t(node.dataset.i18nPlaceholder);
  }
}

/** Make `button` switch between the two languages. */
export function bindLanguageSwitch(button) {
  button.addEventListener("click", () => setLanguage(current === "vi" ? "en" : "vi"));
}

function readStored() {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}
