"""The rows of what lies in the spool: what is to be uploaded, when it is tried again, what may be removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Engine, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pacs.index.engine import reading, writing
from pacs.index.models import spooled_object

LOST_BY_REMOTE = "LostByRemote"  # uploaded once, and not to be read there any more
# No object is postponed for longer: one that seems to be was noted before the clock was set back.
_LONGEST_WAIT = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class SpooledObject:
    """An object of the spool that somebody has to deal with."""

    key: str
    size_bytes: int
    spooled_at: datetime
    attempts: int  # to upload it, this one included
    last_error: str | None  # name of what went wrong when it was tried last


@dataclass(frozen=True, slots=True)
class SpoolReport:
    """What is in the spool, by the index."""

    objects: int
    size_bytes: int
    waiting_objects: int  # not uploaded yet
    waiting_size_bytes: int
    failed_objects: int  # of those that wait, tried in vain so far
    oldest_waiting: datetime | None


class SpooledObjects:
    """The table of the spool. Safe for use by several threads and processes.

    All methods raise :class:`~pacs.errors.IndexUnavailable`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, sizes: Mapping[str, int], now: datetime) -> None:
        """Take in objects, by key, that are in the spool; what is known already stays as it is."""
        if sizes:
            rows = [spooled_row(key, size_bytes, now) for key, size_bytes in sizes.items()]
            with writing(self._engine) as connection:
                connection.execute(insert_spooled(self._engine.dialect.name), rows)

    def known(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys that are known."""
        column = spooled_object.c.object_key
        with reading(self._engine) as connection:
            return set(connection.scalars(select(column).where(column.in_(list(keys)))))

    def some(self, count: int) -> list[str]:
        """Return at most ``count`` keys of objects that are in the spool."""
        with reading(self._engine) as connection:
            return list(connection.scalars(select(spooled_object.c.object_key).limit(count)))

    def claim(self, count: int, now: datetime, lease: timedelta) -> list[SpooledObject]:
        """Take at most ``count`` objects that are due, longest due first, for as long as the lease runs.

        Several may claim at once: on PostgreSQL each skips what another is about to take, on SQLite one
        writes at a time.
        """
        table = spooled_object
        due = (
            select(table.c.object_key)
            .where(
                table.c.uploaded_at.is_(None),
                or_(table.c.next_attempt_at <= now, table.c.next_attempt_at > now + _LONGEST_WAIT),
            )
            .order_by(table.c.next_attempt_at)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        claim = (
            update(table)
            .where(table.c.object_key.in_(due))
            .values(next_attempt_at=now + lease, attempts=table.c.attempts + 1)
            .returning(*table.c)
        )
        with writing(self._engine) as connection:
            return [_spooled(row) for row in connection.execute(claim)]

    def extend(self, keys: Sequence[str], until: datetime) -> None:
        """Prolong the lease of claimed objects."""
        self._update(keys, {"next_attempt_at": until})

    def mark_uploaded(self, keys: Sequence[str], now: datetime) -> None:
        """Note that the remote store has these objects and that they were read back there."""
        self._update(keys, {"uploaded_at": now, "last_error": None})

    def postpone(self, key: str, until: datetime, error: str | None) -> None:
        """Have an object tried again later; ``error`` is the name of what went wrong."""
        self._update([key], {"uploaded_at": None, "next_attempt_at": until, "last_error": error})

    def uploaded_before(self, moment: datetime, count: int) -> list[SpooledObject]:
        """List objects that were uploaded before a time, longest ago first."""
        table = spooled_object
        statement = (
            select(table).where(table.c.uploaded_at < moment).order_by(table.c.uploaded_at).limit(count)
        )
        with reading(self._engine) as connection:
            return [_spooled(row) for row in connection.execute(statement)]

    def forget(self, keys: Sequence[str]) -> None:
        """Remove the rows of objects that have left the spool."""
        with writing(self._engine) as connection:
            connection.execute(delete(spooled_object).where(spooled_object.c.object_key.in_(keys)))

    def size_bytes(self) -> int:
        """Sum up the sizes of all objects in the spool."""
        with reading(self._engine) as connection:
            return int(
                connection.scalar(select(func.coalesce(func.sum(spooled_object.c.size_bytes), 0))) or 0
            )

    def report(self) -> SpoolReport:
        """Count what is in the spool and what waits to be uploaded."""
        table = spooled_object
        waits = table.c.uploaded_at.is_(None)

        statement = select(
            func.count().label("objects"),
            func.sum(table.c.size_bytes).label("size_bytes"),
            func.count().filter(waits).label("waiting_objects"),
            func.sum(table.c.size_bytes).filter(waits).label("waiting_size_bytes"),
            func.count().filter(waits, table.c.last_error.is_not(None)).label("failed_objects"),
            func.min(table.c.spooled_at).filter(waits).label("oldest_waiting"),
        ).select_from(table)
        with reading(self._engine) as connection:
            row = connection.execute(statement).one()
        return SpoolReport(
            objects=row.objects,
            size_bytes=int(row.size_bytes or 0),
            waiting_objects=row.waiting_objects,
            waiting_size_bytes=int(row.waiting_size_bytes or 0),
            failed_objects=row.failed_objects,
            oldest_waiting=row.oldest_waiting and _utc(row.oldest_waiting),
        )

    def _update(self, keys: Sequence[str], values: Mapping[str, Any]) -> None:
        if keys:
            with writing(self._engine) as connection:
                connection.execute(
                    update(spooled_object).where(spooled_object.c.object_key.in_(keys)).values(values)
                )


def spooled_row(key: str, size_bytes: int, now: datetime) -> dict[str, Any]:
    """Make the values of a new row for :func:`insert_spooled`."""
    return {"object_key": key, "size_bytes": size_bytes, "spooled_at": now, "next_attempt_at": now}


@cache
def insert_spooled(dialect_name: str) -> Any:
    """Return the statement that adds rows and leaves known ones as they are."""
    dialect = postgresql if dialect_name == "postgresql" else sqlite
    columns = [spooled_object.c[name] for name in spooled_row("", 0, datetime.now(UTC))]
    values: dict[str, Any] = {column.name: bindparam(column.name, type_=column.type) for column in columns}
    return dialect.insert(spooled_object).values(values).on_conflict_do_nothing()


def _spooled(row: Any) -> SpooledObject:
    return SpooledObject(row.object_key, row.size_bytes, _utc(row.spooled_at), row.attempts, row.last_error)


def _utc(moment: datetime) -> datetime:
    """SQLite gives times back without their zone, which is always UTC here."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
