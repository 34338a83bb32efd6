/** The words around the image: who, when, which slice, which window, which way, how large. */

import { element, isolated } from "./dom.js";
import { number, personName, text, values } from "./dicom-json.js";
import { formatDate, formatPersonName, formatWindowValue, plain } from "./format.js";
import { rulerLength } from "./geometry.js";
import { language, t } from "./i18n.js";
import { edgeLetters, turnedLetters } from "./orientation.js";
import { imageOrientation } from "./slices.js";
import { sexAndAge, studyTime } from "./study-words.js";
import { isWindowed } from "./windows.js";

const RULER_ROOM = 140; // CSS pixels

/** Writes the overlays of `viewport` into the corners and edges below `root`. */
export class Overlays {
  #at;

  constructor(root) {
    this.#at = (name) => root.querySelector(`[data-at="${name}"]`);
  }

  /** `series` is the data set of the series, from the search. */
  render(viewport, series) {
    const { drawn } = viewport;
    const dataset = (drawn?.slice ?? viewport.slice)?.dataset ?? null;
    this.#lines("patient", dataset === null ? [] : patientLines(dataset));
    this.#lines("study", dataset === null ? [] : studyLines(dataset));
    this.#lines("slice", dataset === null ? [] : [...seriesLines(series), ...sliceLines(viewport)]);
    this.#lines("notice", drawn === null ? [] : [t(viewport.isExact ? "viewer.exact" : "viewer.lossy")]);
    this.#renderEdges(viewport);
    this.#renderRuler(viewport.scale);
  }

  #lines(name, lines) {
    this.#at(name).replaceChildren(...lines.filter(Boolean).map((line) => element("p", {}, isolated(line))));
  }

  #renderEdges({ drawn, view }) {
    const edges = drawn === null ? null : edgesOf(drawn.slice);
    const turned = edges === null ? {} : turnedLetters(edges, view.quarterTurns, view.flipped);
    for (const edge of ["top", "right", "bottom", "left"]) this.#at(edge).textContent = turned[edge] ?? "";
  }

  #renderRuler(scale) {
    const ruler = this.#at("ruler");
    ruler.hidden = scale === null;
    if (scale === null) return;
    const length = rulerLength(1 / scale.pixelsPerMm, RULER_ROOM);
    const words = length >= 10 ? `${length / 10} cm` : `${length} mm`;
    ruler.firstElementChild.textContent = scale.atDetector ? `${words} (${t("viewer.detector")})` : words;
    ruler.lastElementChild.style.width = `${length * scale.pixelsPerMm}px`;
  }
}

function patientLines(dataset) {
  const born = text(dataset, "PatientBirthDate");
  const id = plain(text(dataset, "PatientID"));
  return [
    formatPersonName(personName(dataset, "PatientName")) || t("list.no_name"),
    id && t("patient.id", { id }),
    [sexAndAge(dataset), born && t("patient.born", { date: formatDate(born, language()) })].filter(Boolean).join(" · "),
  ];
}

function studyLines(dataset) {
  return [plain(text(dataset, "InstitutionName")), studyTime(dataset), plain(text(dataset, "StudyDescription"))];
}

function seriesLines(series) {
  const seriesNumber = number(series, "SeriesNumber");
  const name = plain(text(series, "SeriesDescription"));
  return [[text(series, "Modality"), seriesNumber === null ? "" : `#${seriesNumber}`, name].filter(Boolean).join("  ")];
}

function sliceLines(viewport) {
  const { drawn, count } = viewport;
  const position = t("viewer.image_of", { n: (drawn?.index ?? viewport.index) + 1, count });
  if (drawn === null || !isWindowed(drawn.slice)) return [position];
  if (drawn.window === null) return [position, t("window.auto")];
  const { center, width } = drawn.window;
  return [position, t("window.values", { center: formatWindowValue(center), width: formatWindowValue(width) })];
}

function edgesOf(slice) {
  return edgeLetters(imageOrientation(slice), values(slice.dataset, "PatientOrientation"));
}
