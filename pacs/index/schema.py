"""The schema's version, and emptying the tables; :mod:`pacs.index.migration` changes the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, column, delete, inspect, select, table, update

from pacs.errors import IndexUnavailable
from pacs.index.engine import reading, writing
from pacs.index.models import (
    conflict,
    imaging_order,
    job_cursor,
    ledger_entry,
    ledger_head,
    ledger_segment,
    order_match,
    patient,
    performed_step,
    tombstone,
)
from pacs.index.postgresql import without_haste
from pacs.ledger.segments import FIRST_HEAD

MIGRATIONS: Final = Path(__file__).with_name("migrations")

# Studies go with their patients, steps with their orders, messages with their performed steps.
_EMPTIED: Final = (
    patient,
    imaging_order,
    performed_step,
    order_match,
    job_cursor,
    conflict,
    tombstone,
    ledger_entry,
    ledger_segment,
)
_ALEMBIC_VERSION: Final = table("alembic_version", column("version_num"))


def newest_version() -> str:
    """Return the schema version of this software: the number that the last migration's file begins with."""
    return max(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*.py"))


def current_version(engine: Engine) -> str | None:
    """Return the schema version of the database, None if it has none.

    Raises
    ------
    IndexUnavailable
    """
    with reading(engine) as connection:
        if not inspect(connection).has_table(_ALEMBIC_VERSION.name):
            return None
        version: str | None = connection.scalar(select(_ALEMBIC_VERSION.c.version_num))
        return version


def clear(engine: Engine) -> None:
    """Remove what the store can give back, and forget how far the ledger is known.

    Raises
    ------
    IndexUnavailable
    """
    with writing(engine) as connection, without_haste(connection):
        for emptied in _EMPTIED:
            connection.execute(delete(emptied))
        beginning = {"number": FIRST_HEAD.number, "sha256": FIRST_HEAD.sha256, "entries": 0}
        connection.execute(update(ledger_head).values(beginning))


def require_newest(engine: Engine) -> None:
    """Check that the database has this software's schema.

    Raises
    ------
    IndexUnavailable
        It has another, or none.
    """
    current, newest = current_version(engine), newest_version()
    if current != newest:
        raise IndexUnavailable(
            f"the database has schema {current or 'none'} and this software needs {newest}: "
            "run 'filmless migrate'"
        )
