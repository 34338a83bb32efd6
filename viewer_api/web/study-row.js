/** One study of the list: a row on a desk, a card on a phone. */

import { ohifAddress, studyPath } from "./api.js";
import { items, number, personName, text, values } from "./dicom-json.js";
import { element, icon, isolated } from "./dom.js";
import { formatDate, formatPersonName, formatTime, plain } from "./format.js";
import { language, t } from "./i18n.js";
import { objectIconOfModality } from "./objects.js";
import { sexAndAge } from "./study-words.js";

const FAMILIES = {
  CT: "ct",
  MR: "mr",
  CR: "xray",
  DX: "xray",
  RF: "xray",
  MG: "breast",
  US: "ultrasound",
  XA: "vessel",
  PT: "nuclear",
  NM: "nuclear",
};

/** The list item of a study, from its data set in a search answer. */
export function studyRow(study) {
  const uid = text(study, "StudyInstanceUID");
  return element(
    "li",
    { class: "study", dataset: { study: uid } },
    thumbnail(study, uid),
    patientCell(study, uid),
    element("div", { class: "cell modalities" }, values(study, "ModalitiesInStudy").map(badge)),
    element("div", { class: "facts" }, sexAndAgeCell(study), timeCell(study), countCell(study, uid)),
    descriptionCell(study),
  );
}

/** The study's thumbnail; an icon where it has no images, or where the thumbnail does not come. */
function thumbnail(study, uid) {
  const frame = element("div", { class: "thumbnail" });
  const [objectIcon] = values(study, "ModalitiesInStudy").map(objectIconOfModality);
  if (hasNoImages(study)) {
    frame.append(icon(objectIcon ?? "document"));
    return frame;
  }
  const image = element("img", { alt: "", loading: "lazy", decoding: "async", src: `${studyPath(uid)}/thumbnail` });
  image.addEventListener("error", () => frame.replaceChildren(icon("image")));
  frame.append(image);
  return frame;
}

function hasNoImages(study) {
  const modalities = values(study, "ModalitiesInStudy");
  return modalities.length > 0 && modalities.every((modality) => objectIconOfModality(modality) !== null);
}

function patientCell(study, uid) {
  const name = formatPersonName(personName(study, "PatientName")) || t("list.no_name");
  const link = element(
    "a",
    { href: `viewer/?StudyInstanceUIDs=${encodeURIComponent(uid)}`, title: t("list.study_of", { name }) },
    isolated(name),
  );
  return element(
    "div",
    { class: "cell patient" },
    element("h2", {}, link),
    element("p", { class: "soft" }, isolated(plain(text(study, "PatientID")))),
  );
}

function sexAndAgeCell(study) {
  const born = text(study, "PatientBirthDate");
  return element(
    "div",
    { class: "cell sex-age" },
    sexAndAge(study) && element("p", { text: sexAndAge(study) }),
    born && element("p", { class: "soft", text: formatDate(born, language()) }),
  );
}

function timeCell(study) {
  return element(
    "div",
    { class: "cell time" },
    element("p", { text: formatDate(text(study, "StudyDate"), language()) }),
    element("p", { class: "soft", text: formatTime(text(study, "StudyTime")) }),
  );
}

function badge(modality) {
  return element("span", { class: `badge badge-${FAMILIES[modality] ?? "other"}`, text: String(modality) });
}

function descriptionCell(study) {
  const description = plain(text(study, "StudyDescription"));
  const codes = items(study, "ProcedureCodeSequence").map(procedureCode);
  const nothing = element("p", { class: "soft", text: t("list.no_description") });
  return element(
    "div",
    { class: "cell description" },
    description && element("p", { class: "description-words" }, isolated(description)),
    description || codes.length > 0 ? codes : nothing,
  );
}

/** A national procedure code: the code itself, and what it means. */
function procedureCode(item) {
  const meaning = plain(text(item, "CodeMeaning"));
  return element(
    "p",
    { class: "code", title: meaning },
    isolated(plain(text(item, "CodeValue")), "code-value"),
    isolated(meaning, "code-meaning"),
  );
}

/** A way to OHIF, which the page shows where it is installed (`has-ohif`), and where there is something to see. */
function ohifLink(study, uid) {
  if (hasNoImages(study)) return null;
  return element("a", { class: "in-ohif", href: ohifAddress(uid), text: t("list.ohif") });
}

function countCell(study, uid) {
  const series = number(study, "NumberOfStudyRelatedSeries");
  const instances = number(study, "NumberOfStudyRelatedInstances");
  return element(
    "div",
    { class: "cell counts" },
    instances !== null && element("p", { text: t(hasNoImages(study) ? "count.objects" : "count.images", { n: instances }) }),
    series !== null && element("p", { class: "soft", text: t("count.series", { n: series }) }),
    ohifLink(study, uid),
  );
}
