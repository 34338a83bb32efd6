"""Orders as rows, and rows as orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, select

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
    of_orders = imaging_order.c.id.in_(order_refs)
    rows = connection.execute(select(imaging_order).where(of_orders)).all() if order_refs else ()
    if not rows:
        return {}
    codes = _read_codes(connection, order_refs)
    steps = _read_steps(connection, order_refs, codes)
    return {row.id: _order(row._asdict(), codes[row.id, None], steps[row.id]) for row in rows}


def _read_steps(
    connection: Connection,
    order_refs: Collection[int],
    codes: Mapping[tuple[int, int | None], Sequence[Code]],
) -> Mapping[int, Sequence[ScheduledStep]]:
    of_orders = scheduled_step.c.order_ref.in_(order_refs)
    found = defaultdict(list)
    for row in connection.execute(select(scheduled_step).where(of_orders).order_by(scheduled_step.c.place)):
        found[row.order_ref].append(_step(row._asdict(), codes[row.order_ref, row.id]))
    return found


def _read_codes(
    connection: Connection, order_refs: Collection[int]
) -> Mapping[tuple[int, int | None], Sequence[Code]]:
    of_orders = order_code.c.order_ref.in_(order_refs)
    found = defaultdict(list)
    for row in connection.execute(select(order_code).where(of_orders).order_by(order_code.c.id)):
        code = Code(row.value, row.scheme, row.meaning, row.version)
        found[row.order_ref, row.step_ref].append(code)
    return found


def _order(row: Mapping[str, Any], codes: Sequence[Code], steps: Sequence[ScheduledStep]) -> Order:
    values = {one.field: _read(one, row[one.field]) for one in attributes_of(Part.ORDER)}
    return Order(**values, procedure_codes=tuple(codes), steps=tuple(steps), version=row["version"])


def _step(row: Mapping[str, Any], codes: Sequence[Code]) -> ScheduledStep:
    values = {one.field: _read(one, row[one.field]) for one in attributes_of(Part.STEP)}
    return ScheduledStep(**values | {"state": StepState(row["state"])}, protocol_codes=tuple(codes))


def _read(attribute: WorklistAttribute, value: Any) -> Any:
    if attribute.many:
        return tuple(value.split(SEPARATOR)) if value else ()
    return value


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
