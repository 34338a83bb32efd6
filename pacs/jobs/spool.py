"""Looking after the spool: what lies there is noted, what has been there for long enough is removed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import compress, islice
from threading import Event

from pacs.archive import Archive
from pacs.dicom.object_keys import parse_key
from pacs.errors import IndexUnavailable
from pacs.index.spooled import LOST_BY_REMOTE, SpooledObject, SpoolReport
from storage.errors import ObjectNotFound, StoreError, StoreUnavailable
from storage.identity import IDENTITY_KEY
from storage.spooled import SpooledStore
from storage.store import ObjectStat

_log = logging.getLogger(__name__)

_EVERY_S = 5.0
_RETRY_AFTER_S = 30.0
_NOTE_EVERY_S = 60.0
_SHARE_OF_NOTING = 0.02  # of one processor's time, however large the spool is
_REPORT_EVERY_S = 60.0
_BATCH_SIZE = 500
_EVICTED_TOGETHER = 50
_SETTLED_AFTER = timedelta(seconds=60)  # a younger object may just be on its way into the index
_NEARLY_FULL = 0.8


@dataclass(slots=True)
class SpoolKeeper:
    """Looks after the spool from one process until told to stop; several processes may."""

    archive: Archive
    spool: SpooledStore
    stop: Event
    _note_at: float = 0.0
    _report_at: float = 0.0

    def run(self) -> None:
        """Note, remove and report, again and again, until ``stop`` is set."""
        while not self.stop.is_set():
            try:
                self._go_round()
                self.stop.wait(_EVERY_S)
            except (IndexUnavailable, StoreError) as error:
                _log.warning("the spool could not be looked after and will be tried again: %s", error)
                self.stop.wait(_RETRY_AFTER_S)

    def _go_round(self) -> None:
        begin = time.monotonic()
        if begin >= self._note_at:
            note_spooled(self.archive, self.spool, self.stop)
            end = time.monotonic()
            self._note_at = end + max(_NOTE_EVERY_S, (end - begin) / _SHARE_OF_NOTING)
        if time.monotonic() >= self._report_at:
            _log_backlog(self.archive.index.spooled.report())
            self._report_at = time.monotonic() + _REPORT_EVERY_S
        evict(self.archive, self.spool, self.stop)


def note_spooled(
    archive: Archive, spool: SpooledStore, stop: Event, settled_after: timedelta = _SETTLED_AFTER
) -> int:
    """Note the objects of the spool that the index does not know to be there; return how many.

    Ingest notes what it stores. This is for what others commit, and for an index that was lost.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    noted = 0
    for batch in _batches(spool.spool.list()):
        newest = datetime.now(UTC) - settled_after
        sizes = {
            stat.key: stat.size_bytes
            for stat in batch
            if stat.modified_at <= newest and stat.key != IDENTITY_KEY  # which is the spool's own
        }
        new = sizes.keys() - archive.index.spooled.known(sizes)
        archive.index.spooled.add({key: sizes[key] for key in new}, datetime.now(UTC))
        noted += len(new)
        if stop.is_set():
            break
    return noted


def evict(archive: Archive, spool: SpooledStore, stop: Event) -> int:
    """Remove what was uploaded long enough ago from the spool, if the remote store still has it.

    What it has lost is uploaded again. When the spool is nearly full, objects stay for a shorter time.

    Returns
    -------
    int
        How many were removed.

    Raises
    ------
    pacs.errors.IndexUnavailable
    storage.errors.StoreError
        The remote store is away; nothing that it might not have was removed.
    """
    settings, removed = archive.settings, 0
    with ThreadPoolExecutor(settings.upload_concurrency, "evict") as pool:
        while not stop.is_set():
            keep_hours = settings.spool_keep_hours
            if spool.room.is_short(_NEARLY_FULL):
                keep_hours = min(keep_hours, settings.spool_keep_at_least_hours)
            moment = datetime.now(UTC) - timedelta(hours=keep_hours)
            batch = archive.index.spooled.uploaded_before(moment, _EVICTED_TOGETHER)
            gone = list(compress(batch, pool.map(partial(_release, archive, spool), batch)))
            archive.index.spooled.forget([one.key for one in gone])
            removed += len(gone)
            if len(batch) < _EVICTED_TOGETHER:
                break
    return removed


def _release(archive: Archive, spool: SpooledStore, one: SpooledObject) -> bool:
    """Remove an object from the spool; False where the remote store has lost it, which is mended."""
    name = parse_key(one.key)
    try:
        if spool.release(one.key, name.sha256 if name else None):
            return True
    except ObjectNotFound:
        return True  # deleted, or released by another worker
    except StoreUnavailable:
        spool.remote.check()  # raises if it is away; otherwise it only cannot read this one
    subject = name.sop_instance_uid if name else one.key
    _log.error("the remote store has lost the object of %s, which is uploaded again", subject)
    archive.index.spooled.postpone(one.key, datetime.now(UTC), LOST_BY_REMOTE)
    return False


def _log_backlog(report: SpoolReport) -> None:
    if report.oldest_waiting is not None:
        _log.info(
            "spool: %d objects (%d MB) wait to be uploaded, the oldest for %d s; %d were tried in vain",
            report.waiting_objects,
            report.waiting_size_bytes // 10**6,
            (datetime.now(UTC) - report.oldest_waiting).total_seconds(),
            report.failed_objects,
        )


def _batches(stats: Iterator[ObjectStat]) -> Iterator[list[ObjectStat]]:
    while batch := list(islice(stats, _BATCH_SIZE)):
        yield batch
