"""Which performed steps are of which orders, and of which steps of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, or_, select, update

from pacs.dicom.orders import Order
from pacs.dicom.performed_procedure_step import ScheduledStep
from pacs.index.engine import reading, writing
from pacs.index.models import performed_as_scheduled, performed_step
from pacs.index.performed_steps import PerformedStep, read_performed_step


@dataclass(frozen=True, slots=True)
class PerformedLink:
    """What a performed step says of one scheduled step, and the order that it is of, where that is certain.

    ``order_step_id`` may be missing where the order is known: the device named none, and there are several.
    """

    row_id: int
    scheduled: ScheduledStep
    order_accession_number: str | None
    order_step_id: str | None


class PerformedLinks:
    """The links of one database. All methods raise :class:`~pacs.errors.IndexUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of_step(self, sop_instance_uid: str) -> list[PerformedLink]:
        """List what a performed step is of, in the order in which it names it."""
        table = performed_as_scheduled
        wanted = (
            select(table)
            .join(performed_step, performed_step.c.id == table.c.performed_step_ref)
            .where(performed_step.c.sop_instance_uid == sop_instance_uid)
            .order_by(table.c.id)
        )
        with reading(self._engine) as connection:
            return [
                PerformedLink(
                    row.id,
                    ScheduledStep(
                        row.study_instance_uid,
                        row.accession_number,
                        row.requested_procedure_id,
                        row.scheduled_procedure_step_id,
                    ),
                    row.order_accession_number,
                    row.order_step_id,
                )
                for row in connection.execute(wanted)
            ]

    def set_order(self, row_id: int, accession_number: str, step_id: str | None) -> None:
        """Say of which order, and which step of it, something was performed."""
        of_row = performed_as_scheduled.c.id == row_id
        values = {"order_accession_number": accession_number, "order_step_id": step_id}
        with writing(self._engine) as connection:
            connection.execute(update(performed_as_scheduled).where(of_row).values(values))

    def of_order(self, accession_number: str, step_id: str | None = None) -> list[PerformedStep]:
        """List what was performed for an order, or one step of it, in the order in which it began."""
        table = performed_as_scheduled
        refs = select(table.c.performed_step_ref).where(table.c.order_accession_number == accession_number)
        if step_id is not None:
            refs = refs.where(table.c.order_step_id == step_id)
        wanted = select(performed_step).where(performed_step.c.id.in_(refs)).order_by(performed_step.c.id)
        with reading(self._engine) as connection:
            return [read_performed_step(row) for row in connection.execute(wanted)]

    def list_unlinked(self, order: Order, limit: int) -> Sequence[str]:
        """List performed steps, by their UIDs, that name something of an order and are of none."""
        table = performed_as_scheduled
        named = (
            table.c.accession_number == order.accession_number,
            table.c.scheduled_procedure_step_id.in_([step.step_id for step in order.steps]),
            table.c.study_instance_uid == order.study_instance_uid,
        )
        wanted = (
            select(performed_step.c.sop_instance_uid)
            .join(table, table.c.performed_step_ref == performed_step.c.id)
            .where(table.c.order_accession_number.is_(None), or_(*named))
            .distinct()
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return list(connection.scalars(wanted))

    def list_untold(self, limit: int) -> Sequence[str]:
        """List performed steps, by their UIDs, of which orders do not know yet."""
        untold = performed_step.c.is_told_to_orders.is_(False)
        wanted = select(performed_step.c.sop_instance_uid).where(untold).order_by(performed_step.c.id)
        with reading(self._engine) as connection:
            return list(connection.scalars(wanted.limit(limit)))

    def mark_told(self, step: PerformedStep) -> None:
        """Note that orders know of a step as it is, unless it has changed since."""
        as_it_is = (
            performed_step.c.sop_instance_uid == step.sop_instance_uid,
            performed_step.c.number_of_messages == step.number_of_messages,
        )
        with writing(self._engine) as connection:
            connection.execute(update(performed_step).where(*as_it_is).values(is_told_to_orders=True))
