"""Orders in the index: placed, replaced, moved from state to state, found. Each change is in the ledger too.

Who changes an order locks its row first, so that of two writers the second sees what the first did; and who
names the version that it knows is refused where that is not the order's any more.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, select

from pacs.dicom.order_values import to_plain
from pacs.dicom.orders import Order, StepState, completed, replaced
from pacs.errors import ImpossibleState, InvalidRequest, NotFound, OrderChanged
from pacs.index.engine import reading, writing
from pacs.index.ledger_rows import append_lines
from pacs.index.models import imaging_order, scheduled_step
from pacs.index.order_rows import read_orders
from pacs.index.order_writes import insert_order, lock_order, overwrite_order, read_order, set_states
from pacs.index.records import OrderPage, WorklistItem, WorklistQuery
from pacs.index.worklist import list_orders, search_worklist
from pacs.ledger.entries import OrderPlaced, OrderState, write_entry

MAX_FOUND: Final = 100  # orders that one identifier leads to
_ACCESSION_NUMBER: Final = re.compile(r"[!-\[\]-~]{1,16}")  # VR SH, without spaces


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of an order that was placed."""

    order: Order
    is_new: bool
    is_changed: bool  # against the one that was there; a new one is


class Orders:
    """The orders of one database. Safe for use by several threads and processes.

    All methods raise :class:`~pacs.errors.IndexUnavailable`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def place(self, order: Order, at: datetime, *, expected_version: int | None = None) -> Placed:
        """Keep an order, in the place of the one with its accession number if there is one.

        One without an accession number replaces that of its placer's number. The same again changes nothing.

        Parameters
        ----------
        order
            One that `pacs.dicom.order_values.check_order` has returned; the states of its steps do not count.
        expected_version
            The one that the order must have; 0: there must be none.

        Raises
        ------
        OrderChanged
            It has another version.
        OrderBegun
            It would lose what may have images.
        InvalidRequest
            The placer's number is that of several orders.
        """
        with writing(self._engine) as connection:
            number = order.accession_number or _number_for(connection, order)
            named = replace(order, accession_number=number)
            row_id, known = lock_order(connection, number)
            if known is None and expected_version in (None, 0):
                if placed := _place_new(connection, named, at):
                    return placed
                row_id, known = lock_order(connection, number)  # another has placed it in this moment
            if known is None or expected_version not in (None, known.version):
                raise OrderChanged("the order has not the version that was to be replaced")
            return _replace(connection, row_id, known, named, at)

    def set_state(
        self,
        accession_number: str,
        state: StepState,
        at: datetime,
        *,
        step_id: str | None = None,
        expected_version: int | None = None,
    ) -> Order:
        """Move a step of an order to a state, or all that have not ended; return the order as it is then.

        Raises
        ------
        NotFound
            There is no such order or step.
        ImpossibleState
            A step cannot go there from where it is. Nothing is changed.
        OrderChanged
            The order has another version than the expected one.
        """
        with writing(self._engine) as connection:
            row_id, known = lock_order(connection, accession_number)
            if known is None:
                raise _unknown()
            if expected_version not in (None, known.version):
                raise OrderChanged("the order has not the version that was to be changed")
            moved = _moved_steps(known, state, step_id)
            if not moved:
                return known
            version = known.version + 1
            set_states(connection, row_id, moved, state, version, at)
            entry = OrderState(at, accession_number, version, tuple(moved), state)
            append_lines(connection, write_entry(entry))
            return read_order(connection, row_id)

    def cancel(self, accession_number: str, at: datetime, *, expected_version: int | None = None) -> Order:
        """Cancel what of an order has not ended. Raises as `set_state` does."""
        return self.set_state(accession_number, StepState.CANCELED, at, expected_version=expected_version)

    def find(self, accession_number: str) -> Order:
        """Find an order.

        Raises
        ------
        NotFound
        """
        found = self._find(imaging_order.c.accession_number == accession_number)
        if not found:
            raise _unknown()
        return found[0]

    def find_by_study(self, study_instance_uid: str) -> list[Order]:
        """Find the orders of a study, the newest first, at most 100."""
        return self._find(imaging_order.c.study_instance_uid == study_instance_uid)

    def find_by_patient(self, patient_id: str) -> list[Order]:
        """Find the orders for a patient ID, whoever issued it, the newest first, at most 100."""
        return self._find(imaging_order.c.patient_id == patient_id)

    def find_by_placer_number(self, placer_order_number: str) -> list[Order]:
        """Find the orders of a number of the placer, the newest first, at most 100."""
        return self._find(imaging_order.c.placer_order_number == placer_order_number)

    def find_by_requested_procedure(self, requested_procedure_id: str) -> list[Order]:
        """Find the orders of a requested procedure ID, the newest first, at most 100."""
        return self._find(imaging_order.c.requested_procedure_id == requested_procedure_id)

    def find_by_step(self, step_id: str) -> list[Order]:
        """Find the orders that have a step of an ID, the newest first, at most 100."""
        of_step = select(scheduled_step.c.order_ref).where(scheduled_step.c.step_id == step_id)
        return self._find(imaging_order.c.id.in_(of_step))

    def search(self, query: WorklistQuery) -> Iterator[Sequence[WorklistItem]]:
        """Find the scheduled steps that match, page by page. Raises InvalidRequest."""
        return search_worklist(self._engine, query)

    def list_matching(self, query: WorklistQuery, limit: int, offset: int = 0) -> OrderPage:
        """List orders that have a step which matches. Raises InvalidRequest."""
        return list_orders(self._engine, query, limit, offset)

    def replay_placed(self, order: Order, at: datetime) -> None:
        """Make an order what the ledger says, unless it is of that version or a later one already."""
        with writing(self._engine) as connection:
            row_id, known = lock_order(connection, order.accession_number)
            if known is None:
                insert_order(connection, order, at)
            elif known.version < order.version:
                overwrite_order(connection, row_id, order, at)

    def replay_state(
        self, accession_number: str, version: int, step_ids: Sequence[str], state: StepState, at: datetime
    ) -> bool:
        """Move steps to the state that the ledger says, as `replay_placed` does; False: no such order."""
        with writing(self._engine) as connection:
            row_id, known = lock_order(connection, accession_number)
            if known is not None and known.version < version:
                set_states(connection, row_id, step_ids, state, version, at)
            return known is not None

    def _find(self, condition: ColumnElement[bool]) -> list[Order]:
        newest = select(imaging_order.c.id).where(condition).order_by(imaging_order.c.id.desc())
        with reading(self._engine) as connection:
            row_ids = connection.scalars(newest.limit(MAX_FOUND)).all()
            orders = read_orders(connection, row_ids)
        return [orders[row_id] for row_id in row_ids]


def _place_new(connection: Connection, order: Order, at: datetime) -> Placed | None:
    """Keep an order that is not there; None where it is now."""
    steps = (replace(step, state=StepState.SCHEDULED) for step in order.steps)
    new = replace(completed(replace(order, steps=tuple(steps))), version=1)
    if not insert_order(connection, new, at):
        return None
    _tell(connection, new, at)
    return Placed(new, is_new=True, is_changed=True)


def _replace(connection: Connection, row_id: int, known: Order, order: Order, at: datetime) -> Placed:
    """Put an order in the place of the one that is there."""
    new = replaced(known, order)
    if new == known:
        return Placed(known, is_new=False, is_changed=False)
    new = replace(new, version=known.version + 1)
    overwrite_order(connection, row_id, new, at)
    _tell(connection, new, at)
    return Placed(new, is_new=False, is_changed=True)


def _unknown() -> NotFound:
    return NotFound("there is no such order")


def _number_for(connection: Connection, order: Order) -> str:
    """Find the accession number of an order by its placer's number, or make one.

    It is made of the placer's number where there is one, so that an order that two processes get at the same
    moment is still one.
    """
    if not order.placer_order_number:
        return _made_up(secrets.token_bytes(16))
    of_placer = imaging_order.c.placer_order_number == order.placer_order_number
    known = connection.scalars(select(imaging_order.c.accession_number).where(of_placer).limit(2)).all()
    if len(known) > 1:
        raise InvalidRequest("several orders have this placer_order_number: name the accession_number")
    if known:
        return str(known[0])
    taken = select(imaging_order.c.id).where(imaging_order.c.accession_number == order.placer_order_number)
    if _ACCESSION_NUMBER.fullmatch(order.placer_order_number) and connection.scalar(taken) is None:
        return order.placer_order_number
    return _made_up(hashlib.sha256(order.placer_order_number.encode()).digest())


def _made_up(random: bytes) -> str:
    return "F" + base64.b32encode(random).decode("ascii")[:12]


def _moved_steps(order: Order, state: StepState, step_id: str | None) -> list[str]:
    """Return the IDs of the steps that change when one, or all that have not ended, get a state."""
    steps = [s for s in order.steps if (s.state.is_open if step_id is None else s.step_id == step_id)]
    if step_id is not None and not steps:
        raise NotFound("the order has no such scheduled step")
    if step_id is None and not steps and any(s.state is not state for s in order.steps):
        raise ImpossibleState("all steps of the order have ended")
    for step in steps:
        if not step.state.may_become(state):
            raise ImpossibleState(f"a step that is {step.state} cannot become {state}")
    return [step.step_id for step in steps if step.state is not state]


def _tell(connection: Connection, order: Order, at: datetime) -> None:
    entry = OrderPlaced(at, order.accession_number, order.version, to_plain(order))
    append_lines(connection, write_entry(entry))
