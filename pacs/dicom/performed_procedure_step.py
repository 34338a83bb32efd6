"""Modality Performed Procedure Steps: what they have to say, and how they may change (PS3.4 F.7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from pacs.dicom.json_model import COMPONENT_GROUPS, JsonDataset, sequence
from pacs.dicom.uids import parse_uid
from pacs.errors import (
    EndedProcedureStep,
    InvalidAttributeValue,
    InvalidUid,
    MissingAttribute,
    MissingAttributeValue,
)

MODALITY_PERFORMED_PROCEDURE_STEP: Final = "1.2.840.10008.3.1.2.3.3"
MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE: Final = "1.2.840.10008.3.1.2.3.4"

_Dataset: TypeAlias = Mapping[str, Mapping[str, Any]]

STUDY_INSTANCE_UID: Final = "0020000D"
ACCESSION_NUMBER: Final = "00080050"
SCHEDULED_PROCEDURE_STEP_ID: Final = "00400009"
REQUESTED_PROCEDURE_ID: Final = "00401001"
SCHEDULED_STEP_ATTRIBUTES_SEQUENCE: Final = "00400270"
PERFORMED_PROCEDURE_STEP_ID: Final = "00400253"
PERFORMED_STATION_AE_TITLE: Final = "00400241"
PERFORMED_STATION_NAME: Final = "00400242"
START_DATE: Final = "00400244"
START_TIME: Final = "00400245"
END_DATE: Final = "00400250"
END_TIME: Final = "00400251"
STATUS: Final = "00400252"
MODALITY: Final = "00080060"
PATIENT_NAME: Final = "00100010"
PATIENT_ID: Final = "00100020"
PATIENT_BIRTH_DATE: Final = "00100030"
PERFORMED_SERIES_SEQUENCE: Final = "00400340"
SERIES_INSTANCE_UID: Final = "0020000E"
REFERENCED_IMAGE_SEQUENCE: Final = "00081140"
CODE_VALUE: Final = "00080100"
CODING_SCHEME: Final = "00080102"
PROTOCOL_NAME: Final = "00181030"
DISCONTINUATION_REASON_CODE_SEQUENCE: Final = "00400281"
SPECIFIC_CHARACTER_SET: Final = "00080005"

MAX_SCHEDULED_STEPS: Final = 100  # that one performed step may be of


class StepStatus(StrEnum):
    """Performed Procedure Step Status (0040,0252), PS3.3 C.4.14."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


# Those of Table F.7.2-1 that have type 1 at N-CREATE. Devices leave out attributes of type 2 that they have
# no value for: that takes nothing from what they say, so nobody is refused for it.
_REQUIRED_AT_CREATION: Final = (
    SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,
    PERFORMED_PROCEDURE_STEP_ID,
    PERFORMED_STATION_AE_TITLE,
    START_DATE,
    START_TIME,
    STATUS,
    MODALITY,
)
# What has to be there in the end. A step that was broken off may have ended before it had a series, and
# devices differ in what they then say: it counts that they say so.
_REQUIRED_AT_COMPLETION: Final = (END_DATE, END_TIME, PERFORMED_SERIES_SEQUENCE)
_REQUIRED_OF_A_SERIES: Final = (SERIES_INSTANCE_UID, PROTOCOL_NAME)

_MOST_SERIES_TOLD: Final = 500
_LONGEST_VALUE_TOLD: Final = 512
_IDENTIFIERS: Final = frozenset(
    {STUDY_INSTANCE_UID, ACCESSION_NUMBER, REQUESTED_PROCEDURE_ID, SCHEDULED_PROCEDURE_STEP_ID}
)
_TOLD_IN_LISTS: Final = frozenset(
    {
        PERFORMED_PROCEDURE_STEP_ID,
        PERFORMED_STATION_AE_TITLE,
        PERFORMED_STATION_NAME,
        START_DATE,
        START_TIME,
        END_DATE,
        END_TIME,
        STATUS,
        MODALITY,
        PATIENT_NAME,
        PATIENT_ID,
        PATIENT_BIRTH_DATE,
    }
)

# Those of Table F.7.2-1 that are "Not allowed" in an N-SET.
_FIXED: Final = frozenset(
    {
        SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,
        PATIENT_NAME,
        PATIENT_ID,
        "00100021",  # Issuer of Patient ID
        "00100024",  # Issuer of Patient ID Qualifiers Sequence
        "00101002",  # Other Patient IDs Sequence
        PATIENT_BIRTH_DATE,
        "00100040",  # Patient's Sex
        "00081120",  # Referenced Patient Sequence
        "00380010",  # Admission ID
        "00380014",  # Issuer of Admission ID Sequence
        "00380060",  # Service Episode ID
        "00380064",  # Issuer of Service Episode ID Sequence
        "00380062",  # Service Episode Description
        PERFORMED_PROCEDURE_STEP_ID,
        PERFORMED_STATION_AE_TITLE,
        PERFORMED_STATION_NAME,
        "00400243",  # Performed Location
        START_DATE,
        START_TIME,
        MODALITY,
        "00200010",  # Study ID
    }
)


@dataclass(frozen=True, slots=True)
class Modified:
    """A step after an N-SET, and the attributes of the N-SET that were not taken over."""

    dataset: JsonDataset
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """What a performed step says of a step that was scheduled; empty where it says nothing."""

    study_instance_uid: str
    accession_number: str
    requested_procedure_id: str
    scheduled_procedure_step_id: str

    @property
    def is_scheduled(self) -> bool:
        """Whether a worklist can have told it: without any of these the step was unscheduled."""
        return bool(self.accession_number or self.requested_procedure_id or self.scheduled_procedure_step_id)


def check_creation(dataset: _Dataset) -> None:
    """Check what an N-CREATE says.

    Raises
    ------
    MissingAttribute, MissingAttributeValue, InvalidAttributeValue
        The message names the attribute.

    References
    ----------
    PS3.4 F.7.2.1
    """
    _require(dataset, _REQUIRED_AT_CREATION)
    _check_sequence(dataset, SCHEDULED_STEP_ATTRIBUTES_SEQUENCE)
    if len(steps := items(dataset, SCHEDULED_STEP_ATTRIBUTES_SEQUENCE)) > MAX_SCHEDULED_STEPS:
        raise InvalidAttributeValue(f"a step is of more than {MAX_SCHEDULED_STEPS} scheduled ones")
    for item in steps:
        _require(item, (STUDY_INSTANCE_UID,))
        _check_uid(item, STUDY_INSTANCE_UID)
    _check_series(dataset)
    if text(dataset, STATUS) != StepStatus.IN_PROGRESS:
        raise InvalidAttributeValue(f"{_told(STATUS)} of a new step is IN PROGRESS")


def modify(current: _Dataset, modifications: _Dataset) -> Modified:
    """Apply an N-SET to a step; what stands in it replaces what was there, sequences as a whole.

    What may not be set is left as it is, and told where it would have changed something: many devices send
    all of their attributes again, and what they say of the end of an examination must not be lost by that.

    Raises
    ------
    EndedProcedureStep
        The step is completed or discontinued. An N-SET that changes nothing, as a device sends it again that
        has not heard the answer, is none the worse for it.
    MissingAttribute, MissingAttributeValue, InvalidAttributeValue
        The message names the attribute.

    References
    ----------
    PS3.4 F.7.2.2
    """
    settable = {tag: one for tag, one in modifications.items() if tag not in _FIXED}
    refused = tuple(
        tag for tag, one in modifications.items() if tag in _FIXED and not _same(one, current.get(tag))
    )
    settable.pop(SPECIFIC_CHARACTER_SET, None)  # all text is Unicode here (F.7.2.2.3)
    merged = {tag: dict(one) for tag, one in sorted({**current, **settable}.items())}
    if text(current, STATUS) != StepStatus.IN_PROGRESS:
        if merged != current:
            raise EndedProcedureStep("the step has ended and may no longer be updated")
        return Modified(merged, refused)
    _check_status(merged)
    _check_series(merged)
    return Modified(merged, refused)


def scheduled_steps(dataset: _Dataset) -> list[ScheduledStep]:
    """List what a step says of the steps that it was scheduled as."""
    return [
        ScheduledStep(
            study_instance_uid=text(item, STUDY_INSTANCE_UID),
            accession_number=text(item, ACCESSION_NUMBER),
            requested_procedure_id=text(item, REQUESTED_PROCEDURE_ID),
            scheduled_procedure_step_id=text(item, SCHEDULED_PROCEDURE_STEP_ID),
        )
        for item in items(dataset, SCHEDULED_STEP_ATTRIBUTES_SEQUENCE)
    ]


def text(dataset: _Dataset, tag: str) -> str:
    """Return the first value of an element as text; empty where there is none. Of a name, its letters."""
    values = dataset.get(tag, {}).get("Value") or [""]
    value = values[0]
    if isinstance(value, dict):
        return "=".join(str(value.get(group, "")) for group in COMPONENT_GROUPS).rstrip("=")
    return "" if value is None else str(value)


def items(dataset: _Dataset, tag: str) -> list[JsonDataset]:
    """List the items of a sequence; none where it is missing, or no sequence."""
    written = dataset.get(tag, {})
    return list(written.get("Value", ())) if written.get("vr") == "SQ" else []


def brief(dataset: _Dataset) -> JsonDataset:
    """Return what a list tells of a step: not the images of its series, nor texts of any length."""
    scheduled = [_only(item, _IDENTIFIERS) for item in items(dataset, SCHEDULED_STEP_ATTRIBUTES_SEQUENCE)]
    series = [
        _only(item, {SERIES_INSTANCE_UID})
        for item in items(dataset, PERFORMED_SERIES_SEQUENCE)[:_MOST_SERIES_TOLD]
    ]
    return _only(dataset, _TOLD_IN_LISTS) | {
        SCHEDULED_STEP_ATTRIBUTES_SEQUENCE: sequence(scheduled),
        PERFORMED_SERIES_SEQUENCE: sequence(series),
    }


def _only(dataset: _Dataset, tags: Collection[str]) -> JsonDataset:
    """Leave all out but these elements; one whose value no device means is without it."""
    return {
        tag: dict(one) if len(str(one.get("Value", ""))) <= _LONGEST_VALUE_TOLD else {"vr": one["vr"]}
        for tag, one in dataset.items()
        if tag in tags
    }


def _check_status(dataset: _Dataset) -> None:
    status = text(dataset, STATUS)
    if status not in set(StepStatus):
        raise InvalidAttributeValue(f"{_told(STATUS)} is IN PROGRESS, COMPLETED or DISCONTINUED")
    if status == StepStatus.COMPLETED:
        _require(dataset, _REQUIRED_AT_COMPLETION)


def _check_series(dataset: _Dataset) -> None:
    _check_sequence(dataset, PERFORMED_SERIES_SEQUENCE)
    for item in items(dataset, PERFORMED_SERIES_SEQUENCE):
        _require(item, _REQUIRED_OF_A_SERIES)
        _check_uid(item, SERIES_INSTANCE_UID)


def _check_sequence(dataset: _Dataset, tag: str) -> None:
    if dataset.get(tag, {"vr": "SQ"})["vr"] != "SQ":
        raise InvalidAttributeValue(f"{_told(tag)} is a sequence")


def _require(dataset: _Dataset, tags: Iterable[str]) -> None:
    for tag in tags:
        if tag not in dataset:
            raise MissingAttribute(f"{_told(tag)} is missing")
        if not dataset[tag].get("Value"):
            raise MissingAttributeValue(f"{_told(tag)} is empty")


def _check_uid(dataset: _Dataset, tag: str) -> None:
    try:
        parse_uid(text(dataset, tag))
    except InvalidUid:
        raise InvalidAttributeValue(f"{_told(tag)} is no UID") from None


def _same(one: Mapping[str, Any], other: Mapping[str, Any] | None) -> bool:
    """Tell whether two elements say the same; one without a value says as much as a missing one."""
    return (one.get("Value") or one.get("InlineBinary")) == (
        None if other is None else other.get("Value") or other.get("InlineBinary")
    )


def _told(tag: str) -> str:
    return f"({tag[:4]},{tag[4:]})"
