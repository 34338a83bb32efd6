"""Requests for storage commitment: what is to be confirmed to whom, and when it is tried again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Engine, delete, func, select, update

from pacs.errors import DuplicateTransaction
from pacs.index.due_rows import claim_due, postpone_all
from pacs.index.engine import reading, writing
from pacs.index.inserts import insert_if_new
from pacs.index.models import storage_commitment
from pacs.index.moments import utc


class Reference(NamedTuple):
    """An instance, as a device names it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class Commitment:
    """A request that somebody has to answer."""

    row_id: int
    ae_title: str  # who asked
    transaction_uid: str
    references: tuple[Reference, ...]
    requested_at: datetime
    attempts: int  # to answer it, this one included


_SAME = ("ae_title", "transaction_uid", "requested")


class Commitments:
    """The table of requests. Safe for use by several threads and processes.

    All methods raise :class:`~pacs.errors.IndexUnavailable`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(
        self, ae_title: str, transaction_uid: str, references: Sequence[Reference], now: datetime
    ) -> Commitment:
        """Keep a request, which is due at once. The same once more is answered once more.

        Raises
        ------
        DuplicateTransaction
            The device has used this transaction UID for something else. Nothing is kept.
        """
        row = {
            "ae_title": ae_title,
            "transaction_uid": transaction_uid,
            "requested": json.dumps(references),
            "requested_at": now,
            "next_attempt_at": now,
        }
        table = storage_commitment
        again = update(table).where(*(table.c[name] == row[name] for name in _SAME)).returning(*table.c)
        with writing(self._engine) as connection:
            insert_if_new(connection, table, row)
            values = {"requested_at": now, "next_attempt_at": now, "attempts": 0, "told_at": None}
            kept = connection.execute(again.values(values)).first()
        if kept is None:
            raise DuplicateTransaction("this transaction UID stands for another request")
        return _commitment(kept)

    def count_waiting(self, ae_title: str) -> int:
        """Count the requests of a device that are not answered yet."""
        table = storage_commitment
        waiting = select(func.count()).where(
            table.c.ae_title == ae_title, table.c.next_attempt_at.is_not(None)
        )
        with reading(self._engine) as connection:
            return connection.scalar(waiting) or 0

    def claim(self, count: int, now: datetime, lease: timedelta) -> list[Commitment]:
        """Take at most ``count`` requests that are due, longest due first, for as long as the lease runs."""
        rows = claim_due(self._engine, storage_commitment, count, now, lease)
        return [_commitment(row) for row in rows]

    def find(self, row_id: int) -> Commitment | None:
        """Find a request that waits for its answer; None where it does not any more."""
        table = storage_commitment
        waiting = select(table).where(table.c.id == row_id, table.c.told_at.is_(None))
        with reading(self._engine) as connection:
            row = connection.execute(waiting).first()
        return None if row is None else _commitment(row)

    def postpone(self, row_id: int, until: datetime | None) -> None:
        """Have a request tried again later unless it is answered, or prolong a lease; None: give it up."""
        self._update(row_id, {"next_attempt_at": until}, storage_commitment.c.told_at.is_(None))

    def postpone_all(self, ae_title: str, until: datetime, attempts: int) -> None:
        """Have what a device waits for tried no earlier than then, after so many attempts or more."""
        postpone_all(self._engine, storage_commitment, ae_title, until, attempts)

    def mark_told(self, row_id: int, now: datetime) -> None:
        """Note that a request was answered, and that the device has understood."""
        self._update(row_id, {"next_attempt_at": None, "told_at": now})

    def forget(self, requested_before: datetime) -> None:
        """Remove what was requested before a time and is answered or given up."""
        table = storage_commitment
        with writing(self._engine) as connection:
            connection.execute(
                delete(table).where(
                    table.c.next_attempt_at.is_(None), table.c.requested_at < requested_before
                )
            )

    def _update(self, row_id: int, values: dict[str, Any], *conditions: ColumnElement[bool]) -> None:
        table = storage_commitment
        with writing(self._engine) as connection:
            connection.execute(update(table).where(table.c.id == row_id, *conditions).values(values))


def _commitment(row: Any) -> Commitment:
    return Commitment(
        row_id=row.id,
        ae_title=row.ae_title,
        transaction_uid=row.transaction_uid,
        references=tuple(Reference(*pair) for pair in json.loads(row.requested)),
        requested_at=utc(row.requested_at),
        attempts=row.attempts,
    )
