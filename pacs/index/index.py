"""The index as the rest of the archive sees it: plain data in, plain data out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import Engine, text

from pacs.dicom.order_matching import StudyFacts
from pacs.dicom.orders import Order
from pacs.index import (
    answer_pages,
    conflict_rows,
    objects,
    queries,
    rereading,
    schema,
    series_contents,
    settlement,
    study_facts,
    tombstones,
)
from pacs.index.commitments import Commitments
from pacs.index.engine import create_index_engine, reading
from pacs.index.group_commit import GroupCommit
from pacs.index.job_cursors import JobCursors
from pacs.index.known_peers import KnownPeers
from pacs.index.known_routes import KnownRoutes
from pacs.index.known_stores import KnownStores
from pacs.index.ledger_rows import LedgerRows
from pacs.index.notice_work import NoticeWork
from pacs.index.notices import Notices
from pacs.index.objects import IndexedObject, ObjectCursor, ObjectTotals
from pacs.index.order_matches import OrderMatches
from pacs.index.orders import Orders
from pacs.index.performed_links import PerformedLinks
from pacs.index.performed_steps import PerformedSteps
from pacs.index.prior_fetches import PriorFetches
from pacs.index.recent_instances import RecentInstances
from pacs.index.records import (
    Conflict,
    InstanceRecord,
    Match,
    Query,
    SearchResult,
    StoredInstance,
    WriteOutcome,
)
from pacs.index.rereading import StudyToReread
from pacs.index.search import search
from pacs.index.selection import Selection, select_instances
from pacs.index.send_commitments import SendCommitments
from pacs.index.send_jobs import SendJobs
from pacs.index.send_work import SendWork
from pacs.index.series_contents import SeriesContents, SettledSeries
from pacs.index.spooled import SpooledObjects
from pacs.index.tombstones import Removal, Tombstone
from pacs.index.writer import IndexWriter
from pacs.ledger.entries import Kept


class Index:
    """One database. Safe for use by several threads; each process opens its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._group_commit = GroupCommit(IndexWriter(engine))
        self._recent = RecentInstances(engine)
        self.spooled = SpooledObjects(engine)
        self.ledger = LedgerRows(engine)
        self.stores = KnownStores(engine)
        self.peers = KnownPeers(engine)
        self.commitments = Commitments(engine)
        self.orders = Orders(engine)
        self.send_jobs = SendJobs(engine)
        self.send_work = SendWork(engine)
        self.send_commitments = SendCommitments(engine)
        self.performed_steps = PerformedSteps(engine)
        self.routes = KnownRoutes(engine)
        self.prior_fetches = PriorFetches(engine)
        self.performed_links = PerformedLinks(engine)
        self.matches = OrderMatches(engine)
        self.job_cursors = JobCursors(engine)
        self.notices = Notices(engine)
        self.notice_work = NoticeWork(engine)

    def write(self, record: InstanceRecord, make_durable: Callable[[], None] = lambda: None) -> WriteOutcome:
        """Index one instance once its object is durable, see `GroupCommit.write`. Raises IndexUnavailable."""
        return self._group_commit.write(record, make_durable)

    def write_in_order(self, records: Sequence[InstanceRecord]) -> list[WriteOutcome]:
        """Index instances in one transaction, in this order. Raises IndexUnavailable."""
        return self._group_commit.write_in_order(records)

    def search(self, query: Query) -> SearchResult:
        """Find what matches, newest study first. Raises InvalidRequest, IndexUnavailable."""
        return search(self._engine, query)

    def search_pages(self, query: Query) -> Iterator[Sequence[Match]]:
        """Find all that matches, page by page. Raises InvalidRequest, IndexUnavailable."""
        return answer_pages.search_pages(self._engine, query)

    def search_patients(self, query: Query) -> Iterator[Sequence[Match]]:
        """Find the patients of studies that match, page by page. Raises InvalidRequest, IndexUnavailable."""
        return answer_pages.search_patients(self._engine, query)

    def find_instances(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> list[StoredInstance]:
        """List the instances of a study, a series, or one; empty if none. Raises IndexUnavailable."""
        uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
        return self._recent.find(uids, lambda: queries.find_instances(self._engine, *uids))

    def select_instances(self, selection: Selection, limit: int) -> list[StoredInstance]:
        """List the instances that have these unique keys, at most ``limit``. Raises IndexUnavailable."""
        return select_instances(self._engine, selection, limit)

    def known_instances(self, *uids: str) -> Sequence[StoredInstance] | None:
        """List what `find_instances` would; None where that takes a query. Raises IndexUnavailable."""
        return self._recent.get((*uids, None, None)[:3])

    def list_series_contents(
        self, study_instance_uid: str, series_instance_uid: str | None = None
    ) -> list[SeriesContents]:
        """List what the series of a study, or one, consist of; empty if none. Raises IndexUnavailable."""
        return series_contents.list_series_contents(self._engine, study_instance_uid, series_instance_uid)

    def list_settled_series(self, cursor: int, received_before: datetime, limit: int) -> SettledSeries:
        """List series that have not grown for a while, behind a cursor. Raises IndexUnavailable."""
        return series_contents.list_settled_series(self._engine, cursor, received_before, limit)

    def read_study_facts(self, study_instance_uid: str) -> StudyFacts | None:
        """Read what orders say too of a study; None if there is none. Raises IndexUnavailable."""
        return study_facts.read_study_facts(self._engine, study_instance_uid)

    def list_studies_of_order(self, order: Order, limit: int) -> list[str]:
        """List studies, by their UIDs, that may be of an order. Raises IndexUnavailable."""
        return study_facts.list_studies_of_order(self._engine, order, limit)

    def list_changed_orders(self, since: datetime, limit: int) -> list[tuple[str, datetime]]:
        """List orders changed since a time, by accession number and time. Raises IndexUnavailable."""
        return study_facts.list_changed_orders(self._engine, since, limit)

    def newest_instance(self) -> int:
        """Return a cursor for `list_settled_series` behind all instances. Raises IndexUnavailable."""
        return series_contents.newest_instance(self._engine)

    def known_series(self, series_instance_uids: Iterable[str]) -> set[tuple[str, str]]:
        """Return Study and Series Instance UID of those series that there are. Raises IndexUnavailable."""
        return series_contents.known_series(self._engine, series_instance_uids)

    def known_object_keys(self, sop_instance_uids: Sequence[str]) -> set[str]:
        """Return the keys of all objects known of these instances. Raises IndexUnavailable."""
        return queries.known_object_keys(self._engine, sop_instance_uids)

    def living_object_keys(self, sop_instance_uids: Sequence[str]) -> set[str]:
        """Return those of them that were not deleted. Raises IndexUnavailable."""
        return queries.living_object_keys(self._engine, sop_instance_uids)

    def list_objects(self, after: ObjectCursor, limit: int) -> list[IndexedObject]:
        """List objects behind a cursor: `pacs.index.objects` says in which order. Raises IndexUnavailable."""
        return objects.list_objects(self._engine, after, limit)

    def count_objects(self) -> ObjectTotals:
        """Count the objects and add up the sizes that are known. Raises IndexUnavailable."""
        return objects.count_objects(self._engine)

    def object_keys(self, sop_instance_uid: str, sha256: str) -> list[str]:
        """Return the keys under which a content of an instance is kept. Raises IndexUnavailable."""
        return queries.object_keys(self._engine, sop_instance_uid, sha256)

    def move_object(self, old_key: str, new_key: str, at: datetime, *, in_ledger: bool = True) -> None:
        """Say that an object lies under another key now. Raises IndexUnavailable."""
        objects.move_object(self._engine, old_key, new_key, at, in_ledger=in_ledger)

    def list_conflicts(
        self, *, open_only: bool = True, study_instance_uid: str | None = None, limit: int = 1000
    ) -> list[Conflict]:
        """List conflicts, oldest first. Raises IndexUnavailable."""
        return conflict_rows.list_conflicts(
            self._engine, open_only=open_only, study_instance_uid=study_instance_uid, limit=limit
        )

    def find_conflict(self, *, conflict_id: int | None = None, subject: str = "") -> Conflict | None:
        """Find a conflict by its number or its subject. Raises IndexUnavailable."""
        return conflict_rows.find_conflict(self._engine, conflict_id=conflict_id, subject=subject)

    def settle(
        self,
        conflict: Conflict,
        kept: Kept,
        at: datetime,
        read: Callable[[str], InstanceRecord],
        *,
        in_ledger: bool = True,
    ) -> None:
        """Settle a conflict, see `pacs.index.settlement`. Raises NotFound, IndexUnavailable."""
        settlement.settle(self._engine, conflict, kept, at, read, in_ledger=in_ledger)

    def delete_instances(
        self, uids: Sequence[str], at: datetime, read: Callable[[str], InstanceRecord], limit: int
    ) -> int:
        """Take out a study, a series or an instance, see `pacs.index.tombstones`. Raises IndexUnavailable."""
        return tombstones.delete_instances(self._engine, uids, at, read, limit)

    def bury(
        self,
        object_key: str,
        sop_instance_uid: str,
        deleted_at: datetime,
        read: Callable[[str], InstanceRecord],
    ) -> None:
        """Take a deleted object out, and remember that it was deleted. Raises IndexUnavailable."""
        tombstones.bury(self._engine, object_key, sop_instance_uid, deleted_at, read)

    def is_deleted(self, sop_instance_uid: str) -> bool:
        """Tell whether an instance was deleted and has not come again. Raises IndexUnavailable."""
        return tombstones.is_deleted(self._engine, sop_instance_uid)

    def claim_removals(self, deleted_before: datetime, at: datetime, limit: int) -> list[Tombstone]:
        """Claim what was deleted and is still in the store, to remove it. Raises IndexUnavailable."""
        return tombstones.claim_removals(self._engine, deleted_before, at, limit)

    def find_removal(self, object_key: str) -> Removal:
        """Tell how far the removal of a deleted object has come. Raises IndexUnavailable."""
        return tombstones.find_removal(self._engine, object_key)

    def mark_removed(self, claimed: Sequence[Tombstone], at: datetime) -> None:
        """Note that deleted objects are out of the store, or wanted there. Raises IndexUnavailable."""
        tombstones.mark_removed(self._engine, claimed, at)

    def is_empty(self) -> bool:
        """Tell whether no instance is indexed. Raises IndexUnavailable."""
        return queries.is_empty(self._engine)

    def list_studies_to_reread(self, limit: int) -> list[StudyToReread]:
        """List the next studies that older software has indexed. Raises IndexUnavailable."""
        return rereading.list_studies_to_reread(self._engine, limit)

    def complete_studies(self, reread: Sequence[StudyToReread], records: Iterable[InstanceRecord]) -> None:
        """Fill the gaps of studies that were read again. Raises IndexUnavailable."""
        rereading.complete_studies(self._engine, reread, records)

    def clear(self) -> None:
        """Remove what the store can give back, to make the index anew. Raises IndexUnavailable."""
        schema.clear(self._engine)
        self._group_commit.forget()

    def migrate(self) -> tuple[str | None, str]:
        """Apply migrations; return the schema versions before and after. Raises IndexUnavailable."""
        from pacs.index.migration import migrate  # noqa: PLC0415 - Alembic is large, and few need it

        return migrate(self._engine)

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
        self._recent.close()
        self._engine.dispose()


def open_index(database_url: str) -> Index:
    """Open the index at a database URL; nothing is connected yet.

    Raises
    ------
    pacs.errors.SettingsError
        The URL is malformed, or of another database than SQLite and PostgreSQL.
    """
    return Index(create_index_engine(database_url))
