/** What stands on the stage when no image can: why, and what may be done. */

import { DICOM_WEB, downloadAddress } from "./api.js";
import { bulkDataUri, text } from "./dicom-json.js";
import { element, icon, isolated } from "./dom.js";
import { plain } from "./format.js";
import { t } from "./i18n.js";
import { objectKind } from "./objects.js";

/** A sentence while something is on its way. */
export function quietCard(sentence) {
  return element("p", { class: "message-quiet", role: "status", text: sentence });
}

/** Something went wrong: what, why, and another try if `retry` is given. */
export function failureCard(title, sentence, retry = null) {
  return card("alert", element("h2", { text: title }), element("p", { text: sentence }), retry && retryButton(retry));
}

/** A slice that cannot be shown: why, and the way to its file. Scrolling goes on. */
export function imageFailureCard(sentence, instanceAddress, retry) {
  return card(
    "image",
    element("p", { text: sentence }),
    element("div", { class: "message-actions" }, retryButton(retry), originalLink(instanceAddress)),
  );
}

/** An object without pixels: what it is, its document if it carries one, and its file. */
export function objectCard(dataset, series, instanceAddress) {
  const kind = objectKind(dataset);
  const type = plain(text(dataset, "MIMETypeOfEncapsulatedDocument"));
  const address = ownAddress(bulkDataUri(dataset, "EncapsulatedDocument"));
  return card(
    kind.icon,
    element("h2", { text: t(kind.name) }),
    element("p", {}, isolated(plain(text(series, "SeriesDescription")))),
    element("p", { class: "message-quiet", text: t("object.text") }),
    element(
      "div",
      { class: "message-actions" },
      address && downloadLink(downloadAddress(address, type), t("viewer.download.document", { type })),
      originalLink(instanceAddress),
    ),
  );
}

function card(iconName, ...children) {
  return element("div", { class: "message-card" }, icon(iconName), ...children);
}

function retryButton(retry) {
  return element("button", { type: "button", class: "button", text: t("error.retry"), on: { click: retry } });
}

function originalLink(instanceAddress) {
  return downloadLink(downloadAddress(instanceAddress, "application/dicom"), t("viewer.download"));
}

function downloadLink(href, words) {
  return element("a", { class: "button", href, download: "" }, icon("download"), words);
}

/**
 * The path of bulk data at this archive, or null for any other place that a data set may name. The host is left
 * out: the archive knows itself by one name, the browser may have come by another.
 */
function ownAddress(address) {
  try {
    const { pathname } = new URL(address, location.href);
    return pathname.startsWith(`${DICOM_WEB}/`) ? pathname : null;
  } catch {
    return null;
  }
}
