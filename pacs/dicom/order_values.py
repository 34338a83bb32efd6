"""Orders as plain values (JSON), and what of such values makes an order."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from pacs.dicom.ae_titles import parse_ae_title
from pacs.dicom.orders import Code, Order, ScheduledStep, StepState
from pacs.dicom.uids import parse_uid
from pacs.dicom.worklist_attributes import CODE_ATTRIBUTES, Part, WorklistAttribute, attributes_of
from pacs.errors import InvalidRequest, InvalidUid

MAX_STEPS: Final = 20
MAX_CODES: Final = 20  # of one sequence
MAX_VALUES: Final = 20  # of one attribute
MAX_LONG_TEXT_LENGTH: Final = 2000  # the Standard's 10,240 are for reports
MAX_CODE_VALUE_LENGTH: Final = 64  # what is longer than 16 goes out as Long Code Value (0008,0119)
MAX_ORDER_SIZE_BYTES: Final = 32 * 1024  # an order is one line of the ledger

_LENGTHS: Final = {"SH": 16, "LO": 64, "LT": MAX_LONG_TEXT_LENGTH, "CS": 16, "DS": 16}
_DATE: Final = re.compile(r"\d{8}", re.ASCII)
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d)?)?", re.ASCII)
_DECIMAL: Final = re.compile(r"\d{1,4}(\.\d{1,6})?", re.ASCII)
_CODE_STRING: Final = re.compile(r"[A-Z0-9 _]{1,16}")
_LINE_ENDS: Final = re.compile(r"[\r\n\t]")
_SEXES: Final = ("M", "F", "O")
_MISSING: Final[tuple[object, ...]] = (None, "", (), [])


def to_plain(order: Order) -> dict[str, Any]:
    """Write an order as JSON has it; what is missing is left out. The version is not part of it."""
    plain = {one.field: getattr(order, one.field) for one in attributes_of(Part.ORDER)}
    plain["procedure_codes"] = [_plain_code(code) for code in order.procedure_codes]
    plain["steps"] = [_plain_step(step) for step in order.steps]
    return _without_missing(plain)


def from_plain(values: Mapping[str, Any]) -> Order:
    """Read an order that `to_plain` has written; members that are not known are passed over.

    Raises
    ------
    InvalidRequest
        It is no order, or none that `check_order` takes.
    """
    return check_order(read_plain(values))


def read_plain(values: Mapping[str, Any]) -> Order:
    """Read an order whose values are not checked yet, only their types; codes may lack scheme and meaning.

    Raises
    ------
    InvalidRequest
        It is no order.
    """
    known = {one.field: _as_record(one, values) for one in attributes_of(Part.ORDER) if one.field in values}
    steps = tuple(_read_step(step) for step in _listed(values, "steps"))
    codes = tuple(_read_code(code) for code in _listed(values, "procedure_codes"))
    if not _REQUIRED[Part.ORDER] <= known.keys():
        raise InvalidRequest("an order has a patient ID and a patient's name")
    return Order(**known, steps=steps, procedure_codes=codes)


def check_order(order: Order) -> Order:
    """Return an order whose values have the form that the Standard wants, in Unicode NFC, without padding.

    Empty identifiers stay empty.

    Raises
    ------
    InvalidRequest
        A value is not of its form; the message names it and does not repeat it.
    """
    if not 1 <= len(order.steps) <= MAX_STEPS:
        raise InvalidRequest(f"an order has 1 to {MAX_STEPS} scheduled steps")
    checked = replace(
        order,
        **{one.field: _checked(one, getattr(order, one.field), "") for one in attributes_of(Part.ORDER)},
        procedure_codes=_checked_codes(order.procedure_codes, "procedure_codes"),
        steps=tuple(_checked_step(step, place) for place, step in enumerate(order.steps, start=1)),
    )
    step_ids = [step.step_id for step in checked.steps if step.step_id]
    if len(set(step_ids)) < len(step_ids):
        raise InvalidRequest("two steps of the order have the same step_id")
    if len(json.dumps(to_plain(checked), ensure_ascii=False).encode()) > MAX_ORDER_SIZE_BYTES:
        raise InvalidRequest(f"the texts of the order have more than {MAX_ORDER_SIZE_BYTES // 1024} KiB")
    return checked


def _checked_step(step: ScheduledStep, place: int) -> ScheduledStep:
    where = f"step {place}: "
    values = {
        one.field: _checked(one, getattr(step, one.field), where)
        for one in attributes_of(Part.STEP)
        if one.field != "state"
    }
    codes = _checked_codes(step.protocol_codes, f"{where}protocol_codes")
    return replace(step, **values, protocol_codes=codes)


def _checked(attribute: WorklistAttribute, value: Any, where: str) -> Any:
    """Check the value or the values of an attribute."""
    name = where + attribute.field
    if attribute.many:
        if len(value) > MAX_VALUES:
            raise InvalidRequest(f"{name} has more than {MAX_VALUES} values")
        return tuple(one for one in (_checked_text(attribute.vr, text, name) for text in value) if one)
    if attribute.vr == "US":
        if value is not None and not 1 <= value <= 4:
            raise InvalidRequest(f"{name} is a number from 1 to 4")
        return value
    text = _checked_text(attribute.vr, value or "", name)
    if attribute.field == "patient_sex" and text not in (*_SEXES, ""):
        raise InvalidRequest(f"{name} is one of {', '.join(_SEXES)}")
    if text or attribute.field in _MAY_BE_EMPTY:
        return text
    if attribute.field in _REQUIRED[attribute.part]:
        raise InvalidRequest(f"{name} is missing")
    return None


_REQUIRED: Final = {
    Part.ORDER: frozenset({"patient_id", "patient_name"}),
    Part.STEP: frozenset({"modality", "start_date", "start_time"}),
}
_MAY_BE_EMPTY: Final = frozenset(
    {"accession_number", "study_instance_uid", "requested_procedure_id", "step_id"}
)


def _checked_text(vr: str, value: str, name: str) -> str:
    """Check one value by its VR (PS3.5 6.2)."""
    text = unicodedata.normalize("NFC", value[: 2 * MAX_LONG_TEXT_LENGTH].strip(" \0"))
    printable = _LINE_ENDS.sub(" ", text) if vr == "LT" else text
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in printable):
        raise InvalidRequest(f"{name} has control characters")
    if "\\" in text and vr != "LT":
        raise InvalidRequest(f"{name} has a backslash, which separates values in DICOM")
    if not text:
        return ""
    if len(text) > (longest := _LENGTHS.get(vr, MAX_LONG_TEXT_LENGTH)):
        raise InvalidRequest(f"{name} has more than {longest} characters")
    check = _CHECKS.get(vr)
    try:
        return text if check is None else check(text)
    except (InvalidRequest, InvalidUid, ValueError) as error:
        detail = f": {error}" if isinstance(error, InvalidRequest | InvalidUid) else " is malformed"
        raise InvalidRequest(f"{name}{detail}") from error


def _person_name(text: str) -> str:
    groups = text.split("=")
    if len(groups) > 3 or any(len(group) > 64 or group.count("^") > 4 for group in groups):
        raise InvalidRequest("a name has at most 3 groups of 64 characters, each of 5 components")
    if not text.strip("^= "):
        raise InvalidRequest("a name has letters")
    return text


def _date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise InvalidRequest("a date is YYYYMMDD")
    date(int(text[:4]), int(text[4:6]), int(text[6:]))
    return text


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise InvalidRequest("a time is HHMMSS or shorter")
    return text.ljust(6, "0")


def _decimal(text: str) -> str:
    if not _DECIMAL.fullmatch(text):
        raise InvalidRequest("not a decimal number")
    return text


def _code_string(text: str) -> str:
    if not _CODE_STRING.fullmatch(text):
        raise InvalidRequest("a code string has 1 to 16 capital letters, digits, spaces or underscores")
    return text


_CHECKS: Final[Mapping[str, Callable[[str], str]]] = {
    "PN": _person_name,
    "DA": _date,
    "TM": _time,
    "DS": _decimal,
    "CS": _code_string,
    "AE": parse_ae_title,
    "UI": parse_uid,
}


def _checked_codes(codes: Sequence[Code], name: str) -> tuple[Code, ...]:
    if len(codes) > MAX_CODES:
        raise InvalidRequest(f"{name} has more than {MAX_CODES} codes")
    return tuple(_checked_code(code, name) for code in codes)


def _checked_code(code: Code, name: str) -> Code:
    values = {one.field: _checked_text(one.vr, getattr(code, one.field) or "", name) for one in _SHORT_CODES}
    value = _checked_text("LO", code.value, name)
    if not (value and values["scheme"] and values["meaning"]):
        raise InvalidRequest(f"{name}: a code has a value, a scheme and a meaning")
    return Code(value, values["scheme"], values["meaning"], values["version"] or None)


_SHORT_CODES: Final = [one for one in CODE_ATTRIBUTES if one.field != "value"]


def _plain_step(step: ScheduledStep) -> dict[str, Any]:
    plain = {one.field: getattr(step, one.field) for one in attributes_of(Part.STEP)}
    plain["protocol_codes"] = [_plain_code(code) for code in step.protocol_codes]
    return _without_missing(plain)


def _plain_code(code: Code) -> dict[str, Any]:
    return _without_missing({one.field: getattr(code, one.field) for one in CODE_ATTRIBUTES})


def _without_missing(plain: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in plain.items() if value not in _MISSING}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}


def _listed(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    listed = values.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise InvalidRequest(f"{name} is no list of objects")
    return listed


def _as_record(attribute: WorklistAttribute, values: Mapping[str, Any]) -> Any:
    value = values[attribute.field]
    if attribute.many and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    kind = int if attribute.vr == "US" else str
    if attribute.many or not isinstance(value, kind) or isinstance(value, bool):
        raise InvalidRequest(f"{attribute.field} is of another type")
    return value


def _read_step(values: Mapping[str, Any]) -> ScheduledStep:
    known = {one.field: _as_record(one, values) for one in attributes_of(Part.STEP) if one.field in values}
    codes = tuple(_read_code(code) for code in _listed(values, "protocol_codes"))
    state = known.pop("state", StepState.SCHEDULED)
    if not {"modality", "start_date"} <= known.keys() or state not in StepState.__members__:
        raise InvalidRequest("a step has a modality, a start date and a known state")
    return ScheduledStep(**known, protocol_codes=codes, state=StepState(state))


def _read_code(values: Mapping[str, Any]) -> Code:
    known = {one.field: values[one.field] for one in CODE_ATTRIBUTES if values.get(one.field) is not None}
    if "value" not in known or not all(isinstance(value, str) for value in known.values()):
        raise InvalidRequest("a code has a value, a scheme and a meaning")
    return Code(**{"scheme": "", "meaning": "", **known})
