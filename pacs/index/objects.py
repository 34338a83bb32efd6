"""Listing the objects that the index knows, for those who compare it with the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Engine, Subquery, cast, exists, func, null, select, update

from pacs.index.engine import reading, writing
from pacs.index.ledger_rows import append_lines
from pacs.index.models import conflict, instance, performed_step, performed_step_message
from pacs.index.records import ConflictKind
from pacs.ledger.entries import Move, write_entry


class ObjectCursor(NamedTuple):
    """A place in the list of objects: which part of the list, and the last row of it that is behind."""

    table: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class IndexedObject:
    """An object as the index knows it; ``cursor`` is the place right behind it."""

    cursor: ObjectCursor
    sop_instance_uid: str  # of a message: that of the performed step
    key: str
    size_bytes: int | None  # None of a message: its digest has to be enough
    sha256: str


@dataclass(frozen=True, slots=True)
class ObjectTotals:
    """How many objects the index knows, and the sizes that it knows together."""

    objects: int
    size_bytes: int


def list_objects(engine: Engine, after: ObjectCursor, limit: int) -> list[IndexedObject]:
    """List at most ``limit`` objects behind a cursor, conflicts behind instances, and last messages of steps.

    It is empty at the end. A content that was displaced more than once may be listed more than once.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    with reading(engine) as connection:
        for number in range(after.table, len(_PARTS)):
            part = _PARTS[number]
            behind = part.c.id > (after.row if number == after.table else 0)
            rows = connection.execute(select(part).where(behind).order_by(part.c.id).limit(limit)).all()
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
    """Count the objects and add up the sizes that are known.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    objects = size_bytes = 0
    with reading(engine) as connection:
        for part in _PARTS:
            row = connection.execute(select(func.count(part.c.id), func.sum(part.c.size_bytes))).one()
            objects += row[0]
            size_bytes += int(row[1] or 0)
    return ObjectTotals(objects, size_bytes)


def move_object(engine: Engine, old_key: str, new_key: str, at: datetime, *, in_ledger: bool) -> None:
    """Say that an object, of an instance or a conflict, lies under another key now.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    with writing(engine) as connection:
        for column in (instance.c.object_key, conflict.c.object_key, conflict.c.first_object_key):
            moved = update(column.table).where(column == old_key).values({column: new_key})
            connection.execute(moved)
        if in_ledger:
            append_lines(connection, write_entry(Move(at, old_key, new_key)))


def _of_conflict(
    key: ColumnElement[Any], size_bytes: ColumnElement[Any], sha256: ColumnElement[Any]
) -> Subquery:
    """Select one of the two contents of each conflict, where it is not the current one."""
    is_current = exists().where(
        instance.c.sop_instance_uid == conflict.c.sop_instance_uid, instance.c.object_key == key
    )
    return (
        select(
            conflict.c.id,
            conflict.c.sop_instance_uid,
            key.label("object_key"),
            size_bytes.label("size_bytes"),
            sha256.label("sha256"),
        )
        .where(conflict.c.kind == ConflictKind.CONTENT.value, ~is_current)
        .subquery()
    )


_CURRENT = select(
    instance.c.id,
    instance.c.sop_instance_uid,
    instance.c.object_key,
    instance.c.size_bytes,
    instance.c.sha256,
).subquery()
_LENGTH_BEHIND_DIGEST: Final = len(".dcm")
_LENGTH_OF_DIGEST: Final = 64
_KEY_OF_MESSAGE: Final = performed_step_message.c.object_key
_MESSAGES = (
    select(
        performed_step_message.c.id,
        performed_step.c.sop_instance_uid,
        _KEY_OF_MESSAGE,
        cast(null(), BigInteger).label("size_bytes"),
        func.substr(
            _KEY_OF_MESSAGE,
            func.length(_KEY_OF_MESSAGE) - _LENGTH_BEHIND_DIGEST - _LENGTH_OF_DIGEST + 1,
            _LENGTH_OF_DIGEST,
        ).label("sha256"),
    )
    .select_from(performed_step_message.join(performed_step))
    .subquery()
)
_PARTS: Final = (  # a cursor has their numbers
    _CURRENT,
    _of_conflict(conflict.c.object_key, conflict.c.size_bytes, conflict.c.sha256),
    _of_conflict(conflict.c.first_object_key, conflict.c.first_size_bytes, conflict.c.first_sha256),
    _MESSAGES,
)
