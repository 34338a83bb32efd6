"""Writing instances into the index: idempotent, and safe beside other processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from pacs.index.bulk import BulkStatement, Row, pipeline
from pacs.index.engine import TransactionLost, connect_to_write, errors_translated
from pacs.index.ledger_rows import receipt_lines
from pacs.index.meeting import meet_known_instance
from pacs.index.models import instance, ledger_entry, series, study
from pacs.index.parents import KnownParents, Parents, ParentsKey, ensure_parents, parents_key
from pacs.index.records import InstanceRecord, WriteOutcome
from pacs.index.rows import INSTANCE_COLUMNS, instance_row
from pacs.index.spooled import insert_spooled, spooled_row
from pacs.index.write_turn import WriteTurn


class _NotAllNew(Exception):
    """One of the SOP Instance UIDs is in the index already."""


class IndexWriter:
    """Writes groups of records, each in a transaction, over a connection of its own.

    It takes first that all instances are new, which they nearly always are; then a group needs five
    statements, however large it is. Not safe for use by several threads at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._known_parents = KnownParents()
        self._statements = _Statements(engine)
        self._turn = WriteTurn(engine.url)

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

    def forget(self) -> None:
        """Forget the rows that are known."""
        self._known_parents.forget()

    def close(self) -> None:
        """Let go of the connection; the next group opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._turn.close()

    def _write_once(self, records: Sequence[InstanceRecord]) -> list[WriteOutcome]:
        try:
            return self._write_new(records)
        except _NotAllNew:
            return self._write_any(records)
        except IntegrityError:  # a row that was known is gone
            self._known_parents.forget()
            return self._write_any(records)

    def _write_new(self, records: Sequence[InstanceRecord]) -> list[WriteOutcome]:
        """Write instances that are all new; raises _NotAllNew, and has written nothing, if one is not."""
        found: dict[ParentsKey, Parents] = {}
        rows, outcomes = [], []
        keys = [parents_key(record) for record in records]
        with self._transaction() as connection:
            for record, key in zip(records, keys, strict=True):
                parents = self._known_parents.find(key) or found.get(key)
                if parents is None:
                    _require_new(connection, record)
                    parents = found[key] = ensure_parents(connection, record)
                rows.append(instance_row(record, parents))
                outcomes.append(_added(parents))
            with pipeline(connection):
                inserted = self._statements.insert_instances.execute(connection, rows)
                self._count(connection, rows)
                self._note_spooled(connection, records)
                self._append_receipts(connection, records, outcomes)
            if inserted.rowcount != len(rows):
                raise _NotAllNew
        self._known_parents.learn(found)
        return outcomes

    def _write_any(self, records: Sequence[InstanceRecord]) -> list[WriteOutcome]:
        with self._transaction() as connection:
            outcomes = [self._write_one(connection, record) for record in records]
            self._note_spooled(connection, records)
            self._append_receipts(connection, records, outcomes)
        if WriteOutcome.REPLACED in outcomes:
            self._known_parents.forget()
        return outcomes

    def _write_one(self, connection: Connection, record: InstanceRecord) -> WriteOutcome:
        if _known_sha256(connection, record) is None:
            parents = ensure_parents(connection, record)
            row = instance_row(record, parents)
            if self._statements.insert_instances.execute(connection, [row]).rowcount == 1:
                self._count(connection, [row])
                return _added(parents)  # else another process was faster
        return meet_known_instance(connection, record)

    def _append_receipts(
        self, connection: Connection, records: Sequence[InstanceRecord], outcomes: Sequence[WriteOutcome]
    ) -> None:
        """Write the receipts last, when the studies' rows are locked: so they are in the order of these."""
        lines = receipt_lines(zip(records, outcomes, strict=True))
        if lines:
            self._statements.append_lines.execute(connection, [{"lines": lines}])

    def _count(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Count instances where they belong, in the same order in all processes."""
        for statement, column in (
            (self._statements.count_in_series, "series_ref"),
            (self._statements.count_in_study, "study_ref"),
        ):
            refs = [row[column] for row in rows]
            counts = [{"ref": ref, "added": refs.count(ref)} for ref in sorted(set(refs))]
            statement.execute(connection, counts)

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
                with self._turn.taken(), self._connection.begin():
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
        columns = {column.name: bindparam(column.name, type_=column.type) for column in INSTANCE_COLUMNS}
        self.insert_instances = BulkStatement(dialect, insert.values(columns).on_conflict_do_nothing())
        self.insert_spooled = BulkStatement(dialect, insert_spooled(dialect.name))
        self.count_in_series = BulkStatement(dialect, _count(series))
        self.count_in_study = BulkStatement(dialect, _count(study))
        self.append_lines = BulkStatement(dialect, ledger_entry.insert().values(lines=bindparam("lines")))


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


def _added(parents: Parents) -> WriteOutcome:
    return WriteOutcome.PATIENT_DIFFERS if parents.patient_differs else WriteOutcome.ADDED
