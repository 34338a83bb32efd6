"""Writing instances into the index: idempotent, and safe beside other processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from pacs.index.bulk import BulkStatement, Row, pipeline
from pacs.index.engine import TransactionLost, connect_to_write, errors_translated
from pacs.index.models import conflict, instance, series, study
from pacs.index.parents import (
    KnownParents,
    Parents,
    ParentsKey,
    ensure_parents,
    insert_if_new,
    parents_key,
)
from pacs.index.records import InstanceRecord
from pacs.index.spooled import insert_spooled, spooled_row


class WriteOutcome(Enum):
    """What the index did with an instance."""

    ADDED = "added"
    ALREADY_THERE = "already there"  # the same content: nothing written
    CONFLICT = "conflict"  # another content under the same SOP Instance UID: recorded beside the first
    KNOWN_CONFLICT = "known conflict"  # the same as CONFLICT, again: nothing written


class _NotAllNew(Exception):
    """One of the SOP Instance UIDs is in the index already."""


class IndexWriter:
    """Writes groups of records, each in a transaction, over a connection of its own.

    It takes first that all instances are new, which they nearly always are; then a group needs four
    statements, however large it is. Not safe for use by several threads at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._known_parents = KnownParents()
        self._statements = _Statements(engine)

    def write(self, records: Sequence[InstanceRecord]) -> list[WriteOutcome]:
        """Write records in one transaction; it is durable when this returns.

        Raises
        ------
        pacs.errors.IndexUnavailable
        """
        connected = self._connection is not None
        try:
            return self._write_once(records)
        except TransactionLost:  # by a connection that had grown old, or by another process in the way
            if not connected:
                raise
            return self._write_once(records)

    def close(self) -> None:
        """Let go of the connection; the next group opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _write_once(self, records: Sequence[InstanceRecord]) -> list[WriteOutcome]:
        try:
            self._write_new(records)
        except _NotAllNew:
            return self._write_any(records)
        except IntegrityError:  # a row that was known is gone
            self._known_parents.forget()
            return self._write_any(records)
        return [WriteOutcome.ADDED] * len(records)

    def _write_new(self, records: Sequence[InstanceRecord]) -> None:
        """Write instances that are all new; raises _NotAllNew, and has written nothing, if one is not."""
        found: dict[ParentsKey, Parents] = {}
        rows = []
        with self._transaction() as connection:
            for record in records:
                key = parents_key(record)
                parents = self._known_parents.find(key) or found.get(key)
                if parents is None:
                    _require_new(connection, record)
                    parents = found[key] = ensure_parents(connection, record)
                rows.append(_instance_row(record, parents))
            with pipeline(connection):
                inserted = self._statements.insert_instances.execute(connection, rows)
                self._count(connection, rows)
                self._note_spooled(connection, records)
            if inserted.rowcount != len(rows):
                raise _NotAllNew
        self._known_parents.learn(found)

    def _write_any(self, records: Sequence[InstanceRecord]) -> list[WriteOutcome]:
        with self._transaction() as connection:
            outcomes = [self._write_one(connection, record) for record in records]
            self._note_spooled(connection, records)
            return outcomes

    def _write_one(self, connection: Connection, record: InstanceRecord) -> WriteOutcome:
        known = _known_sha256(connection, record)
        if known is None:
            row = _instance_row(record, ensure_parents(connection, record))
            if self._statements.insert_instances.execute(connection, [row]).rowcount == 1:
                self._count(connection, [row])
                return WriteOutcome.ADDED
            known = _known_sha256(connection, record)  # another process was faster
        if known == record.location.sha256:
            return WriteOutcome.ALREADY_THERE
        if _is_known_conflict(connection, record):
            return WriteOutcome.KNOWN_CONFLICT
        _add_conflict(connection, record)
        return WriteOutcome.CONFLICT

    def _count(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Count instances where they belong, in the same order in all processes."""
        for statement, column in (
            (self._statements.count_in_series, "series_ref"),
            (self._statements.count_in_study, "study_ref"),
        ):
            numbers = Counter(row[column] for row in rows)
            statement.execute(
                connection, [{"ref": ref, "added": number} for ref, number in sorted(numbers.items())]
            )

    def _note_spooled(self, connection: Connection, records: Sequence[InstanceRecord]) -> None:
        """Note what is to be uploaded: conflicts too, and what came again after it had left the spool."""
        rows = [
            spooled_row(record.location.key, record.location.size_bytes, record.received_at)
            for record in records
            if record.spooled
        ]
        if rows:
            self._statements.insert_spooled.execute(connection, rows)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with errors_translated(self._engine):
            if self._connection is None:
                self._connection = connect_to_write(self._engine)
            try:
                with self._connection.begin():
                    yield self._connection
            except (_NotAllNew, IntegrityError):
                raise
            except BaseException:
                self.close()
                raise


class _Statements:
    """What every group needs, compiled for one database."""

    def __init__(self, engine: Engine) -> None:
        dialect = engine.dialect
        insert = (postgresql if dialect.name == "postgresql" else sqlite).insert(instance)
        columns = {column.name: bindparam(column.name, type_=column.type) for column in _INSTANCE_COLUMNS}
        self.insert_instances = BulkStatement(dialect, insert.values(columns).on_conflict_do_nothing())
        self.insert_spooled = BulkStatement(dialect, insert_spooled(dialect.name))
        self.count_in_series = BulkStatement(dialect, _count(series))
        self.count_in_study = BulkStatement(dialect, _count(study))


_INSTANCE_COLUMNS = [column for column in instance.columns if column is not instance.c.id]
_NO_INSTANCE = dict.fromkeys(column.name for column in _INSTANCE_COLUMNS)
_SHA256 = select(instance.c.sha256).where(instance.c.sop_instance_uid == bindparam("uid"))


def _count(table: Any) -> Any:
    added = table.c.number_of_instances + bindparam("added")
    return update(table).where(table.c.id == bindparam("ref")).values(number_of_instances=added)


def _known_sha256(connection: Connection, record: InstanceRecord) -> str | None:
    known: str | None = connection.scalar(_SHA256, {"uid": record.instance["sop_instance_uid"]})
    return known


def _require_new(connection: Connection, record: InstanceRecord) -> None:
    """Look first where new parents would be added: a conflict must not leave an empty study behind."""
    if _known_sha256(connection, record) is not None:
        raise _NotAllNew


def _instance_row(record: InstanceRecord, parents: Parents) -> dict[str, Any]:
    location = record.location
    return {
        **_NO_INSTANCE,
        **record.instance,
        "series_ref": parents.series_ref,
        "study_ref": parents.study_ref,
        "transfer_syntax_uid": record.transfer_syntax_uid,
        "object_key": location.key,
        "size_bytes": location.size_bytes,
        "sha256": location.sha256,
        "dataset_offset": location.dataset_offset,
        "pixel_data_offset": location.pixel_data_offset,
        "pixel_data_size_bytes": location.pixel_data_size_bytes,
        "calling_ae_title": record.calling_ae_title,
        "received_at": record.received_at,
    }


def _is_known_conflict(connection: Connection, record: InstanceRecord) -> bool:
    found = select(conflict.c.id).where(
        conflict.c.sop_instance_uid == record.instance["sop_instance_uid"],
        conflict.c.sha256 == record.location.sha256,
    )
    return connection.scalar(found.limit(1)) is not None


def _add_conflict(connection: Connection, record: InstanceRecord) -> None:
    insert_if_new(
        connection,
        conflict,
        {
            "sop_instance_uid": record.instance["sop_instance_uid"],
            "object_key": record.location.key,
            "size_bytes": record.location.size_bytes,
            "sha256": record.location.sha256,
            "calling_ae_title": record.calling_ae_title,
            "received_at": record.received_at,
        },
    )


def move_object(connection: Connection, old_key: str, new_key: str) -> None:
    """Say that an object, of an instance or a conflict, lies under another key now."""
    for table in (instance, conflict):
        moved = update(table).where(table.c.object_key == old_key).values(object_key=new_key)
        connection.execute(moved)
