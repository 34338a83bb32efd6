"""The attributes that the index keeps: one table for ingest, QIDO-RS and C-FIND."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from pacs.errors import InvalidRequest


class Level(IntEnum):
    """The levels of the Study Root information model (PS3.4 C.6.2.1); the study holds its patient."""

    STUDY = 1
    SERIES = 2
    INSTANCE = 3


class Matching(Enum):
    """How a key matches (PS3.4 C.2.2.2)."""

    TEXT = "wildcard"  # C.2.2.2.4, or single value
    FOLDED_TEXT = "folded wildcard"  # as TEXT, blind to case and diacritics
    PERSON_NAME = "name"  # as FOLDED_TEXT, in any of the component groups
    UID = "uid list"  # C.2.2.2.2
    CODE_STRING = "code string"  # TEXT with a list of alternatives, as clients send it
    DATE = "date"  # range, C.2.2.2.5
    TIME = "time"
    INTEGER = "integer"  # IS and US, by value
    NONE = "return only"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of the index.

    ``keyword`` names it on the wire; ``column`` is its name in SQL and in Python. ``derived`` ones are not
    read from the data set (counts, modalities of a study).
    """

    keyword: str
    tag: int
    vr: str
    level: Level
    matching: Matching
    column: str
    derived: bool = False
    default: bool = True  # answered without being asked for (PS3.18 Tables 10.6.3-3, -4, -5)
    of_patient: bool = False  # of the Patient level, where a model has one (PS3.4 Table C.6-1)
    multiple: bool = False  # of several values, which the column has with a backslash between them

    @property
    def name(self) -> str:
        """The key as a query spells it."""
        return self.keyword

    @property
    def tag_hex(self) -> str:
        """The tag as DICOM JSON spells it, e.g. ``0020000D``."""
        return f"{self.tag:08X}"


def _study(keyword: str, tag: int, vr: str, matching: Matching, column: str, **more: bool) -> Attribute:
    return Attribute(keyword, tag, vr, Level.STUDY, matching, column, **more)


def _series(keyword: str, tag: int, vr: str, matching: Matching, column: str, **more: bool) -> Attribute:
    return Attribute(keyword, tag, vr, Level.SERIES, matching, column, **more)


def _instance(keyword: str, tag: int, vr: str, matching: Matching, column: str, **more: bool) -> Attribute:
    return Attribute(keyword, tag, vr, Level.INSTANCE, matching, column, **more)


def _patient_count(keyword: str, tag: int, column: str) -> Attribute:
    return _study(keyword, tag, "IS", Matching.NONE, column, derived=True, of_patient=True)


ATTRIBUTES: tuple[Attribute, ...] = (
    _study("StudyDate", 0x00080020, "DA", Matching.DATE, "study_date"),
    _study("StudyTime", 0x00080030, "TM", Matching.TIME, "study_time"),
    _study("AccessionNumber", 0x00080050, "SH", Matching.TEXT, "accession_number"),
    _study("ModalitiesInStudy", 0x00080061, "CS", Matching.CODE_STRING, "modalities_in_study", derived=True),
    _study(
        "SOPClassesInStudy", 0x00080062, "UI", Matching.UID, "sop_classes_in_study",
        derived=True, default=False,
    ),
    _study("ReferringPhysicianName", 0x00080090, "PN", Matching.PERSON_NAME, "referring_physician_name"),
    _study("TimezoneOffsetFromUTC", 0x00080201, "SH", Matching.TEXT, "timezone_offset_from_utc"),
    _study("InstitutionName", 0x00080080, "LO", Matching.TEXT, "institution_name", default=False),
    _study("StudyDescription", 0x00081030, "LO", Matching.FOLDED_TEXT, "study_description"),
    _study(
        "NameOfPhysiciansReadingStudy", 0x00081060, "PN", Matching.PERSON_NAME,
        "name_of_physicians_reading_study", default=False, multiple=True,
    ),
    _study(
        "AdmittingDiagnosesDescription", 0x00081080, "LO", Matching.FOLDED_TEXT,
        "admitting_diagnoses_description", default=False, multiple=True,
    ),
    _study("PatientName", 0x00100010, "PN", Matching.PERSON_NAME, "patient_name", of_patient=True),
    _study("PatientID", 0x00100020, "LO", Matching.TEXT, "patient_id", of_patient=True),
    _study(
        "IssuerOfPatientID", 0x00100021, "LO", Matching.TEXT, "issuer_of_patient_id",
        default=False, of_patient=True,
    ),
    _study("PatientBirthDate", 0x00100030, "DA", Matching.DATE, "patient_birth_date", of_patient=True),
    _study(
        "PatientBirthTime", 0x00100032, "TM", Matching.TIME, "patient_birth_time",
        default=False, of_patient=True,
    ),
    _study("PatientSex", 0x00100040, "CS", Matching.CODE_STRING, "patient_sex", of_patient=True),
    _study(
        "OtherPatientIDs", 0x00101000, "LO", Matching.TEXT, "other_patient_ids",
        default=False, of_patient=True, multiple=True,
    ),
    _study(
        "OtherPatientNames", 0x00101001, "PN", Matching.PERSON_NAME, "other_patient_names",
        default=False, of_patient=True, multiple=True,
    ),
    _study("PatientAge", 0x00101010, "AS", Matching.TEXT, "patient_age", default=False),
    _study("PatientSize", 0x00101020, "DS", Matching.TEXT, "patient_size", default=False),
    _study("PatientWeight", 0x00101030, "DS", Matching.TEXT, "patient_weight", default=False),
    _study(
        "EthnicGroup", 0x00102160, "SH", Matching.FOLDED_TEXT, "ethnic_group", default=False, of_patient=True
    ),
    _study("Occupation", 0x00102180, "SH", Matching.FOLDED_TEXT, "occupation", default=False),
    _study(
        "AdditionalPatientHistory", 0x001021B0, "LT", Matching.FOLDED_TEXT, "additional_patient_history",
        default=False,
    ),
    _study(
        "PatientComments", 0x00104000, "LT", Matching.FOLDED_TEXT, "patient_comments",
        default=False, of_patient=True,
    ),
    _study("StudyInstanceUID", 0x0020000D, "UI", Matching.UID, "study_instance_uid"),
    _study("StudyID", 0x00200010, "SH", Matching.TEXT, "study_id"),
    _study(
        "NumberOfStudyRelatedSeries", 0x00201206, "IS", Matching.NONE, "number_of_series", derived=True
    ),
    _study(
        "NumberOfStudyRelatedInstances", 0x00201208, "IS", Matching.NONE, "number_of_instances", derived=True
    ),
    _series("SeriesDate", 0x00080021, "DA", Matching.DATE, "series_date", default=False),
    _series("SeriesTime", 0x00080031, "TM", Matching.TIME, "series_time", default=False),
    _series("Modality", 0x00080060, "CS", Matching.CODE_STRING, "modality"),
    _series("StationName", 0x00081010, "SH", Matching.TEXT, "station_name", default=False),
    _series("SeriesDescription", 0x0008103E, "LO", Matching.FOLDED_TEXT, "series_description"),
    _series("BodyPartExamined", 0x00180015, "CS", Matching.CODE_STRING, "body_part_examined", default=False),
    _series("SeriesInstanceUID", 0x0020000E, "UI", Matching.UID, "series_instance_uid"),
    _series("SeriesNumber", 0x00200011, "IS", Matching.INTEGER, "series_number"),
    _series("PerformedProcedureStepStartDate", 0x00400244, "DA", Matching.DATE, "performed_start_date"),
    _series("PerformedProcedureStepStartTime", 0x00400245, "TM", Matching.TIME, "performed_start_time"),
    _series(
        "NumberOfSeriesRelatedInstances", 0x00201209, "IS", Matching.NONE, "number_of_instances", derived=True
    ),
    _instance("SOPClassUID", 0x00080016, "UI", Matching.UID, "sop_class_uid"),
    _instance("SOPInstanceUID", 0x00080018, "UI", Matching.UID, "sop_instance_uid"),
    _instance(
        "AvailableTransferSyntaxUID", 0x00083002, "UI", Matching.NONE, "transfer_syntax_uid", derived=True
    ),
    _instance("InstanceNumber", 0x00200013, "IS", Matching.INTEGER, "instance_number"),
    _instance("NumberOfFrames", 0x00280008, "IS", Matching.INTEGER, "number_of_frames"),
    _instance("Rows", 0x00280010, "US", Matching.INTEGER, "rows"),
    _instance("Columns", 0x00280011, "US", Matching.INTEGER, "columns"),
    _instance("BitsAllocated", 0x00280100, "US", Matching.INTEGER, "bits_allocated"),
)  # fmt: skip

BY_KEYWORD = {attribute.keyword: attribute for attribute in ATTRIBUTES}
BY_TAG = {attribute.tag: attribute for attribute in ATTRIBUTES}


@dataclass(frozen=True, slots=True)
class SequenceKey:
    """A key inside a sequence, written ``Sequence.Keyword`` (PS3.18 8.3.4.1)."""

    sequence_keyword: str
    sequence_tag: int
    keyword: str
    tag: int
    vr: str
    level: Level

    @property
    def name(self) -> str:
        """The key as a query spells it."""
        return f"{self.sequence_keyword}.{self.keyword}"


SEQUENCE_KEYS: tuple[SequenceKey, ...] = (
    SequenceKey("ProcedureCodeSequence", 0x00081032, "CodeValue", 0x00080100, "SH", Level.STUDY),
    SequenceKey(
        "ProcedureCodeSequence", 0x00081032, "CodingSchemeDesignator", 0x00080102, "SH", Level.STUDY
    ),
    SequenceKey("ProcedureCodeSequence", 0x00081032, "CodeMeaning", 0x00080104, "LO", Level.STUDY),
    SequenceKey(
        "RequestAttributesSequence", 0x00400275, "ScheduledProcedureStepID", 0x00400009, "SH", Level.SERIES
    ),
    SequenceKey(
        "RequestAttributesSequence", 0x00400275, "RequestedProcedureID", 0x00401001, "SH", Level.SERIES
    ),
)  # fmt: skip


# The sequences of the index, with the level that they belong to.
SEQUENCE_TAGS = {key.sequence_tag: key.level for key in SEQUENCE_KEYS}

# What a patient is told by where patients are searched for, which HTTP does not do (PS3.4 Table C.6-1).
PATIENT_ATTRIBUTES: tuple[Attribute, ...] = (
    *(attribute for attribute in ATTRIBUTES if attribute.of_patient),
    _patient_count("NumberOfPatientRelatedStudies", 0x00201200, "number_of_studies"),
    _patient_count("NumberOfPatientRelatedSeries", 0x00201202, "number_of_series"),
    _patient_count("NumberOfPatientRelatedInstances", 0x00201204, "number_of_instances"),
)


def find_key(name: str) -> Attribute | SequenceKey | None:
    """Find a key by keyword or eight-digit tag, nested ones joined by a dot; None if the index lacks it.

    Raises
    ------
    InvalidRequest
        ``name`` is neither a keyword nor a tag.

    References
    ----------
    PS3.18 8.3.4.1
    """
    head, dot, tail = name.partition(".")
    if not dot:
        return BY_TAG.get(int(head, 16)) if _is_tag(head) else BY_KEYWORD.get(_keyword(head))
    for key in SEQUENCE_KEYS:
        if _names(head, key.sequence_keyword, key.sequence_tag) and _names(tail, key.keyword, key.tag):
            return key
    return None


def find_sequence(name: str) -> tuple[int, Level] | None:
    """Find a sequence of the index by keyword or tag; return its tag and level, or None."""
    for key in SEQUENCE_KEYS:
        if _names(name, key.sequence_keyword, key.sequence_tag):
            return key.sequence_tag, key.level
    return None


def _is_tag(text: str) -> bool:
    return len(text) == 8 and all(character in "0123456789abcdefABCDEF" for character in text)


def _keyword(text: str) -> str:
    if not (text.isascii() and text.isalnum() and len(text) <= 64):
        raise InvalidRequest("a key is a DICOM keyword or an eight-digit tag")
    return text


def _names(text: str, keyword: str, tag: int) -> bool:
    return int(text, 16) == tag if _is_tag(text) else text == keyword
