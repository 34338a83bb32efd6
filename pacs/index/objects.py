"""Listing the objects that the index knows, for those who compare it with the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Engine, func, select

from pacs.index.engine import reading
from pacs.index.models import conflict, instance

_TABLES: Final = (instance, conflict)


class ObjectCursor(NamedTuple):
    """A place in the list of objects: the table, and the last row that is behind."""

    table: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class IndexedObject:
    """An object as the index knows it; ``cursor`` is the place right behind it."""

    cursor: ObjectCursor
    sop_instance_uid: str
    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ObjectTotals:
    """How many objects the index knows, and their sizes together."""

    objects: int
    size_bytes: int


def list_objects(engine: Engine, after: ObjectCursor, limit: int) -> list[IndexedObject]:
    """List at most ``limit`` objects behind a cursor, conflicts last; empty at the end.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    with reading(engine) as connection:
        for number in range(after.table, len(_TABLES)):
            table = _TABLES[number]
            columns = (table.c.id, table.c.sop_instance_uid, table.c.object_key)
            statement = (
                select(*columns, table.c.size_bytes, table.c.sha256)
                .where(table.c.id > (after.row if number == after.table else 0))
                .order_by(table.c.id)
                .limit(limit)
            )
            rows = connection.execute(statement).all()
            if rows:
                return [
                    IndexedObject(
                        ObjectCursor(number, row.id),
                        row.sop_instance_uid,
                        row.object_key,
                        row.size_bytes,
                        row.sha256,
                    )
                    for row in rows
                ]
    return []


def count_objects(engine: Engine) -> ObjectTotals:
    """Count the objects and add up their sizes.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    objects = size_bytes = 0
    with reading(engine) as connection:
        for table in _TABLES:
            row = connection.execute(select(func.count(table.c.id), func.sum(table.c.size_bytes))).one()
            objects += row[0]
            size_bytes += int(row[1] or 0)
    return ObjectTotals(objects, size_bytes)
