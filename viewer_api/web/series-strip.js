/** The strip of series: a card for each, or for each stack of it once its instances are known. */

import { element, icon, isolated } from "./dom.js";
import { number, text } from "./dicom-json.js";
import { plain } from "./format.js";
import { instancePath, seriesPath } from "./api.js";
import { t } from "./i18n.js";
import { objectIconOfModality, objectKind } from "./objects.js";

const THUMBNAIL = "thumbnail?viewport=160,160";

/**
 * `entries` are `{ series, stack, isPart }`: the stack null while only the series is known, `isPart` true where
 * the series has several. `onChoose(entry)` is told of a click.
 */
export class SeriesStrip {
  #root;
  #studyInstanceUid;
  #onChoose;
  #cards = new Map(); // entry -> card

  constructor(root, studyInstanceUid, onChoose) {
    this.#root = root;
    this.#studyInstanceUid = studyInstanceUid;
    this.#onChoose = onChoose;
  }

  render(entries, selected) {
    this.#cards = new Map(entries.map((entry) => [entry, this.#card(entry)]));
    this.#root.replaceChildren(...[...this.#cards.values()].map((card) => element("li", {}, card)));
    this.select(selected);
  }

  select(selected) {
    for (const [entry, card] of this.#cards) {
      card.setAttribute("aria-current", String(entry === selected));
      if (entry === selected) card.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  #card(entry) {
    const { series } = entry;
    const name = plain(text(series, "SeriesDescription"));
    const seriesNumber = number(series, "SeriesNumber");
    const title = name || (seriesNumber === null ? text(series, "Modality") : t("viewer.series.number", { n: seriesNumber }));
    return element(
      "button",
      { class: "series-card", type: "button", title, on: { click: () => this.#onChoose(entry) } },
      this.#picture(entry),
      element(
        "span",
        { class: "series-words" },
        isolated(title, "series-title"),
        element("span", { class: "series-count", text: `${text(series, "Modality")} · ${countOf(entry)}` }),
      ),
    );
  }

  /** A thumbnail where there are pixels; an icon where there are none, or where the thumbnail does not come. */
  #picture(entry) {
    const { series, stack } = entry;
    const frame = element("span", { class: "series-picture" });
    const objectIcon = stack?.kind === "object" ? objectKind(stack.dataset).icon : objectIconOfModality(text(series, "Modality"));
    if (objectIcon !== null) {
      frame.append(icon(objectIcon));
      return frame;
    }
    const image = element("img", { alt: "", loading: "lazy", decoding: "async", src: this.#thumbnailAddress(entry) });
    image.addEventListener("error", () => frame.replaceChildren(icon("image")));
    frame.append(image);
    return frame;
  }

  #thumbnailAddress({ series, stack, isPart }) {
    const uid = text(series, "SeriesInstanceUID");
    const middle = stack?.slices[Math.floor(stack.slices.length / 2)];
    const path = isPart
      ? instancePath(this.#studyInstanceUid, uid, middle.sopInstanceUid)
      : seriesPath(this.#studyInstanceUid, uid);
    return `${path}/${THUMBNAIL}`;
  }
}

function countOf({ series, stack }) {
  if (stack?.kind === "object") return t(objectKind(stack.dataset).name);
  if (stack?.isLoop) return t("count.frames", { n: stack.slices.length });
  const count = stack?.slices.length ?? number(series, "NumberOfSeriesRelatedInstances") ?? 0;
  return t(objectIconOfModality(text(series, "Modality")) === null ? "count.images" : "count.objects", { n: count });
}
