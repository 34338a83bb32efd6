"""The attributes of the Modality Worklist (PS3.4 Table K.6-1): one table for orders, C-FIND and the index."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from pacs.dicom.attributes import Matching


class Part(Enum):
    """What of an order an attribute is of."""

    ORDER = "order"
    STEP = "step"  # in Scheduled Procedure Step Sequence (0040,0100)


@dataclass(frozen=True, slots=True)
class WorklistAttribute:
    """One attribute. ``field`` is its name in the records of `pacs.dicom.orders`, and in SQL."""

    keyword: str
    tag: int
    vr: str
    part: Part
    matching: Matching
    field: str
    many: bool = False  # has several values

    @property
    def is_folded(self) -> bool:
        """Whether the index keeps a folded twin of it."""
        return self.matching in (Matching.PERSON_NAME, Matching.FOLDED_TEXT)


def _order(
    keyword: str, tag: int, vr: str, matching: Matching, field: str, **more: bool
) -> WorklistAttribute:
    return WorklistAttribute(keyword, tag, vr, Part.ORDER, matching, field, **more)


def _step(keyword: str, tag: int, vr: str, matching: Matching, field: str, **more: bool) -> WorklistAttribute:
    return WorklistAttribute(keyword, tag, vr, Part.STEP, matching, field, **more)


WORKLIST_ATTRIBUTES: Final = (
    _order("AccessionNumber", 0x00080050, "SH", Matching.TEXT, "accession_number"),
    _order("ReferringPhysicianName", 0x00080090, "PN", Matching.PERSON_NAME, "referring_physician_name"),
    _order("PatientName", 0x00100010, "PN", Matching.PERSON_NAME, "patient_name"),
    _order("PatientID", 0x00100020, "LO", Matching.TEXT, "patient_id"),
    _order("IssuerOfPatientID", 0x00100021, "LO", Matching.TEXT, "issuer_of_patient_id"),
    _order("PatientBirthDate", 0x00100030, "DA", Matching.DATE, "patient_birth_date"),
    _order("PatientSex", 0x00100040, "CS", Matching.CODE_STRING, "patient_sex"),
    _order("PatientSize", 0x00101020, "DS", Matching.NONE, "patient_size"),
    _order("PatientWeight", 0x00101030, "DS", Matching.NONE, "patient_weight"),
    _order("MedicalAlerts", 0x00102000, "LO", Matching.NONE, "medical_alerts", many=True),
    _order("Allergies", 0x00102110, "LO", Matching.NONE, "allergies", many=True),
    _order("AdditionalPatientHistory", 0x001021B0, "LT", Matching.NONE, "additional_patient_history"),
    _order("PregnancyStatus", 0x001021C0, "US", Matching.INTEGER, "pregnancy_status"),
    _order("PatientComments", 0x00104000, "LT", Matching.NONE, "patient_comments"),
    _order("StudyInstanceUID", 0x0020000D, "UI", Matching.UID, "study_instance_uid"),
    _order("RequestingPhysician", 0x00321032, "PN", Matching.PERSON_NAME, "requesting_physician"),
    _order("RequestingService", 0x00321033, "LO", Matching.TEXT, "requesting_service"),
    _order("RequestedProcedureDescription", 0x00321060, "LO", Matching.FOLDED_TEXT, "description"),
    _order("AdmissionID", 0x00380010, "LO", Matching.TEXT, "admission_id"),
    _order("SpecialNeeds", 0x00380050, "LO", Matching.TEXT, "special_needs"),
    _order("CurrentPatientLocation", 0x00380300, "LO", Matching.TEXT, "current_patient_location"),
    _order("PatientState", 0x00380500, "LO", Matching.TEXT, "patient_state"),
    _order("RequestedProcedureID", 0x00401001, "SH", Matching.TEXT, "requested_procedure_id"),
    _order("ReasonForTheRequestedProcedure", 0x00401002, "LO", Matching.TEXT, "reason"),
    _order("RequestedProcedurePriority", 0x00401003, "SH", Matching.TEXT, "priority"),
    _order("PatientTransportArrangements", 0x00401004, "LO", Matching.TEXT, "transport_arrangements"),
    _order("RequestedProcedureLocation", 0x00401005, "LO", Matching.TEXT, "procedure_location"),
    _order("ConfidentialityCode", 0x00401008, "LO", Matching.TEXT, "confidentiality_code"),
    _order("RequestedProcedureComments", 0x00401400, "LT", Matching.NONE, "comments"),
    _order(
        "PlacerOrderNumberImagingServiceRequest", 0x00402016, "LO", Matching.TEXT, "placer_order_number"
    ),
    _order(
        "FillerOrderNumberImagingServiceRequest", 0x00402017, "LO", Matching.TEXT, "filler_order_number"
    ),
    _order(
        "ConfidentialityConstraintOnPatientDataDescription", 0x00403001, "LO", Matching.TEXT,
        "confidentiality_constraint",
    ),
    _step("Modality", 0x00080060, "CS", Matching.CODE_STRING, "modality"),
    _step("RequestedContrastAgent", 0x00321070, "LO", Matching.TEXT, "contrast_agent"),
    _step("ScheduledStationAETitle", 0x00400001, "AE", Matching.CODE_STRING, "station_ae_titles", many=True),
    _step("ScheduledProcedureStepStartDate", 0x00400002, "DA", Matching.DATE, "start_date"),
    _step("ScheduledProcedureStepStartTime", 0x00400003, "TM", Matching.TIME, "start_time"),
    _step(
        "ScheduledPerformingPhysicianName", 0x00400006, "PN", Matching.PERSON_NAME,
        "performing_physician_name",
    ),
    _step("ScheduledProcedureStepDescription", 0x00400007, "LO", Matching.FOLDED_TEXT, "description"),
    _step("ScheduledProcedureStepID", 0x00400009, "SH", Matching.TEXT, "step_id"),
    _step("ScheduledStationName", 0x00400010, "SH", Matching.TEXT, "station_name"),
    _step("ScheduledProcedureStepLocation", 0x00400011, "SH", Matching.TEXT, "location"),
    _step("PreMedication", 0x00400012, "LO", Matching.TEXT, "pre_medication"),
    _step("ScheduledProcedureStepStatus", 0x00400020, "CS", Matching.CODE_STRING, "state"),
    _step("CommentsOnTheScheduledProcedureStep", 0x00400400, "LT", Matching.NONE, "comments"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CodeAttribute:
    """An attribute of the items of a code sequence (PS3.3 8.8); ``field`` is that of the record."""

    keyword: str
    tag: int
    vr: str
    field: str


CODE_ATTRIBUTES: Final = (
    CodeAttribute("CodeValue", 0x00080100, "SH", "value"),
    CodeAttribute("CodingSchemeDesignator", 0x00080102, "SH", "scheme"),
    CodeAttribute("CodingSchemeVersion", 0x00080103, "SH", "version"),
    CodeAttribute("CodeMeaning", 0x00080104, "LO", "meaning"),
)

SCHEDULED_PROCEDURE_STEP_SEQUENCE: Final = 0x00400100
REQUESTED_PROCEDURE_CODE_SEQUENCE: Final = 0x00321064
SCHEDULED_PROTOCOL_CODE_SEQUENCE: Final = 0x00400008
# The sequences of codes, by the part of an order that has them, with the field of their codes.
CODE_SEQUENCES: Final = {
    Part.ORDER: (REQUESTED_PROCEDURE_CODE_SEQUENCE, "procedure_codes"),
    Part.STEP: (SCHEDULED_PROTOCOL_CODE_SEQUENCE, "protocol_codes"),
}


_BY_PART: Final = {part: tuple(one for one in WORKLIST_ATTRIBUTES if one.part is part) for part in Part}


def attributes_of(part: Part) -> tuple[WorklistAttribute, ...]:
    """Return the attributes of a part of an order."""
    return _BY_PART[part]


BY_TAG: Final = {part: {one.tag: one for one in attributes_of(part)} for part in Part}
BY_FIELD: Final = {part: {one.field: one for one in attributes_of(part)} for part in Part}
CODE_BY_TAG: Final = {one.tag: one for one in CODE_ATTRIBUTES}
