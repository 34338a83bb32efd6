"""Sealing the ledger: what waits in the database becomes an object of the store, its next segment."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from threading import Event
from typing import Final

from pacs.archive import Archive
from pacs.errors import ArchiveError
from pacs.jobs.ledger_replay import catch_up
from pacs.ledger.chain import find_segment
from pacs.ledger.segments import Head, segment_key, write_segment
from storage.errors import ObjectExists, StoreError

_log = logging.getLogger(__name__)

SEAL_EVERY_S: Final = 60.0
MAX_ENTRIES: Final = 10_000
_MAX_SIZE_BYTES: Final = 8 * 1024**2
_MAX_ATTEMPTS: Final = 10


def seal_ledger(archive: Archive) -> int:
    """Seal everything that waits; return the number of entries.

    The number of a segment is its key, and the store gives a key once. So of two workers that seal at a time
    one finds its number taken, and moves on behind the other's segment; so does a worker whose predecessor
    died after it had put a segment and before it had dropped the lines.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    ledger = archive.index.ledger
    sealed = attempts = 0
    while attempts < _MAX_ATTEMPTS:
        if not ledger.anything_waits():
            break
        head = ledger.head()
        try:
            if find_segment(archive.store, head) is not None:  # a spool would not see it in the remote store
                raise ObjectExists(segment_key(head.number + 1))
            ledger.number()
            waiting = ledger.waiting(MAX_ENTRIES, _MAX_SIZE_BYTES)
            lines = [line for one in waiting for line in one.lines]
            data = write_segment(head, lines, datetime.now(UTC))
            archive.store.put(segment_key(head.number + 1), data)
        except ObjectExists:
            attempts += 1
            catch_up(archive, Event())
            continue
        after = Head(head.number + 1, hashlib.sha256(data).hexdigest())
        if ledger.advance(head, after, [one.row_id for one in waiting], len(lines)):
            sealed += len(lines)
    return sealed


def keep_sealing(archive: Archive, stop: Event) -> None:
    """Seal now and then until ``stop`` is set, and once more then; what is away is tried again."""
    while not stop.wait(SEAL_EVERY_S):
        _seal_once(archive)
    _seal_once(archive)


def _seal_once(archive: Archive) -> None:
    try:
        sealed = seal_ledger(archive)
    except (ArchiveError, StoreError) as error:
        _log.warning("the ledger could not be sealed and will be tried again: %s", error)
        return
    if sealed:
        _log.info("ledger: %d entries sealed", sealed)
