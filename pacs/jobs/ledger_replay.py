"""Bringing an index up to the ledger in the store: from the beginning, or from where a backup ends."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Event, Lock
from typing import Final, TypeAlias

from pacs.adoption import scan_object
from pacs.archive import Archive
from pacs.conflict_policy import ConflictPolicy
from pacs.conflicts import settle
from pacs.delete import read_left
from pacs.dicom.object_keys import ObjectName, parse_key
from pacs.errors import ArchiveError, IndexUnavailable, MalformedLedgerEntry, UnreadableInstance
from pacs.index.records import InstanceRecord, WriteOutcome
from pacs.ingest import Origin
from pacs.jobs.order_replay import replay_order
from pacs.jobs.step_replay import take_over_message
from pacs.ledger.chain import walk_chain
from pacs.ledger.entries import (
    Entry,
    MatchDecision,
    Move,
    OrderPlaced,
    OrderState,
    Receipt,
    Settlement,
    StepMessage,
    Tombstone,
    read_entry,
)
from pacs.ledger.segments import Head, Segment
from pacs.order_matching import replay_decision
from storage.errors import ObjectNotFound
from storage.packed_keys import own_key
from storage.store import ObjectStore

_log = logging.getLogger(__name__)

SCANNERS: Final = 8  # threads that read headers; they wait for the store more than they work
_LOOK_AHEAD: Final = 512
_BATCH_SIZE: Final = 256

_POLICIES = {
    WriteOutcome.REPLACED.value: ConflictPolicy.REPLACE,
    WriteOutcome.REFUSED.value: ConflictPolicy.REFUSE,
}
_Position: TypeAlias = tuple[int, int]  # number of the segment, and of the line in it


@dataclass(slots=True)
class ReplayReport:
    """What a replay has done so far, and what it met."""

    total: int = 0  # segments and entries that there are to replay
    segments: int = 0
    entries: int = 0
    instances: int = 0  # receipts of objects that are there, and were not deleted since
    missing: int = 0  # receipts of objects that are not in the store
    unreadable: int = 0
    not_understood: int = 0  # entries that are damaged, or of a newer version
    faults: list[str] = field(default_factory=list)  # of the chain

    @property
    def done(self) -> int:
        """How much of the total is done."""
        return self.segments + self.entries


def catch_up(archive: Archive, stop: Event, report: ReplayReport | None = None) -> ReplayReport:
    """Replay what stands in the ledger behind the place up to which the index knows it.

    Entries that are replayed twice change nothing. A process that dies begins again with the segment that it
    was at. ``report``, if given, is filled while it runs, so that another thread can tell the progress.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    report = ReplayReport() if report is None else report
    head = archive.index.ledger.head()
    report.total, buried = _look_through(archive.store, head)
    elsewhere = _Elsewhere(archive.store)
    with ThreadPoolExecutor(SCANNERS, "header") as pool:
        for segment in walk_chain(archive.store, head) if report.total else ():
            replay = _Replay(archive, pool, report, buried, elsewhere)
            if stop.is_set() or not replay.run(segment, head):
                break
            head = segment.head
    return report


def _look_through(store: ObjectStore, head: Head) -> tuple[int, Mapping[str, _Position]]:
    """Count what there is to replay, and find where the last tombstone of each deleted object stands."""
    total = 0
    buried: dict[str, _Position] = {}
    for segment in walk_chain(store, head):
        total += 1 + len(segment.lines)
        for number, line in enumerate(segment.lines):
            if '"tombstone"' in line and isinstance(entry := _read(line), Tombstone):
                buried[own_key(entry.key)] = (segment.head.number, number)
    return total, buried


@dataclass(slots=True)
class _Replay:
    """The replay of one segment."""

    archive: Archive
    pool: ThreadPoolExecutor
    report: ReplayReport
    buried: Mapping[str, _Position]
    elsewhere: _Elsewhere
    batch: list[InstanceRecord] = field(default_factory=list)

    def run(self, segment: Segment, head: Head) -> bool:
        """Replay a segment and move the index's head to it; False where another process has done so."""
        ledger = self.archive.index.ledger
        own = ledger.waiting_among(set(segment.lines))  # told here already: this process, or one before, died
        if ledger.head() != head:
            return False
        told = {line for waiting in own for line in waiting.lines}
        self._note_faults(segment)
        self._replay(self._entries(segment, told))
        return ledger.advance(head, segment.head, [waiting.row_id for waiting in own], len(segment.lines))

    def _note_faults(self, segment: Segment) -> None:
        self.report.segments += 1
        for fault in segment.faults:
            self.report.faults.append(f"segment {segment.head.number}: {fault}")
            _log.error("segment %d of the ledger: %s", segment.head.number, fault)

    def _entries(self, segment: Segment, told: set[str]) -> Iterator[tuple[Entry, _Position]]:
        for number, line in enumerate(segment.lines):
            if line in told:
                self.report.entries += 1
                continue
            entry = _read(line)
            if entry is None:
                self.report.entries += 1
                self.report.not_understood += 1
            else:
                yield entry, (segment.head.number, number)

    def _replay(self, entries: Iterable[tuple[Entry, _Position]]) -> None:
        for entry, record in self._scanned(entries):
            self.report.entries += 1
            match entry:
                case Receipt():
                    if record is not None:
                        self.batch.append(_as_received(record, entry))
                        self.report.instances += 1
                case Settlement():
                    self._write()
                    self._settle(entry)
                case Tombstone():
                    self._write()
                    self._bury(entry)
                case Move():
                    self._write()
                    self.archive.index.move_object(entry.key, entry.new_key, entry.at, in_ledger=False)
                case OrderPlaced() | OrderState():
                    self.report.not_understood += not replay_order(self.archive, entry)
                case MatchDecision():
                    self._write()
                    self.report.not_understood += not replay_decision(self.archive, entry)
                case StepMessage():
                    self._replay_message(entry)
            if len(self.batch) >= _BATCH_SIZE:
                self._write()
        self._write()

    def _scanned(
        self, entries: Iterable[tuple[Entry, _Position]]
    ) -> Iterator[tuple[Entry, InstanceRecord | None]]:
        """Give the entries in their order, headers read ahead; None where there is no header to be had."""
        ahead: deque[tuple[Entry, Future[InstanceRecord] | None]] = deque()
        for entry, position in entries:
            future = None
            if isinstance(entry, Receipt) and position >= self.buried.get(own_key(entry.key), position):
                future = self.pool.submit(_scan, self.archive, entry, self.elsewhere)
            ahead.append((entry, future))
            if len(ahead) > _LOOK_AHEAD:
                yield self._result(*ahead.popleft())
        while ahead:
            yield self._result(*ahead.popleft())

    def _result(
        self, entry: Entry, future: Future[InstanceRecord] | None
    ) -> tuple[Entry, InstanceRecord | None]:
        if future is None:
            return entry, None
        try:
            return entry, future.result()
        except ObjectNotFound:
            self.report.missing += 1
            reason = "is not in the store"
        except IndexUnavailable:
            raise
        except ArchiveError as error:
            self.report.unreadable += 1
            reason = f"cannot be indexed: {error}"
        assert isinstance(entry, Receipt)  # noqa: S101 - only these are scanned
        _log.warning("the object of a receipt %s: %s", reason, entry.key)
        return entry, None

    def _write(self) -> None:
        if self.batch:
            self.report.unreadable += write_records(self.archive, self.batch)
            self.batch.clear()

    def _settle(self, entry: Settlement) -> None:
        conflict = self.archive.index.find_conflict(subject=entry.subject)
        if conflict is None:
            _log.warning("the ledger settles a conflict that there is not")
            return
        try:
            settle(self.archive, conflict, entry.kept, entry.at, in_ledger=False)
        except IndexUnavailable:
            raise
        except (ArchiveError, ObjectNotFound) as error:
            _log.warning("a settled conflict stays open: %s", error)

    def _replay_message(self, entry: StepMessage) -> None:
        try:
            take_over_message(self.archive, entry)
        except IndexUnavailable:
            raise
        except ObjectNotFound:
            self.report.missing += 1
            _log.warning("a message of a procedure step is not in the store: %s", entry.key)
        except ArchiveError as error:
            self.report.unreadable += 1
            _log.warning("a message of a procedure step is passed over (%s): %s", error, entry.key)

    def _bury(self, entry: Tombstone) -> None:
        name = parse_key(entry.key)
        if name is not None:
            read = partial(read_left, self.archive)
            self.archive.index.bury(entry.key, name.sop_instance_uid, entry.at, read)


def write_records(archive: Archive, records: Sequence[InstanceRecord]) -> int:
    """Index instances in order; return how many could not be, which do not keep out the others."""
    try:
        archive.index.write_in_order(records)
    except IndexUnavailable:
        raise
    except Exception as error:  # one of them is not like the others
        if len(records) == 1:
            _log.error("an object cannot be indexed (%s): %s", type(error).__name__, records[0].location.key)
            return 1
        return sum(write_records(archive, [record]) for record in records)
    return 0


def _read(line: str) -> Entry | None:
    try:
        return read_entry(line)
    except MalformedLedgerEntry as error:
        _log.error("%s", error)
        return None


class _Elsewhere:
    """Where objects are that are not where their receipts say: out of their packs, or sent again."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._keys: dict[ObjectName, list[str]] | None = None
        self._lock = Lock()

    def other_keys(self, key: str) -> list[str]:
        """List the other keys of an object; the first time this lists the whole store."""
        with self._lock:
            if self._keys is None:
                self._keys = {}
                for stat in self._store.list():
                    name = parse_key(stat.key)
                    if name is not None:
                        self._keys.setdefault(name, []).append(stat.key)
        name = parse_key(key)
        return [other for other in self._keys.get(name, ()) if other != key] if name else []


def _scan(archive: Archive, receipt: Receipt, elsewhere: _Elsewhere) -> InstanceRecord:
    origin = Origin(None, receipt.calling_ae_title)
    try:
        return scan_object(archive, receipt.key, receipt.size_bytes, origin)
    except (ObjectNotFound, UnreadableInstance):
        for key in elsewhere.other_keys(receipt.key):
            with suppress(ObjectNotFound, UnreadableInstance):
                return scan_object(archive, key, receipt.size_bytes, origin)
        raise


def _as_received(record: InstanceRecord, receipt: Receipt) -> InstanceRecord:
    """Give a record the time of its receipt."""
    policy = _POLICIES.get(receipt.disposition, ConflictPolicy.KEEP)
    return replace(record, received_at=receipt.at, on_conflict=policy)
