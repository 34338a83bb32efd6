"""Send jobs of all peers: taken when they are due, a few at a time, and held while they are done."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Final, NamedTuple

from pacs.archive import Archive
from pacs.daily_hours import parse_daily_hours
from pacs.dimse.retrieving.courier import Pace
from pacs.errors import ArchiveError, NotFound
from pacs.index.known_peers import KnownPeer
from pacs.jobs.sending.pace import Pacemaker
from pacs.jobs.sending.run import SendRun
from storage.errors import StoreError

LEASE: Final = timedelta(seconds=10)
_RENEW_EVERY_S: Final = 2.0  # also how soon it is noticed that a job was paused
_EVERY_S: Final = 0.5
_RETRY_AFTER_S: Final = 5.0
_GRACE_S: Final = 2.0
_FIRST_REST_S, _LONGEST_REST_S = 5.0, 300.0
_FORGET_EVERY_S: Final = 3600.0
_FORGOTTEN_AFTER: Final = timedelta(days=30)

_log = logging.getLogger(__name__)


def keep_sending(archive: Archive, stop: Event) -> None:
    """Do what is due until ``stop`` is set."""
    sender = Sender(archive)
    try:
        while not stop.wait(_EVERY_S):
            try:
                sender.begin_due()
            except (ArchiveError, StoreError) as error:
                _log.warning("send jobs will be looked for later: %s", error)
                stop.wait(_RETRY_AFTER_S)
    finally:
        sender.end()


class _Rest(NamedTuple):
    """A peer that is away is left alone for a while, whatever waits for it."""

    length_s: float
    until_s: float


class Sender:
    """Does jobs in threads, one each. One thread uses it."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._runs: dict[Thread, SendRun] = {}
        self._pacemakers: dict[str, Pacemaker] = {}
        self._rests: dict[str, _Rest] = {}
        self._renew_at_s = self._forget_at_s = 0.0
        self._ended = Event()

    def begin_due(self) -> int:
        """Begin what is due, as far as there is room for it; return how many are under way.

        Raises
        ------
        pacs.errors.IndexUnavailable
        """
        self._reap()
        self._renew()
        self._forget()
        if len(self._runs) < self._archive.settings.send_concurrency:
            for ae_title in self._archive.index.send_work.due_peers(datetime.now(UTC)):
                self._begin_for(ae_title)
        return len(self._runs)

    def end(self) -> None:
        """Let nothing further begin, and give back what is under way."""
        self._ended.set()
        for run in self._runs.values():
            run.stop()
        deadline = time.monotonic() + _GRACE_S
        for thread, run in self._runs.items():
            thread.join(max(deadline - time.monotonic(), 0))
            if thread.is_alive():
                run.break_off()
        self.wait()

    def wait(self) -> None:
        """Wait until all that is under way has come to its end."""
        for thread in list(self._runs):
            thread.join()
        self._reap()

    def _begin_for(self, ae_title: str) -> None:
        """Begin jobs for a peer until it has enough of them, or we have."""
        peer = self._find_peer(ae_title)
        rest = self._rests.get(ae_title)
        if not _is_open(peer) or (rest is not None and time.monotonic() < rest.until_s):
            return
        at_a_time = 1 if peer is None or rest is not None else peer.send_at_a_time
        while len(self._runs) < self._archive.settings.send_concurrency:
            job = self._archive.index.send_work.claim(ae_title, at_a_time, datetime.now(UTC), LEASE)
            if job is None:
                return
            run = SendRun(self._archive, job, peer, self._pace_of(peer))
            thread = Thread(target=run.perform, name="sending", daemon=True)
            self._runs[thread] = run
            thread.start()

    def _find_peer(self, ae_title: str) -> KnownPeer | None:
        try:
            return self._archive.index.peers.find(ae_title)
        except NotFound:
            return None

    def _pace_of(self, peer: KnownPeer | None) -> Pace:
        if peer is None or peer.send_bytes_per_s is None:
            return iter
        pacemaker = self._pacemakers.get(peer.ae_title)
        if pacemaker is None or pacemaker.bytes_per_s != peer.send_bytes_per_s:
            pacemaker = Pacemaker(peer.send_bytes_per_s, self._ended.wait)
            self._pacemakers[peer.ae_title] = pacemaker
        return pacemaker.pace

    def _reap(self) -> None:
        for thread in [thread for thread in self._runs if not thread.is_alive()]:
            run = self._runs.pop(thread)
            if run.peer_is_away:
                before = self._rests.get(run.job.ae_title, _Rest(_FIRST_REST_S / 2, 0))
                length_s = min(before.length_s * 2, _LONGEST_REST_S)
                self._rests[run.job.ae_title] = _Rest(length_s, time.monotonic() + length_s)
            else:
                self._rests.pop(run.job.ae_title, None)

    def _renew(self) -> None:
        """Hold what is under way, and stop what is not ours any more: it was paused, or we were too slow."""
        if not self._runs or time.monotonic() < self._renew_at_s:
            return
        self._renew_at_s = time.monotonic() + _RENEW_EVERY_S
        jobs = [run.job for run in self._runs.values()]
        ours = self._archive.index.send_work.renew(jobs, datetime.now(UTC) + LEASE)
        for run in self._runs.values():
            if run.job.job_id not in ours:
                run.break_off()

    def _forget(self) -> None:
        if time.monotonic() >= self._forget_at_s:
            self._forget_at_s = time.monotonic() + _FORGET_EVERY_S
            self._archive.index.send_work.forget(datetime.now(UTC) - _FORGOTTEN_AFTER)


def _is_open(peer: KnownPeer | None) -> bool:
    if peer is None or peer.send_hours is None:
        return True
    return parse_daily_hours(peer.send_hours).contain(datetime.now().astimezone().time())
