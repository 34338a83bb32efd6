"""The index as the rest of the archive sees it: plain data in, plain data out."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, text

from pacs.index import objects, queries, schema
from pacs.index.engine import create_index_engine, reading, writing
from pacs.index.group_commit import GroupCommit
from pacs.index.objects import IndexedObject, ObjectCursor, ObjectTotals
from pacs.index.records import InstanceRecord, Query, SearchResult, StoredInstance
from pacs.index.spooled import SpooledObjects
from pacs.index.writer import IndexWriter, WriteOutcome, move_object


class Index:
    """One database. Safe for use by several threads; each process opens its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._group_commit = GroupCommit(IndexWriter(engine))
        self.spooled = SpooledObjects(engine)

    def write(self, record: InstanceRecord) -> WriteOutcome:
        """Index one instance; committed and durable when this returns. Raises IndexUnavailable."""
        return self._group_commit.write(record)

    def search(self, query: Query) -> SearchResult:
        """Find what matches, newest study first. Raises InvalidRequest, IndexUnavailable."""
        return queries.search(self._engine, query)

    def find_instances(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> list[StoredInstance]:
        """List the instances of a study, a series, or one; empty if none. Raises IndexUnavailable."""
        return queries.find_instances(self._engine, study_instance_uid, series_instance_uid, sop_instance_uid)

    def known_object_keys(self, sop_instance_uids: Sequence[str]) -> set[str]:
        """Return the keys of all objects known of these instances. Raises IndexUnavailable."""
        return queries.known_object_keys(self._engine, sop_instance_uids)

    def list_objects(self, after: ObjectCursor, limit: int) -> list[IndexedObject]:
        """List objects behind a cursor, conflicts last; empty at the end. Raises IndexUnavailable."""
        return objects.list_objects(self._engine, after, limit)

    def count_objects(self) -> ObjectTotals:
        """Count the objects and add up their sizes. Raises IndexUnavailable."""
        return objects.count_objects(self._engine)

    def object_keys(self, sop_instance_uid: str, sha256: str) -> list[str]:
        """Return the keys under which a content of an instance is kept. Raises IndexUnavailable."""
        return queries.object_keys(self._engine, sop_instance_uid, sha256)

    def move_object(self, old_key: str, new_key: str) -> None:
        """Say that an object lies under another key now. Raises IndexUnavailable."""
        with writing(self._engine) as connection:
            move_object(connection, old_key, new_key)

    def migrate(self) -> tuple[str | None, str]:
        """Apply migrations; return the schema versions before and after. Raises IndexUnavailable."""
        return schema.migrate(self._engine)

    def require_newest_schema(self) -> None:
        """Check that migrations are applied. Raises IndexUnavailable."""
        schema.require_newest(self._engine)

    def check(self) -> None:
        """Prove that the database answers. Raises IndexUnavailable."""
        with reading(self._engine) as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Release connections."""
        self._group_commit.close()
        self._engine.dispose()


def open_index(database_url: str) -> Index:
    """Open the index at a database URL; nothing is connected yet.

    Raises
    ------
    pacs.errors.SettingsError
        The URL is malformed, or of another database than SQLite and PostgreSQL.
    """
    return Index(create_index_engine(database_url))
