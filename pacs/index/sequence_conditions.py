"""Conditions on the items of sequences (PS3.4 C.2.2.2.6): all keys of a sequence must match one item."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, select

from pacs.dicom.attributes import Attribute, SequenceKey
from pacs.index.condition import Condition
from pacs.index.like import EMPTY, has_wildcard, matches
from pacs.index.models import procedure_code, request_attributes, series, study
from pacs.index.paths import identifier_path
from pacs.index.study_terms import Field

_CODES: Final = "ProcedureCodeSequence"
_COLUMNS: Final = {
    "CodeValue": procedure_code.c.value,
    "CodingSchemeDesignator": procedure_code.c.scheme,
    "CodeMeaning": procedure_code.c.meaning,
    "ScheduledProcedureStepID": request_attributes.c.scheduled_procedure_step_id,
    "RequestedProcedureID": request_attributes.c.requested_procedure_id,
}


def sequence_conditions(
    keys: Iterable[tuple[Attribute | SequenceKey, str]], *, match_empty: bool
) -> list[Condition]:
    """Return the conditions of the keys that are inside sequences.

    Raises
    ------
    pacs.errors.InvalidRequest
        A value has too many wildcards.
    """
    conditions, by_sequence = [], dict[str, list[tuple[str, str]]]()
    for key, value in keys:
        if not isinstance(key, SequenceKey):
            continue
        if match_empty and value == EMPTY:
            column = _COLUMNS[key.keyword]
            conditions.append(Condition(~_has_item(key.sequence_keyword, column != "")))
        else:
            by_sequence.setdefault(key.sequence_keyword, []).append((key.keyword, value))
    return conditions + [_item_condition(name, wanted) for name, wanted in by_sequence.items()]


def _item_condition(sequence: str, wanted: list[tuple[str, str]]) -> Condition:
    where = and_(*(matches(_COLUMNS[keyword], value) for keyword, value in wanted))
    if sequence == _CODES:
        code = dict(wanted).get("CodeValue", "")
        path = identifier_path(Field.PROCEDURE_CODE, code) if code else None
        return Condition(_has_item(sequence, where), path)
    return Condition(_has_item(sequence, where), unique=not all(has_wildcard(value) for _, value in wanted))


def _has_item(sequence: str, where: ColumnElement[Any]) -> ColumnElement[bool]:
    if sequence == _CODES:
        return study.c.id.in_(select(procedure_code.c.study_ref).where(where))
    return series.c.id.in_(select(request_attributes.c.series_ref).where(where))
