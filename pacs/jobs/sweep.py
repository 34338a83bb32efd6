"""Comparing store and index: what a crash left in one of them, and what a disk has lost.

Objects without a row are indexed. Rows without an object are told, and nothing else: the row is all that is
left of an image, a reader of it gets *gone* (410), and a backup may bring the object back. Of two copies of a
content, as a crash leaves them between writing one that was sent again and dropping it, one goes.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event
from typing import Final

import numpy as np
import numpy.typing as npt

from pacs.adoption import adopt_object
from pacs.archive import Archive
from pacs.dicom.object_keys import ObjectName, parse_key
from pacs.dicom.performed_step_keys import parse_step_message_key
from pacs.errors import ArchiveError, IndexUnavailable
from pacs.index.objects import IndexedObject, ObjectCursor
from pacs.second_copies import is_intact, settle_second_copy
from storage.errors import ObjectNotFound, StoreError, StoreUnavailable
from storage.packed_keys import own_key
from storage.store import ObjectStat

_log = logging.getLogger(__name__)

MAX_FAULTS: Final = 10_000  # that are named; more are only counted
SETTLED_AFTER: Final = timedelta(seconds=60)  # a younger object may just be on its way into the index
_BATCH_SIZE = 500
_ABANDONED_AFTER: Final = timedelta(hours=1)  # temporaries, and copies that somebody may be settling
_LOGGED_MISSING = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """An object that is not as it should be. Its key has UIDs and a digest, and nothing of a patient."""

    key: str
    fault: str  # "missing", "unreadable", "damaged"


@dataclass(slots=True)
class SweepReport:
    """What one sweep did."""

    examined: int = 0
    examined_bytes: int = 0
    adopted: int = 0
    unreadable: int = 0
    postponed: int = 0  # not to be had from the store just now
    missing: int = 0  # in the index, and not in the store
    copies_removed: int = 0  # of a content that lies in packs twice
    temporaries_removed: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add_fault(self, key: str, fault: str) -> None:
        """Name an object, unless there are too many already."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(key, fault))


def sweep(
    archive: Archive,
    stop: Event,
    settled_after: timedelta = SETTLED_AFTER,
    report: SweepReport | None = None,
    abandoned_after: timedelta = _ABANDONED_AFTER,
) -> SweepReport:
    """Index every settled object that the index lacks, and find the rows whose object is missing.

    Deletes nothing but abandoned temporaries and second copies. ``report`` is filled while it runs.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
        Also where *no* object of the index is in the store: then the store is away, or another one.
    """
    report = SweepReport() if report is None else report
    abandoned_before = datetime.now(UTC) - abandoned_after
    report.temporaries_removed = archive.store.remove_abandoned(abandoned_after.total_seconds())
    listed = array("q")
    for batch in _batches(_settled_objects(archive, settled_after, listed, report)):
        if stop.is_set():
            return report
        known = archive.index.known_object_keys([name.sop_instance_uid for _, name in batch])
        known_names = {parse_key(key) for key in known}
        for stat, name in batch:
            if name not in known_names:
                _adopt(archive, stat.key, name, report)
            elif stat.key not in known and stat.modified_at <= abandoned_before:
                _settle_copy(archive, stat.key, name, report)
    _find_missing(archive, stop, np.sort(np.frombuffer(listed, np.int64)), report)
    return report


def _settled_objects(
    archive: Archive, settled_after: timedelta, listed: array[int], report: SweepReport
) -> Iterator[tuple[ObjectStat, ObjectName]]:
    """Give the settled objects with their names; the hash of every key is noted in ``listed``.

    It is that of the key which an object has of its own, as one may leave its pack for a bucket.
    Eight bytes for a key, so that a hundred million of them fit into memory. A collision, which could hide a
    missing object from this sweep, is less likely than a hundred million in 2**64.
    """
    newest = datetime.now(UTC) - settled_after
    for stat in archive.store.list():
        name = parse_key(stat.key)
        if name is None:
            if parse_step_message_key(stat.key) is not None:
                listed.append(hash(stat.key))
            continue
        listed.append(hash(own_key(stat.key)))
        if stat.modified_at <= newest:
            report.examined += 1
            report.examined_bytes += stat.size_bytes
            yield stat, name


def _batches(
    objects: Iterable[tuple[ObjectStat, ObjectName]],
) -> Iterator[list[tuple[ObjectStat, ObjectName]]]:
    source = iter(objects)
    while batch := list(islice(source, _BATCH_SIZE)):
        yield batch


def _adopt(archive: Archive, key: str, name: ObjectName, report: SweepReport) -> None:
    try:
        adopt_object(archive, key)
    except ObjectNotFound:
        return
    except IndexUnavailable:
        raise
    except StoreError as error:
        report.postponed += 1
        _log.warning("object of instance %s cannot be read now: %s", name.sop_instance_uid, error)
        return
    except ArchiveError as error:
        report.unreadable += 1
        report.add_fault(key, "unreadable")
        _log.warning("object of instance %s cannot be indexed: %s", name.sop_instance_uid, error)
        return
    report.adopted += 1
    _log.info("instance %s was in the store and not in the index: indexed", name.sop_instance_uid)


def _settle_copy(archive: Archive, key: str, name: ObjectName, report: SweepReport) -> None:
    """Drop a copy that no row knows of a content that one does, or mend that with it; both are read first."""
    if own_key(key) == key:  # the place where each content has one key for ever
        return
    try:
        if is_intact(archive, key, name.sha256):
            report.copies_removed += settle_second_copy(archive, name.sop_instance_uid, name.sha256, key)
    except StoreError as error:
        report.postponed += 1
        _log.warning("a second copy of instance %s cannot be read now: %s", name.sop_instance_uid, error)


def _find_missing(archive: Archive, stop: Event, listed: npt.NDArray[np.int64], report: SweepReport) -> None:
    """Find the rows whose object was not listed, and asked for by its key is not there either."""
    cursor, rows = ObjectCursor(), 0
    missing: list[IndexedObject] = []
    while (batch := archive.index.list_objects(cursor, _BATCH_SIZE)) and not stop.is_set():
        rows += len(batch)
        for one in _not_listed(batch, listed):
            if is_missing(archive, one):
                report.missing += 1
                report.add_fault(one.key, "missing")
                if len(missing) < _LOGGED_MISSING:
                    missing.append(one)
        cursor = batch[-1].cursor
    if not stop.is_set() and report.missing == rows > 0:
        raise StoreUnavailable(NOTHING_THERE)
    for one in missing:
        _log.error("of %s the index has an object that is not in the store", one.sop_instance_uid)


NOTHING_THERE: Final = (
    "none of the objects that the index knows is in the store: is its disk mounted, is it the right store?"
)


def _not_listed(batch: list[IndexedObject], listed: npt.NDArray[np.int64]) -> Iterator[IndexedObject]:
    hashes = np.fromiter((hash(own_key(one.key)) for one in batch), np.int64, len(batch))
    places = np.searchsorted(listed, hashes)
    for one, found, place in zip(batch, hashes, places, strict=True):
        if place == len(listed) or listed[place] != found:
            yield one


def is_missing(archive: Archive, one: IndexedObject) -> bool:
    """Tell whether an object is not in the store and its row is still in the index.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreUnavailable
        Of a store that is away nothing is known to be missing.
    """
    try:
        archive.store.stat(one.key)
    except ObjectNotFound:
        if parse_step_message_key(one.key) is not None:  # no message is ever removed
            return True
        return one.key in archive.index.living_object_keys([one.sop_instance_uid])
    return False
