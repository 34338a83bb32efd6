"""Answering requests for storage commitment, again and again until the device has understood.

Several workers may do so at a time. Where one is killed, what it had claimed is due again when its lease is
over: so an answer comes in the end, perhaps twice, and never before the bytes were read.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Final

from pacs.archive import Archive
from pacs.commitment import judge
from pacs.dimse.called_peers import peer_to_call
from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.dimse.storage_commitment import report
from pacs.errors import ArchiveError, NotFound, SettingsError
from pacs.index.commitments import Commitment
from pacs.jobs.backoff import pause_after
from pacs.jobs.working import keep_working

LEASE: Final = timedelta(seconds=15)
_EXTEND_AFTER_S: Final = LEASE.total_seconds() / 3
_TIMEOUT_S: Final = 30.0  # of a device, to answer
_BATCH_SIZE: Final = 1  # one takes as long as its bytes take to be read
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 3600.0
_BEHIND_THE_OTHERS: Final = timedelta(seconds=1)  # so that no request is in the way of all others
_GIVEN_UP_AFTER: Final = timedelta(days=7)
_FORGOTTEN_AFTER: Final = timedelta(days=30)

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The worker is to end."""


def keep_committing(archive: Archive, stop: Event) -> None:
    """Answer what is due until ``stop`` is set."""

    def forget() -> None:
        archive.index.commitments.forget(datetime.now(UTC) - _FORGOTTEN_AFTER)

    what = "requests for storage commitment will be answered"
    keep_working(partial(answer_due, archive, stop), stop, what, forget)


def answer_due(archive: Archive, stop: Event) -> int:
    """Answer, or postpone, the request that is due longest; return how many there were.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
        Nothing can be said now. What was claimed is due again when its lease is over.
    """
    claimed = archive.index.commitments.claim(_BATCH_SIZE, datetime.now(UTC), LEASE)
    for request in claimed:
        try:
            _answer(archive, request, stop)
        except _Stopped:
            archive.index.commitments.postpone(request.row_id, datetime.now(UTC))
        except (PeerUnreachable, PeerRejected, NotFound, SettingsError) as error:
            _postpone(archive, request, error)
    return len(claimed)


def _answer(archive: Archive, request: Commitment, stop: Event) -> None:
    peer = peer_to_call(archive.index.peers.find(request.ae_title), archive.settings)
    lease = _Lease(archive, request, stop)
    verdict = judge(archive, request.references, lease.go_on)
    lease.extend(timedelta(seconds=2 * _TIMEOUT_S))
    report(peer, archive.settings.ae_title, request, verdict, _TIMEOUT_S)
    archive.index.commitments.mark_told(request.row_id, datetime.now(UTC))
    _log.info(
        "%s was told of %d instances, and that %d are not here",
        request.ae_title, len(verdict.committed), len(verdict.failed),
    )  # fmt: skip


class _Lease:
    """Is prolonged while bytes are read."""

    def __init__(self, archive: Archive, request: Commitment, stop: Event) -> None:
        self._archive, self._request, self._stop = archive, request, stop
        self._extend_at_s = time.monotonic() + _EXTEND_AFTER_S

    def go_on(self, _size_bytes: int) -> bool:
        """Read on; raises where the worker is to end."""
        if self._stop.is_set():
            raise _Stopped
        if time.monotonic() > self._extend_at_s:
            self.extend(LEASE)
        return True

    def extend(self, lease: timedelta) -> None:
        """Have the request to ourselves for so long from now on."""
        self._archive.index.commitments.postpone(self._request.row_id, datetime.now(UTC) + lease)
        self._extend_at_s = time.monotonic() + _EXTEND_AFTER_S


def _postpone(archive: Archive, request: Commitment, error: ArchiveError) -> None:
    """Try again later, and what else a device waits for that cannot be reached; this one last."""
    now = datetime.now(UTC)
    if now - request.requested_at > _GIVEN_UP_AFTER:
        archive.index.commitments.postpone(request.row_id, None)
        _log.error("%s was never told what is stored, and will not be: %s", request.ae_title, error)
        return
    until = now + pause_after(request.attempts, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
    archive.index.commitments.postpone(request.row_id, until + _BEHIND_THE_OTHERS)
    if isinstance(error, PeerUnreachable):
        archive.index.commitments.postpone_all(request.ae_title, until, request.attempts)
    _log.warning("%s could not be told what is stored, and will be later: %s", request.ae_title, error)
