"""What has changed in the archive, in the order in which it did: the ledger, read by its numbers.

The numbers are dense, never given twice, and the same in an index that was made again from the store. An
entry has its number before anybody sees it, and all numbers below it are given to entries that are committed:
who asks for what is behind the last one that it saw misses nothing and sees nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from pacs.archive import Archive
from pacs.dicom.object_keys import ObjectName, parse_key
from pacs.errors import MalformedLedgerEntry
from pacs.index.records import WriteOutcome
from pacs.ledger.entries import Entry, Receipt, Settlement, Tombstone, read_entry
from pacs.ledger.segments import MAX_SEGMENT_SIZE_BYTES, Head, read_segment, segment_key
from storage.errors import ObjectNotFound, StoreUnavailable

MAX_CHANGES: Final = 10_000


class Action(StrEnum):
    """What happened."""

    STORED = "stored"  # an instance that was not there
    CHANGED = "changed"  # an instance has another content, or a study another patient
    DELETED = "deleted"  # an instance


@dataclass(frozen=True, slots=True)
class Change:
    """Something that readers of the archive see. Without series and instance it is about the whole study."""

    sequence: int
    at: datetime
    action: Action
    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Some changes, and the number up to which entries were looked at: where the next page begins."""

    changes: Sequence[Change]
    last: int


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Some entries with their numbers, and the number up to which lines were read."""

    entries: Sequence[tuple[int, Entry]]
    last: int


def read_changes(archive: Archive, since: int, limit: int) -> ChangePage:
    """Read what changed behind the entry ``since``, oldest first; 0 is the beginning.

    Parameters
    ----------
    limit
        Entries that are looked at; not each is a change.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    page = read_entries(archive, since, limit)
    changes = (_change(sequence, entry) for sequence, entry in page.entries)
    return ChangePage([change for change in changes if change is not None], page.last)


def read_entries(archive: Archive, since: int, limit: int) -> EntryPage:
    """Read the entries of the ledger behind ``since``, as `read_changes` does. Raises what it raises."""
    _put_in_order(archive)
    lines, last = _read_lines(archive, since, limit)
    found = ((since + number, _read(line)) for number, line in enumerate(lines, start=1))
    return EntryPage([(sequence, entry) for sequence, entry in found if entry is not None], last)


def _put_in_order(archive: Archive) -> None:
    """Give their numbers to entries that are new, unless the ledger has others that this index lacks."""
    ledger = archive.index.ledger
    if not ledger.has_unnumbered():
        return
    with suppress(StoreUnavailable):  # they get them later
        try:
            archive.store.stat(segment_key(ledger.head().number + 1))
        except ObjectNotFound:
            ledger.number()


def _read_lines(archive: Archive, since: int, limit: int) -> tuple[Sequence[str], int]:
    """Read lines from the database or the segment where they are sealed, and tell the number of the last."""
    ledger = archive.index.ledger
    first, lines = ledger.waiting_from(since + 1, limit)
    if lines and first <= since + 1:
        waiting = lines[since + 1 - first :][:limit]
        return waiting, since + len(waiting)
    sealed = ledger.sealed_at(since + 1)
    if sealed is None:
        return [], since
    number = sealed.segment
    data = archive.store.read_range(segment_key(number), 0, MAX_SEGMENT_SIZE_BYTES + 1)
    found = read_segment(number, data, Head(number - 1, "")).lines[since + 1 - sealed.first :][:limit]
    # a segment that was cut since has fewer lines than were sealed: what is behind it is not held up
    return found, since + len(found) if found else sealed.last


def _read(line: str) -> Entry | None:
    try:
        return read_entry(line)
    except MalformedLedgerEntry:
        return None


def _change(sequence: int, entry: Entry) -> Change | None:
    match entry:
        case Receipt() if entry.disposition in _ADDED:
            return _of_instance(sequence, entry.at, Action.STORED, entry.key)
        case Receipt() if entry.disposition == WriteOutcome.REPLACED.value:
            return _of_instance(sequence, entry.at, Action.CHANGED, entry.key)
        case Tombstone():
            return _of_instance(sequence, entry.at, Action.DELETED, entry.key)
        case Settlement():
            study_instance_uid, is_patient, _ = entry.subject.partition("\\")
            if is_patient:
                return Change(sequence, entry.at, Action.CHANGED, study_instance_uid)
            return _of_instance(sequence, entry.at, Action.CHANGED, entry.subject)
    return None


def _of_instance(sequence: int, at: datetime, action: Action, key: str) -> Change | None:
    name: ObjectName | None = parse_key(key)
    if name is None:
        return None
    uids = (name.study_instance_uid, name.series_instance_uid, name.sop_instance_uid)
    return Change(sequence, at, action, *uids)


_ADDED = frozenset({WriteOutcome.ADDED.value, WriteOutcome.PATIENT_DIFFERS.value})
