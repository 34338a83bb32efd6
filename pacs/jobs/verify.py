"""Reading every object again and comparing it with what the index knows of it: size and SHA-256.

That is images, both contents of conflicts, and what modalities said of their work.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from pacs.archive import Archive
from pacs.errors import ArchiveError
from pacs.index.objects import IndexedObject, ObjectCursor, ObjectTotals
from pacs.integrity import is_whole, require_store
from pacs.jobs.sweep import MAX_FAULTS, NOTHING_THERE, Fault, is_missing
from pacs.settings import mask_password
from storage.errors import ObjectNotFound, StoreError, StoreUnavailable

MAX_BATCH_OBJECTS: Final = 100
MAX_BATCH_BYTES: Final = 256 * 1024**2  # what is read once more after a kill, at most, or one object


class VerifyStopped(ArchiveError):
    """The verification cannot go on; it will where it stopped."""


@dataclass(slots=True)
class VerifyReport:
    """What has been found so far, by this run and the runs that it goes on from."""

    objects: int = 0
    size_bytes: int = 0
    damaged: int = 0
    missing: int = 0
    unreadable: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def faulty(self) -> int:
        """How many are not as they should be."""
        return self.damaged + self.missing + self.unreadable

    def add(self, one: IndexedObject, fault: str | None) -> None:
        """Count an object."""
        self.objects += 1
        self.size_bytes += one.size_bytes or 0
        self.damaged += fault == "damaged"
        self.missing += fault == "missing"
        self.unreadable += fault == "unreadable"
        if fault is not None and len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(one.key, fault))


class RateLimit:
    """Lets so many bytes a second pass, for all threads together."""

    def __init__(self, bytes_per_s: float | None, stop: threading.Event) -> None:
        self._bytes_per_s = bytes_per_s
        self._stop = stop
        self._lock = threading.Lock()
        self._free_at_s = time.monotonic()

    def spend(self, size_bytes: int) -> None:
        """Wait until these bytes are within the rate, or it is time to stop."""
        if self._bytes_per_s is None:
            return
        with self._lock:
            now_s = time.monotonic()
            self._free_at_s = max(self._free_at_s, now_s) + size_bytes / self._bytes_per_s
            pause_s = self._free_at_s - now_s
        self._stop.wait(pause_s)


@dataclass(slots=True, eq=False)
class Verification:
    """One run over the objects of the index, oldest first.

    Parameters
    ----------
    state_path
        Keeps how far it is and what was found, after every batch; removed at the end.
    bytes_per_s
        Reads no faster; None: as fast as it can.
    """

    archive: Archive
    state_path: Path
    bytes_per_s: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    report: VerifyReport = field(default_factory=VerifyReport)
    totals: ObjectTotals = field(default_factory=lambda: ObjectTotals(0, 0))
    gone_on_from: int = 0  # objects that earlier runs verified

    def run(self, workers: int, *, restart: bool = False) -> VerifyReport:
        """Verify all objects, going on where an earlier run was stopped unless ``restart``.

        Raises
        ------
        VerifyStopped
            Another one runs, or the store is away, or it is not the one of this index.
        pacs.errors.IndexUnavailable, OSError
        """
        with _alone(self.state_path.with_suffix(".lock")):
            if restart:
                self.state_path.unlink(missing_ok=True)
            cursor = self._resume()
            self.totals = self.archive.index.count_objects()
            rate = RateLimit(self.bytes_per_s, self.stop)
            with ThreadPoolExecutor(workers, "verify") as pool:
                while batch := cut_batch(self.archive.index.list_objects(cursor, MAX_BATCH_OBJECTS)):
                    faults = list(pool.map(lambda one: self._check(one, rate), batch))
                    if self.stop.is_set():  # what was being read is not known
                        return self.report
                    for one, fault in zip(batch, faults, strict=True):
                        self.report.add(one, fault)
                    self._require_store()
                    cursor = batch[-1].cursor
                    self._save(cursor)
            if self.report.objects and self.report.missing == self.report.objects:
                raise VerifyStopped(NOTHING_THERE)
            self.state_path.unlink(missing_ok=True)
            return self.report

    def _check(self, one: IndexedObject, rate: RateLimit) -> str | None:
        """Read an object; return what is wrong with it."""
        if self.stop.is_set():
            return None
        try:
            whole = is_whole(
                self.archive.store, one.key, one.size_bytes, one.sha256, partial(self._go_on, rate)
            )
            return None if whole else "damaged"
        except ObjectNotFound:
            return "missing" if is_missing(self.archive, one) else None
        except StoreError as error:
            self._require_reachable(error)
            return "unreadable"

    def _require_reachable(self, error: StoreError) -> None:
        """Tell an object that cannot be read from a store that is away, of which nothing is known."""
        try:
            require_store(self.archive)
        except StoreUnavailable:
            raise VerifyStopped(f"the store is away: {error}") from error

    def _go_on(self, rate: RateLimit, size_bytes: int) -> bool:
        rate.spend(size_bytes)
        return not self.stop.is_set()

    def _require_store(self) -> None:
        """Stop, before anything is written down, where the store turns out to be empty."""
        if self.report.missing == self.report.objects and next(self.archive.store.list(), None) is None:
            raise VerifyStopped(NOTHING_THERE)

    def _resume(self) -> ObjectCursor:
        """Read how far an earlier run on this archive came."""
        try:
            state = json.loads(self.state_path.read_bytes())
            if state["archive"] != self._archive_digest():
                return ObjectCursor()
            found = state["report"]
            self.report = VerifyReport(**{**found, "faults": [Fault(**fault) for fault in found["faults"]]})
            self.gone_on_from = self.report.objects
            return ObjectCursor(*state["cursor"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # none, or a damaged one: from the start
            return ObjectCursor()

    def _save(self, cursor: ObjectCursor) -> None:
        state = {"archive": self._archive_digest(), "cursor": cursor, "report": asdict(self.report)}
        new = self.state_path.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(self.state_path)

    def _archive_digest(self) -> str:
        settings = self.archive.settings
        urls = f"{mask_password(settings.resolved_database_url)} {settings.resolved_store_url}"
        return hashlib.sha256(urls.encode()).hexdigest()


def cut_batch(batch: list[IndexedObject]) -> list[IndexedObject]:
    """Cut a batch where its bytes get too many; one object is left in any case."""
    size_bytes = 0
    for number, one in enumerate(batch):
        size_bytes += one.size_bytes or 0
        if size_bytes > MAX_BATCH_BYTES and number:
            return batch[:number]
    return batch


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise VerifyStopped("another 'filmless verify' is running") from error
        yield
