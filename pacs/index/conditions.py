"""From a matching key and its value to a condition in SQL (PS3.4 C.2.2.2). Values are always bound."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_

from pacs.dicom.attributes import Attribute, Level, Matching, SequenceKey
from pacs.dicom.uids import parse_uid
from pacs.errors import InvalidRequest, InvalidUid
from pacs.index.models import (
    FOLDED_SUFFIX,
    instance,
    procedure_code,
    request_attributes,
    series,
    study,
)
from pacs.index.names import fold_name
from pacs.text import fold

MAX_VALUE_LENGTH = 1024
MAX_WILDCARDS = 8
MAX_LISTED_VALUES = 1000
MAX_WORDS = 8

TABLES = {Level.STUDY: study, Level.SERIES: series, Level.INSTANCE: instance}

_DATE = re.compile(r"\d{8}", re.ASCII)
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", re.ASCII)
_LAST_TIME = "235959.999999"


def key_condition(key: Attribute | SequenceKey, value: str) -> ColumnElement[bool] | None:
    """Return the condition of one key; None where the value matches everything (universal matching).

    Raises
    ------
    InvalidRequest
        The value is not of the key's form; the message names the key and does not repeat the value.
    """
    name = key.name if isinstance(key, SequenceKey) else key.keyword
    if len(value) > MAX_VALUE_LENGTH or "\0" in value:
        raise InvalidRequest(f"the value of {name} is too long or has a NUL character")
    value = value.strip()
    if value in ("", "*"):
        return None
    try:
        return _sequence_condition(key, value) if isinstance(key, SequenceKey) else _condition(key, value)
    except (InvalidRequest, InvalidUid) as error:
        raise InvalidRequest(f"{name}: {error}") from error


def text_conditions(text: str) -> list[ColumnElement[bool]]:
    """Return the conditions of the worklist's search box, one for each word; all must hold.

    A word matches the beginning of a word of the patient's name or the study description, of the patient ID,
    the accession number or a procedure code; blind to case and diacritics.
    """
    words = fold(text[:MAX_VALUE_LENGTH].replace("^", " ").replace("\0", " ")).split()
    return [_word_condition(_like_literal(word)) for word in words[:MAX_WORDS]]


def _word_condition(word: str) -> ColumnElement[bool]:
    folded = (study.c.patient_name_folded, study.c.study_description_folded)
    exact = (study.c.patient_id, study.c.accession_number)
    return or_(
        *(
            (literal(" ") + func.replace(column, "=", " ")).like(f"% {word}%", escape="\\")
            for column in folded
        ),
        *(func.lower(column).like(f"{word}%", escape="\\") for column in exact),
        exists().where(
            procedure_code.c.study_ref == study.c.id,
            func.lower(procedure_code.c.value).like(f"{word}%", escape="\\"),
        ),
    )


def _condition(attribute: Attribute, value: str) -> ColumnElement[bool]:
    if attribute.keyword == "ModalitiesInStudy":
        any_series = series.alias()  # the query itself may be about one series
        return exists().where(any_series.c.study_ref == study.c.id, _any_of(any_series.c.modality, value))
    table = TABLES[attribute.level]
    column = table.c.get(attribute.column)
    if column is None or attribute.matching is Matching.NONE:
        raise InvalidRequest("this attribute can be returned but not matched")
    match attribute.matching:
        case Matching.PERSON_NAME:
            return _name(table.c[attribute.column + FOLDED_SUFFIX], value)
        case Matching.FOLDED_TEXT:
            return _wildcard(table.c[attribute.column + FOLDED_SUFFIX], fold(value))
        case Matching.UID:
            return column.in_([parse_uid(uid) for uid in _listed(value)])
        case Matching.CODE_STRING:
            return _any_of(column, value)
        case Matching.DATE:
            return _range(column, *_date_bounds(value))
        case Matching.TIME:
            return _range(column, *_time_bounds(value))
        case Matching.INTEGER:
            return column == _integer(value)
        case _:
            return _wildcard(column, value)


def _sequence_condition(key: SequenceKey, value: str) -> ColumnElement[bool]:
    if key.sequence_keyword == "ProcedureCodeSequence":
        return exists().where(
            procedure_code.c.study_ref == study.c.id, _wildcard(procedure_code.c.value, value)
        )
    columns = {
        "ScheduledProcedureStepID": request_attributes.c.scheduled_procedure_step_id,
        "RequestedProcedureID": request_attributes.c.requested_procedure_id,
    }
    return exists().where(
        request_attributes.c.series_ref == series.c.id, _wildcard(columns[key.keyword], value)
    )


def _name(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Match a person name as a whole or in one of its component groups (PS3.5 6.2.1)."""
    pattern = fold_name(value)
    if "=" in pattern:
        return _wildcard(column, pattern)
    like = _like(pattern)
    return or_(
        column == pattern if not _has_wildcard(pattern) else column.like(like, escape="\\"),
        column.like(f"{like}=%", escape="\\"),
        column.like(f"%={like}", escape="\\"),
        column.like(f"%={like}=%", escape="\\"),
    )


def _any_of(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    return or_(*(_wildcard(column, one) for one in _listed(value)))


def _listed(value: str) -> list[str]:
    """Split a list of values: a comma as web clients write it, a backslash as DIMSE does."""
    values = [one.strip() for one in value.replace("\\", ",").split(",") if one.strip()]
    if not 0 < len(values) <= MAX_LISTED_VALUES:
        raise InvalidRequest(f"a list has 1 to {MAX_LISTED_VALUES} values")
    return values


def _has_wildcard(value: str) -> bool:
    return "*" in value or "?" in value


def _wildcard(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    return column.like(_like(value), escape="\\") if _has_wildcard(value) else column == value


def _like(value: str) -> str:
    value = re.sub(r"\*+", "*", value)
    if value.count("*") > MAX_WILDCARDS:
        raise InvalidRequest(f"more than {MAX_WILDCARDS} wildcards")
    return _like_literal(value).replace("*", "%").replace("?", "_")


def _like_literal(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _integer(value: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,9}", value, re.ASCII):
        raise InvalidRequest("not an integer")
    return int(value)


def _range(column: ColumnElement[str], first: str | None, last: str | None) -> ColumnElement[bool]:
    bounds = []
    if first is not None:
        bounds.append(column >= first)
    if last is not None:
        bounds.append(column <= last)
    return and_(*bounds)


def _split_range(value: str) -> tuple[str, str]:
    first, dash, last = value.partition("-")
    if dash and not first and not last:
        raise InvalidRequest("a range needs a beginning or an end")
    return (first.strip(), last.strip()) if dash else (value, value)


def _date_bounds(value: str) -> tuple[str | None, str | None]:
    bounds = _split_range(value)
    if any(bound and not _DATE.fullmatch(bound) for bound in bounds):
        raise InvalidRequest("a date is YYYYMMDD, a range YYYYMMDD-YYYYMMDD")
    return bounds[0] or None, bounds[1] or None


def _time_bounds(value: str) -> tuple[str | None, str | None]:
    """Widen each bound to its precision: 10 to 11 means 10:00:00 to 11:59:59.999999 (PS3.5 6.2, VR TM)."""
    first, last = _split_range(value)
    if any(bound and not _TIME.fullmatch(bound) for bound in (first, last)):
        raise InvalidRequest("a time is HHMMSS.FFFFFF or shorter, a range two of these with a dash")
    if last:
        last = last + (_LAST_TIME[len(last) :] if "." not in last else "9" * (13 - len(last)))
    return first.ljust(6, "0") if first else None, last or None
