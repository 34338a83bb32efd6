"""Orders as rows, and rows as orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from pacs.dicom.attributes import Matching
from pacs.dicom.orders import Code, Order, ScheduledStep, StepState
from pacs.dicom.worklist_attributes import Part, WorklistAttribute, attributes_of
from pacs.index.models import FOLDED_SUFFIX, imaging_order, order_code, scheduled_step
from pacs.index.names import fold_name
from pacs.index.study_terms import moment_of
from pacs.text import fold

SEPARATOR: Final = "\\"
MAX_WORD_LENGTH: Final = 64  # of a name, by which an order is found


def order_row(order: Order) -> dict[str, Any]:
    """Write what an order says as its row, without its key and its times."""
    return {**_values(order, Part.ORDER), "version": order.version}


def step_row(step: ScheduledStep, place: int) -> dict[str, Any]:
    """Write what a step says as its row, without its keys."""
    return {
        **_values(step, Part.STEP),
        "place": place,
        "is_open": step.state.is_open,
        "moment": moment_of(step.start_date, step.start_time),
    }


def code_rows(order_ref: int, step_ref: int | None, codes: Sequence[Code]) -> list[dict[str, Any]]:
    """Write codes as rows, in their order."""
    return [
        {
            "order_ref": order_ref,
            "step_ref": step_ref,
            "value": code.value,
            "scheme": code.scheme,
            "version": code.version,
            "meaning": code.meaning,
        }
        for code in codes
    ]


def read_orders(connection: Connection, order_refs: Collection[int]) -> dict[int, Order]:
    """Read orders with their steps, by their keys."""
    refs = {"refs": list(order_refs)}
    rows = connection.execute(_ORDERS, refs).all() if order_refs else ()
    if not rows:
        return {}
    codes = _read_codes(connection, order_refs)
    steps = defaultdict(list)
    for order_ref, step_ref, *values in connection.execute(_STEPS, refs):
        steps[order_ref].append(_step(values, codes[order_ref, step_ref]))
    return {ref: _order(version, values, codes[ref, None], steps[ref]) for ref, version, *values in rows}


def _read_codes(
    connection: Connection, order_refs: Collection[int]
) -> Mapping[tuple[int, int | None], Sequence[Code]]:
    found = defaultdict(list)
    for row in connection.execute(_CODES, {"refs": list(order_refs)}):
        code = Code(row.value, row.scheme, row.meaning, row.version)
        found[row.order_ref, row.step_ref].append(code)
    return found


def _order(
    version: int, values: Sequence[Any], codes: Sequence[Code], steps: Sequence[ScheduledStep]
) -> Order:
    known = _read(Part.ORDER, values)
    return Order(**known, procedure_codes=tuple(codes), steps=tuple(steps), version=version)


def _step(values: Sequence[Any], codes: Sequence[Code]) -> ScheduledStep:
    known = _read(Part.STEP, values)
    known["state"] = StepState(known["state"])
    return ScheduledStep(**known, protocol_codes=tuple(codes))


def _read(part: Part, values: Sequence[Any]) -> dict[str, Any]:
    """Make the fields of a record of the values of its attributes, which come in their order."""
    known = dict(zip(_FIELDS[part], values, strict=True))
    for field in _MANY_VALUED[part]:
        known[field] = tuple(known[field].split(SEPARATOR)) if known[field] else ()
    return known


def _values(record: Order | ScheduledStep, part: Part) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for attribute in attributes_of(part):
        value = getattr(record, attribute.field)
        if attribute.many:
            value = SEPARATOR.join(value) or None
        elif attribute.field == "state":
            value = str(value)
        row[attribute.field] = value
        if attribute.is_folded:
            row[attribute.field + FOLDED_SUFFIX] = _folded(attribute, value)
    return row


def _folded(attribute: WorklistAttribute, value: str | None) -> str | None:
    if value is None:
        return None
    return fold_name(value) if attribute.matching is Matching.PERSON_NAME else fold(value)


# Built once: building a statement costs more than running it.
_FIELDS: Final = {part: [one.field for one in attributes_of(part)] for part in Part}
_MANY_VALUED: Final = {part: [one.field for one in attributes_of(part) if one.many] for part in Part}
_REFS: Final[Any] = bindparam("refs", expanding=True)
_ORDERS: Final = select(
    imaging_order.c.id, imaging_order.c.version, *(imaging_order.c[name] for name in _FIELDS[Part.ORDER])
).where(imaging_order.c.id.in_(_REFS))
_STEPS: Final = (
    select(
        scheduled_step.c.order_ref,
        scheduled_step.c.id,
        *(scheduled_step.c[name] for name in _FIELDS[Part.STEP]),
    )
    .where(scheduled_step.c.order_ref.in_(_REFS))
    .order_by(scheduled_step.c.order_ref, scheduled_step.c.place)
)
_CODES: Final = select(order_code).where(order_code.c.order_ref.in_(_REFS)).order_by(order_code.c.id)
