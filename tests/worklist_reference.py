"""Matching of the worklist by the book, one step after the other: what the index has to agree with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pacs.dicom.orders import Code, Order, ScheduledStep
from pacs.text import fold

Found = tuple[str, str]  # accession number and step ID


def matching_steps(orders: Sequence[Order], keys: dict[str, str], codes: dict[str, str]) -> list[Found]:
    """Find the steps that match keys by keyword; those of the procedure's code by keyword too."""
    found = [
        (step.start_date, step.start_time, order.accession_number, step.step_id)
        for order in orders
        for step in order.steps
        if _is_wanted(step, keys) and _matches(order, step, keys) and _has_code(order.procedure_codes, codes)
    ]
    return [(number, step_id) for _, _, number, step_id in sorted(found)]


def _is_wanted(step: ScheduledStep, keys: dict[str, str]) -> bool:
    return "ScheduledProcedureStepStatus" in keys or str(step.state) not in (
        "COMPLETED", "DISCONTINUED", "CANCELED",
    )  # fmt: skip


def _matches(order: Order, step: ScheduledStep, keys: dict[str, str]) -> bool:
    dates = keys.get("ScheduledProcedureStepStartDate", "")
    times = keys.get("ScheduledProcedureStepStartTime", "")
    rest = {name: value for name, value in keys.items() if not name.startswith("ScheduledProcedureStepStart")}
    return _starts(step, dates, times) and all(
        _KINDS[name](_value(order, step, name), value) for name, value in rest.items()
    )


def _starts(step: ScheduledStep, dates: str, times: str) -> bool:
    if "-" in dates and "-" in times:
        (first, last), (begin, end) = dates.split("-"), times.split("-")
        if bool(first) == bool(begin) and bool(last) == bool(end):
            moment = step.start_date + step.start_time
            low = first + begin.ljust(6, "0") if first else ""
            high = last + end + "235959"[len(end) :] if last else "9" * 14
            return low <= moment <= high
    return (not dates or _in_range(step.start_date, dates)) and (
        not times or _in_range(step.start_time, times)
    )


def _in_range(value: str, wanted: str) -> bool:
    first, last = wanted.split("-") if "-" in wanted else (wanted, wanted)
    return value >= first and (not last or value[: len(last)] <= last)


def _value(order: Order, step: ScheduledStep, name: str) -> object:
    place, field = _FIELDS[name].split(".")
    return getattr(order if place == "order" else step, field)


def _has_code(codes: Sequence[Code], wanted: dict[str, str]) -> bool:
    fields = {"CodeValue": "value", "CodingSchemeDesignator": "scheme", "CodeMeaning": "meaning"}
    return not wanted or any(
        all(_wildcard(getattr(code, fields[name]), value) for name, value in wanted.items()) for code in codes
    )


def _wildcard(value: object, wanted: str) -> bool:
    pattern = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in wanted)
    return value is not None and re.fullmatch(pattern, str(value), re.DOTALL) is not None


def _folded(value: object, wanted: str) -> bool:
    return value is not None and _wildcard(fold(str(value)), fold(wanted))


def _listed(value: object, wanted: str) -> bool:
    return any(_wildcard(value, one) for one in wanted.split("\\"))


def _name(value: object, wanted: str) -> bool:
    words = fold(str(value).replace("^", " ")).split() if value is not None else []
    asked = fold(wanted.replace("^", " ")).split()
    if "*" not in wanted and "?" not in wanted:
        return value is not None and sorted(words) == sorted(asked)
    return value is not None and all(any(_piece(word, one) for word in words) for one in asked)


def _piece(word: str, wanted: str) -> bool:
    return _wildcard(word, wanted)


def _station(value: object, wanted: str) -> bool:
    return not value or wanted in tuple(value)  # type: ignore[call-overload]


_KINDS = {
    "AccessionNumber": _wildcard,
    "PatientID": _wildcard,
    "PatientName": _name,
    "PatientSex": _listed,
    "PatientBirthDate": lambda value, wanted: value is not None and _in_range(str(value), wanted),
    "RequestedProcedureDescription": _folded,
    "ReferringPhysicianName": _name,
    "CurrentPatientLocation": _wildcard,
    "RequestedProcedurePriority": _wildcard,
    "Modality": _listed,
    "ScheduledStationAETitle": _station,
    "ScheduledPerformingPhysicianName": _name,
    "ScheduledProcedureStepDescription": _folded,
    "ScheduledProcedureStepID": _wildcard,
    "ScheduledProcedureStepStatus": _listed,
}
_FIELDS = {
    "AccessionNumber": "order.accession_number",
    "PatientID": "order.patient_id",
    "PatientName": "order.patient_name",
    "PatientSex": "order.patient_sex",
    "PatientBirthDate": "order.patient_birth_date",
    "RequestedProcedureDescription": "order.description",
    "ReferringPhysicianName": "order.referring_physician_name",
    "CurrentPatientLocation": "order.current_patient_location",
    "RequestedProcedurePriority": "order.priority",
    "Modality": "step.modality",
    "ScheduledStationAETitle": "step.station_ae_titles",
    "ScheduledPerformingPhysicianName": "step.performing_physician_name",
    "ScheduledProcedureStepDescription": "step.description",
    "ScheduledProcedureStepID": "step.step_id",
    "ScheduledProcedureStepStatus": "step.state",
}
MATCHED = (*_KINDS, "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime")
