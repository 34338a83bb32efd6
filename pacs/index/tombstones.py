"""What was deleted on purpose: taken out of the index at once, out of the store later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Engine, and_, case, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pacs.errors import UnreadableInstance
from pacs.index.engine import reading, writing
from pacs.index.ledger_rows import append_lines
from pacs.index.models import conflict, instance, study, tombstone
from pacs.index.records import ConflictKind
from pacs.index.replacement import current_content, current_contents, remove_instances
from pacs.index.settlement import Read, retell
from pacs.ledger.entries import Tombstone as LedgerTombstone
from pacs.ledger.entries import write_entry
from storage.errors import StoreError
from storage.packed_keys import own_key

_CLAIM_ENDS_AFTER: Final = timedelta(minutes=15)  # longer than a batch takes with a store that hardly answers


@dataclass(frozen=True, slots=True)
class Tombstone:
    """An object that was deleted and may still lie in the store."""

    row_id: int
    sop_instance_uid: str
    key: str
    deleted_at: datetime


class Removal(Enum):
    """How far the removal of an object from the store has come."""

    NOT_BEGUN = "not begun"
    UNDER_WAY = "under way"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class _Grave:
    """An object to bury."""

    sop_instance_uid: str
    key: str


def delete_instances(engine: Engine, uids: Sequence[str], at: datetime, read: Read, limit: int) -> int:
    """Take instances out of the index with all contents that are known of them, and write it into the ledger.

    Parameters
    ----------
    uids
        Of the study, or of study and series, or of study, series and instance.
    read
        Reads the record of an object: what is left of a study then says what that is.
    limit
        Instances at most.

    Returns
    -------
    int
        How many there were.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    with writing(engine) as connection:
        current = current_contents(connection, uids, limit)
        graves = _contents_of(connection, current)
        _bury(connection, graves, current, at, read)
        if graves:
            lines = (write_entry(LedgerTombstone(at, grave.key)) for grave in graves)
            append_lines(connection, "\n".join(lines))
    return len(current)


def bury(engine: Engine, object_key: str, sop_instance_uid: str, at: datetime, read: Read) -> None:
    """Take an object out of the index, be it current or that of a conflict, and remember that it was deleted.

    For one that the ledger says was deleted.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    with writing(engine) as connection:
        current = current_content(connection, sop_instance_uid)
        is_current = current is not None and own_key(current["object_key"]) == own_key(object_key)
        removed = [current] if current is not None and is_current else []
        _bury(connection, [_Grave(sop_instance_uid, object_key)], removed, at, read)


def is_deleted(engine: Engine, sop_instance_uid: str) -> bool:
    """Tell whether an instance was deleted and has not come again. Raises IndexUnavailable."""
    there = select(instance.c.id).where(instance.c.sop_instance_uid == sop_instance_uid).exists()
    found = select(tombstone.c.id).where(tombstone.c.sop_instance_uid == sop_instance_uid, ~there).limit(1)
    with reading(engine) as connection:
        return connection.scalar(found) is not None


def claim_removals(engine: Engine, deleted_before: datetime, at: datetime, limit: int) -> list[Tombstone]:
    """Note, for the caller to do, the removal of objects that were deleted before a time, and return them.

    Who removes notes it first and then looks which objects are wanted again. Who brings an object that was in
    the store already indexes it first and then looks for the note (:func:`find_removal`). So one of them
    sees the other, whoever is faster. What another has claimed is left to it, unless it seems to be gone.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    began = tombstone.c.removal_began_at
    is_due = (
        tombstone.c.removed_at.is_(None),
        or_(and_(began.is_(None), tombstone.c.deleted_at <= deleted_before), began <= at - _CLAIM_ENDS_AFTER),
    )
    claimed = []
    with writing(engine) as connection:
        rows = connection.execute(
            select(tombstone).where(*is_due).order_by(tombstone.c.id).limit(limit)
        ).all()
        for row in rows:
            claim = update(tombstone).where(tombstone.c.id == row.id, *is_due).values(removal_began_at=at)
            if connection.execute(claim).rowcount:
                claimed.append(Tombstone(row.id, row.sop_instance_uid, row.object_key, row.deleted_at))
    return claimed


def find_removal(engine: Engine, object_key: str) -> Removal:
    """Tell how far the removal of an object has come. Raises IndexUnavailable."""
    statement = select(tombstone.c.removal_began_at, tombstone.c.removed_at).where(
        tombstone.c.object_key == object_key
    )
    with reading(engine) as connection:
        row = connection.execute(statement).first()
    if row is None or row.removal_began_at is None:
        return Removal.NOT_BEGUN
    return Removal.UNDER_WAY if row.removed_at is None else Removal.DONE


def mark_removed(engine: Engine, claimed: Sequence[Tombstone], at: datetime) -> None:
    """Note that what was claimed is out of the store, or wanted there; raises IndexUnavailable.

    What was deleted again meanwhile has its time from then on.
    """
    with writing(engine) as connection:
        for one in claimed:
            of_row = update(tombstone).where(tombstone.c.id == one.row_id)
            same = tombstone.c.deleted_at == one.deleted_at
            connection.execute(of_row.where(same).values(removed_at=at))
            connection.execute(of_row.where(~same).values(removal_began_at=None))


def _contents_of(connection: Connection, current: Sequence[Mapping[str, Any]]) -> list[_Grave]:
    """List the objects of instances: the current one of each, and those of its conflicts."""
    graves = dict.fromkeys(_Grave(row["sop_instance_uid"], row["object_key"]) for row in current)
    uids = [row["sop_instance_uid"] for row in current]
    of_content = (conflict.c.kind == ConflictKind.CONTENT.value, conflict.c.sop_instance_uid.in_(uids))
    for row in connection.execute(select(conflict).where(*of_content)):
        graves[_Grave(row.sop_instance_uid, row.object_key)] = None
        if row.first_object_key is not None:
            graves[_Grave(row.sop_instance_uid, row.first_object_key)] = None
    return list(graves)


def _bury(
    connection: Connection,
    graves: Sequence[_Grave],
    current: Sequence[Mapping[str, Any]],
    at: datetime,
    read: Read,
) -> None:
    remove_instances(connection, current)
    subjects = [own_key(grave.key) for grave in graves]
    connection.execute(delete(conflict).where(conflict.c.subject.in_(subjects)))
    rows = [
        {"sop_instance_uid": grave.sop_instance_uid, "object_key": grave.key, "deleted_at": at}
        for grave in graves
    ]
    if rows:
        connection.execute(_insert(connection.dialect.name), rows)
    places = {(row["study_instance_uid"], row["series_instance_uid"]) for row in current}
    for study_instance_uid, series_instance_uid in sorted(places):
        with suppress(UnreadableInstance, StoreError):  # what is damaged says nothing, and hinders nobody
            retell(connection, study_instance_uid, series_instance_uid, at, read)
    _forget_patients(connection, {study_instance_uid for study_instance_uid, _ in places})


def _forget_patients(connection: Connection, study_instance_uids: Collection[str]) -> None:
    """Drop the questions about the patients of studies that are gone."""
    there = select(study.c.study_instance_uid).where(study.c.study_instance_uid.in_(study_instance_uids))
    gone = set(study_instance_uids) - set(connection.scalars(there))
    of_patient = (conflict.c.kind == ConflictKind.PATIENT.value, conflict.c.study_instance_uid.in_(gone))
    connection.execute(delete(conflict).where(*of_patient))


@cache
def _insert(dialect_name: str) -> Any:
    """Return the statement that notes a deletion, the later one of what was deleted before.

    A removal that is under way goes on to be noted: it may have found the object unwanted a moment ago.
    """
    insert = (postgresql if dialect_name == "postgresql" else sqlite).insert(tombstone)
    later = {
        "deleted_at": insert.excluded.deleted_at,
        "removal_began_at": case((tombstone.c.removed_at.is_(None), tombstone.c.removal_began_at)),
        "removed_at": None,
    }
    return insert.on_conflict_do_update(index_elements=[tombstone.c.object_key], set_=later)
