"""Writing orders: their rows, those of their steps and codes, and the words that they are found by."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from pacs.dicom.orders import Order, ScheduledStep, StepState
from pacs.index.inserts import insert_if_new
from pacs.index.models import imaging_order, order_code, order_word, scheduled_step
from pacs.index.names import fold_name, split_words
from pacs.index.order_rows import MAX_WORD_LENGTH, code_rows, order_row, read_orders, step_row


def lock_order(connection: Connection, accession_number: str) -> tuple[int, Order | None]:
    """Read an order that nobody else changes until the transaction ends."""
    row = imaging_order.c.accession_number == accession_number
    row_id = connection.scalar(select(imaging_order.c.id).where(row).with_for_update())
    return (0, None) if row_id is None else (row_id, read_order(connection, row_id))


def read_order(connection: Connection, row_id: int) -> Order:
    """Read an order by its key."""
    return read_orders(connection, [row_id])[row_id]


def insert_order(connection: Connection, order: Order, at: datetime) -> bool:
    """Insert an order with its steps; False, and nothing is done, where its accession number is taken."""
    row = {**order_row(order), "placed_at": at, "changed_at": at}
    if not insert_if_new(connection, imaging_order, row):
        return False
    row_id = connection.scalar(
        select(imaging_order.c.id).where(imaging_order.c.accession_number == order.accession_number)
    )
    assert row_id is not None  # noqa: S101 - it was inserted above
    _write_parts(connection, row_id, order, ())
    return True


def overwrite_order(connection: Connection, row_id: int, order: Order, at: datetime) -> None:
    """Make the rows of an order what it says now; steps that stay keep their keys."""
    row = {**order_row(order), "changed_at": at}
    connection.execute(update(imaging_order).where(imaging_order.c.id == row_id).values(row))
    of_order = scheduled_step.c.order_ref == row_id
    step_ids = [step.step_id for step in order.steps]
    for table in (order_code, order_word):
        connection.execute(delete(table).where(table.c.order_ref == row_id))
    connection.execute(delete(scheduled_step).where(of_order, scheduled_step.c.step_id.not_in(step_ids)))
    kept = connection.execute(select(scheduled_step.c.id, scheduled_step.c.step_id).where(of_order)).all()
    _write_parts(connection, row_id, order, kept)


def _write_parts(connection: Connection, row_id: int, order: Order, kept: Iterable[Any]) -> None:
    """Write the steps, codes and words of an order; ``kept`` are the rows of steps that there are."""
    known = {row.step_id: row.id for row in kept}
    codes = code_rows(row_id, None, order.procedure_codes)
    for place, step in enumerate(order.steps):
        step_ref = _write_step(connection, row_id, step, place, known.get(step.step_id))
        codes += code_rows(row_id, step_ref, step.protocol_codes)
    if codes:
        connection.execute(insert(order_code), codes)
    words = {word[:MAX_WORD_LENGTH] for word in split_words(fold_name(order.patient_name))}
    if words:
        rows = [{"word": word, "order_ref": row_id} for word in sorted(words)]
        connection.execute(insert(order_word), rows)


def _write_step(
    connection: Connection, row_id: int, step: ScheduledStep, place: int, step_ref: int | None
) -> int:
    row = {**step_row(step, place), "order_ref": row_id}
    if step_ref is not None:
        connection.execute(update(scheduled_step).where(scheduled_step.c.id == step_ref).values(row))
        return step_ref
    written: int | None = connection.scalar(insert(scheduled_step).values(row).returning(scheduled_step.c.id))
    assert written is not None  # noqa: S101 - an INSERT that does not fail returns its row
    return written


def set_states(
    connection: Connection,
    row_id: int,
    step_ids: Collection[str],
    state: StepState,
    version: int,
    at: datetime,
) -> None:
    """Move steps of an order to a state, and the order to its next version."""
    of_steps = (scheduled_step.c.order_ref == row_id, scheduled_step.c.step_id.in_(step_ids))
    values = {"state": str(state), "is_open": state.is_open}
    connection.execute(update(scheduled_step).where(*of_steps).values(values))
    changed = {"version": version, "changed_at": at}
    connection.execute(update(imaging_order).where(imaging_order.c.id == row_id).values(changed))
