/**
 * Reading the DICOM JSON model (PS3.18 Annex F) by keyword. Readers answer with null or an empty list where
 * the data set has nothing usable; they never throw on what a device wrote.
 */

const TAGS = {
  SOPClassUID: "00080016",
  SOPInstanceUID: "00080018",
  StudyDate: "00080020",
  StudyTime: "00080030",
  Modality: "00080060",
  ModalitiesInStudy: "00080061",
  InstitutionName: "00080080",
  CodeValue: "00080100",
  CodeMeaning: "00080104",
  StudyDescription: "00081030",
  ProcedureCodeSequence: "00081032",
  SeriesDescription: "0008103E",
  RecommendedDisplayFrameRate: "00082144",
  PatientName: "00100010",
  PatientID: "00100020",
  PatientBirthDate: "00100030",
  PatientSex: "00100040",
  CineRate: "00180040",
  FrameTime: "00181063",
  ImagerPixelSpacing: "00181164",
  NominalScannedPixelSpacing: "00182010",
  StudyInstanceUID: "0020000D",
  SeriesInstanceUID: "0020000E",
  SeriesNumber: "00200011",
  InstanceNumber: "00200013",
  PatientOrientation: "00200020",
  ImagePositionPatient: "00200032",
  ImageOrientationPatient: "00200037",
  NumberOfStudyRelatedSeries: "00201206",
  NumberOfStudyRelatedInstances: "00201208",
  NumberOfSeriesRelatedInstances: "00201209",
  PlanePositionSequence: "00209113",
  PlaneOrientationSequence: "00209116",
  SamplesPerPixel: "00280002",
  PhotometricInterpretation: "00280004",
  NumberOfFrames: "00280008",
  Rows: "00280010",
  Columns: "00280011",
  PixelSpacing: "00280030",
  PixelAspectRatio: "00280034",
  BitsStored: "00280101",
  PixelRepresentation: "00280103",
  SmallestImagePixelValue: "00280106",
  LargestImagePixelValue: "00280107",
  WindowCenter: "00281050",
  WindowWidth: "00281051",
  RescaleIntercept: "00281052",
  RescaleSlope: "00281053",
  WindowCenterWidthExplanation: "00281055",
  VOILUTFunction: "00281056",
  RecommendedViewingMode: "00281090",
  VOILUTSequence: "00283010",
  MaskSubtractionSequence: "00286100",
  PixelMeasuresSequence: "00289110",
  FrameVOILUTSequence: "00289132",
  EncapsulatedDocument: "00420011",
  MIMETypeOfEncapsulatedDocument: "00420012",
  PresentationLUTShape: "20500020",
  SharedFunctionalGroupsSequence: "52009229",
  PerFrameFunctionalGroupsSequence: "52009230",
};

/** All values of an attribute; empty where it is absent or empty. */
export function values(dataset, keyword) {
  const value = dataset?.[TAGS[keyword]]?.Value;
  return Array.isArray(value) ? value : [];
}

/** The first value as text, or "". */
export function text(dataset, keyword) {
  const [first] = values(dataset, keyword);
  return typeof first === "string" || typeof first === "number" ? String(first).trim() : "";
}

/** All values as finite numbers; empty unless every one is (DS and IS may come as strings). */
export function numbers(dataset, keyword) {
  const found = values(dataset, keyword).map((value) => (value === null || value === "" ? NaN : Number(value)));
  return found.every(Number.isFinite) ? found : [];
}

/** The first value as a number, or null. */
export function number(dataset, keyword) {
  return numbers(dataset, keyword)[0] ?? null;
}

/** A person's name as the device wrote it: the first group that is there, carets and all. */
export function personName(dataset, keyword) {
  const [name] = values(dataset, keyword);
  const group = name?.Alphabetic || name?.Ideographic || name?.Phonetic;
  return typeof group === "string" ? group : "";
}

/** The items of a sequence. */
export function items(dataset, keyword) {
  return values(dataset, keyword).filter((item) => item !== null && typeof item === "object");
}

/** The address of a value that travels apart (BulkDataURI), or null. */
export function bulkDataUri(dataset, keyword) {
  return dataset?.[TAGS[keyword]]?.BulkDataURI ?? null;
}

/**
 * The data set in which an attribute of one frame (1-based) stands: the item of the frame's own functional
 * group, or of the shared one, or the data set itself where there are no functional groups.
 *
 * PS3.3 C.7.6.16
 */
export function frameGroup(dataset, frameNumber, macroKeyword) {
  const perFrame = items(dataset, "PerFrameFunctionalGroupsSequence")[frameNumber - 1];
  const [shared] = items(dataset, "SharedFunctionalGroupsSequence");
  return items(perFrame, macroKeyword)[0] ?? items(shared, macroKeyword)[0] ?? dataset;
}
