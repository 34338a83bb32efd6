/** Facts of a study in words, for the list and for the viewer. */

import { text } from "./dicom-json.js";
import { ageOn, formatDate, formatTime } from "./format.js";
import { language, t } from "./i18n.js";

/** Sex and age (at the study) of a data set in words, e.g. "Nữ, 45 tuổi"; "" where nothing is known. */
export function sexAndAge(dataset) {
  const sex = text(dataset, "PatientSex");
  const age = ageOn(text(dataset, "PatientBirthDate"), text(dataset, "StudyDate"));
  const parts = [["M", "F", "O"].includes(sex) ? t(`sex.${sex}`) : "", age === null ? "" : t(`age.${age.unit}`, { n: age.n })];
  return parts.filter(Boolean).join(", ");
}

/** Date and time of a study, e.g. "20/11/2026 14:32". */
export function studyTime(dataset) {
  return [formatDate(text(dataset, "StudyDate"), language()), formatTime(text(dataset, "StudyTime"))].filter(Boolean).join(" ");
}
