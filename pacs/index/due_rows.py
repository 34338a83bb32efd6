"""Rows that are worked on when they are due: taken for a while, so that who dies leaves them to others.

Such a table has ``next_attempt_at`` (later, while somebody is at it; none: never) and ``attempts``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, case, select, update

from pacs.index.engine import reading, writing


def claim_due(engine: Engine, table: Table, count: int, now: datetime, lease: timedelta) -> list[Any]:
    """Take at most ``count`` rows that are due, longest due first, for as long as the lease runs.

    Where none is due, which is nearly always, nothing is written. Raises IndexUnavailable.
    """
    with reading(engine) as connection:
        if connection.scalar(select(table.c.id).where(table.c.next_attempt_at <= now).limit(1)) is None:
            return []
    due = (
        select(table.c.id)
        .where(table.c.next_attempt_at <= now)
        .order_by(table.c.next_attempt_at)
        .limit(count)
        .with_for_update(skip_locked=True)
    )
    claim = (
        update(table)
        .where(table.c.id.in_(due))
        .values(next_attempt_at=now + lease, attempts=table.c.attempts + 1)
        .returning(*table.c)
    )
    with writing(engine) as connection:
        return list(connection.execute(claim))


def postpone_all(
    engine: Engine,
    table: Table,
    ae_title: str,
    until: datetime,
    attempts: int,
    *conditions: ColumnElement[bool],
) -> None:
    """Have what is for a peer, and meets the conditions, tried no earlier than then.

    It counts as tried in vain so often, or more often if it was: so the pauses of a peer that is away grow,
    however much waits for it.

    Raises IndexUnavailable.
    """
    meant = table.c.ae_title == ae_title, table.c.next_attempt_at < until, *conditions
    more = case((table.c.attempts > attempts, table.c.attempts), else_=attempts)
    with writing(engine) as connection:
        connection.execute(update(table).where(*meant).values(next_attempt_at=until, attempts=more))
