"""Uploading what lies in the spool: to the remote store, read back there, and noted.

Several workers may do so at a time. Nothing is lost or doubled where one is killed: what it had claimed is
due again when its lease is over, and an object that is there already is found to be the same.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Event

from pacs.archive import Archive
from pacs.dicom.object_keys import ObjectName, parse_key
from pacs.errors import ArchiveError, IndexUnavailable
from pacs.index.spooled import LOST_BY_REMOTE, SpooledObject
from pacs.own_stores import require_own_remote
from storage.errors import (
    DamagedObject,
    ObjectExists,
    ObjectNotFound,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from storage.spooled import SpooledStore

_log = logging.getLogger(__name__)

LEASE = timedelta(seconds=15)
_EXTEND_AFTER_S = LEASE.total_seconds() / 3
_IDLE_S = 1.0
_NOTE_EVERY_S = 0.5
_CLAIMS_PER_UPLOAD = 8  # claimed for each upload that runs: the pool never waits for the index
_LONGEST_PAUSE_S = 60.0  # of all uploads, while the remote store is away
_LONGEST_WAIT_S = 3600.0  # of one object that the remote store will not take

# After these, or after so many attempts, what the remote store has may not be what it should be.
_SUSPECT = frozenset({LOST_BY_REMOTE, DamagedObject.__name__, ObjectExists.__name__})
_PATIENCE = 4


@dataclass(slots=True)
class _Backoff:
    """Pauses that double, each of a random length (full jitter), so that many do not come back at once."""

    longest_s: float
    first_s: float = 1.0

    def seconds(self, failures: int) -> float:
        return random.uniform(0, min(self.longest_s, self.first_s * 2 ** min(failures, 20)))


_PAUSE, _WAIT = _Backoff(_LONGEST_PAUSE_S), _Backoff(_LONGEST_WAIT_S)


@dataclass(slots=True)
class Uploader:
    """Uploads from one process, by several threads, until told to stop."""

    archive: Archive
    spool: SpooledStore
    stop: Event
    _in_flight: dict[Future[None], SpooledObject] = field(default_factory=dict)
    _ended: SimpleQueue[Future[None]] = field(default_factory=SimpleQueue)
    _done: list[SpooledObject] = field(default_factory=list)
    _sending: BoundedSemaphore = field(init=False)
    _failures: int = 0  # in a row, of the remote store as a whole
    _remote_is_well: bool = False
    _remote_is_known: bool = False
    _extended_at: float = 0.0
    _noted_at: float = 0.0

    def __post_init__(self) -> None:
        self._sending = BoundedSemaphore(self._concurrency)

    def run(self) -> None:
        """Upload until ``stop`` is set; then finish what has begun."""
        # Half of the threads may send while the others read back.
        with ThreadPoolExecutor(2 * self._concurrency, "upload") as pool:
            while not self.stop.is_set():
                self._go_round(pool)
            with suppress(IndexUnavailable):  # then all are due again when their lease is over
                self._end()

    @property
    def _concurrency(self) -> int:
        return self.archive.settings.upload_concurrency

    def _go_round(self, pool: ThreadPoolExecutor) -> None:
        """Claim, wait for an upload to end, note what has ended."""
        try:
            if not self._remote_is_well and not self._in_flight:
                self._look_after_remote()
            if self._remote_is_well:
                self._claim(pool)
            if self._in_flight:
                self._collect(self._await_ended())
                self._extend_leases()
            if not self._in_flight or time.monotonic() - self._noted_at > _NOTE_EVERY_S:
                self._note_uploaded()
            if not self._in_flight:
                self.stop.wait(_IDLE_S)
        except IndexUnavailable as error:
            _log.warning("uploads wait for the index: %s", error)
            self.stop.wait(_PAUSE.seconds(1))
            for future in filter(Future.done, self._in_flight):  # some were not dealt with
                self._ended.put(future)

    def _end(self) -> None:
        unbegun = [future for future in self._in_flight if future.cancel()]
        keys = [self._in_flight.pop(future).key for future in unbegun]
        self.archive.index.spooled.extend(keys, datetime.now(UTC))
        self._collect(wait(self._in_flight).done)
        self._note_uploaded()

    def _look_after_remote(self) -> None:
        """Prove that the remote store is there, and ours, or pause: do not fail with object after object."""
        try:
            self.spool.remote.check()
            if not self._remote_is_known:  # it was away, perhaps, when this process began
                require_own_remote(self.archive)
                self._remote_is_known = True
        except StoreError as error:
            self._failures += 1
            pause_s = _PAUSE.seconds(self._failures)
            _log.warning("the remote store is away, trying again in %.0f s: %s", pause_s, error)
            self.stop.wait(pause_s)
        else:
            self._failures, self._remote_is_well = 0, True

    def _claim(self, pool: ThreadPoolExecutor) -> None:
        """Claim objects where few are under way, more than can be uploaded at a time."""
        most = self._concurrency * _CLAIMS_PER_UPLOAD
        if len(self._in_flight) <= most // 2:
            room = most - len(self._in_flight)
            for one in self.archive.index.spooled.claim(room, datetime.now(UTC), LEASE):
                future = pool.submit(self._upload, one)
                self._in_flight[future] = one
                future.add_done_callback(self._ended.put)

    def _await_ended(self) -> list[Future[None]]:
        """Wait a moment for an upload to end; return all that have."""
        ended = []
        with suppress(Empty):
            ended.append(self._ended.get(timeout=_IDLE_S))
            while True:
                ended.append(self._ended.get_nowait())
        return ended

    def _upload(self, one: SpooledObject) -> None:
        if not self._remote_is_well:
            raise StoreUnavailable("the remote store has just failed with another object")
        name = parse_key(one.key)
        mend = one.last_error in _SUSPECT or one.attempts > _PATIENCE
        sha256 = name.sha256 if name else None
        self.spool.send(one.key, sha256, mend=mend, sending=self._sending)
        if name is not None and not self.spool.is_spooled(one.key) and not self._is_known(name):
            self.spool.remote.delete(name.key())  # deleted while it was sent: it must not come back

    def _is_known(self, name: ObjectName) -> bool:
        """Tell whether the index has a content, wherever it lies."""
        keys = self.archive.index.living_object_keys([name.sop_instance_uid])
        return name in {parse_key(key) for key in keys}

    def _collect(self, ended: Iterable[Future[None]]) -> None:
        for future in ended:
            one = self._in_flight.get(future)
            if one is None:
                continue
            error = future.exception()
            if error is not None:
                self._fail(one, error)
            else:
                self._done.append(one)
            del self._in_flight[future]

    def _fail(self, one: SpooledObject, error: BaseException) -> None:
        name = parse_key(one.key)
        subject = name.sop_instance_uid if name else one.key
        if isinstance(error, ObjectNotFound):
            self._miss(one, subject)
            return
        if isinstance(error, StoreUnavailable | StoreFull):
            self._remote_is_well = False
        elif not isinstance(error, StoreError | ArchiveError):
            _log.error("uploading the object of %s failed", subject, exc_info=error)
        _log.warning("the object of %s was not uploaded (attempt %d): %s", subject, one.attempts, error)
        until = datetime.now(UTC) + timedelta(seconds=_WAIT.seconds(one.attempts))
        self.archive.index.spooled.postpone(one.key, until, type(error).__name__)

    def _miss(self, one: SpooledObject, subject: str) -> None:
        """Deal with what is not in the spool: deleted meanwhile, or lost."""
        name = parse_key(one.key)
        known = self.archive.index.living_object_keys([name.sop_instance_uid]) if name else ()
        if one.key not in known:
            self.archive.index.spooled.forget([one.key])
            return
        try:
            self.spool.stat(one.key)
        except StoreError:
            _log.error("the object of %s is neither in the spool nor in the remote store", subject)
            until = datetime.now(UTC) + timedelta(seconds=_LONGEST_WAIT_S)
            self.archive.index.spooled.postpone(one.key, until, ObjectNotFound.__name__)
        else:
            self._done.append(one)

    def _extend_leases(self) -> None:
        if self._in_flight and time.monotonic() - self._extended_at > _EXTEND_AFTER_S:
            keys = [one.key for one in self._in_flight.values()]
            self.archive.index.spooled.extend(keys, datetime.now(UTC) + LEASE)
            self._extended_at = time.monotonic()

    def _note_uploaded(self) -> None:
        if self._done:
            self.archive.index.spooled.mark_uploaded([one.key for one in self._done], datetime.now(UTC))
            self._done.clear()
        self._noted_at = time.monotonic()
