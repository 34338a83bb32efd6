"""Telling peers what they want to be told, each in a thread of its own, again and again until it has it.

Several workers may do so at a time. Where one is killed, what it was about to tell is due again when its
lease is over; it goes under the UID under which it went before, so that the peer knows it again.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Final, Self

from pacs.archive import Archive
from pacs.dimse.called_peers import peer_to_call
from pacs.dimse.notices import ServiceNotOffered
from pacs.dimse.requestor import Peer, PeerRejected, PeerUnreachable
from pacs.errors import ArchiveError, IndexUnavailable, NotFound, SettingsError, UnreadableInstance
from pacs.index.known_peers import KnownPeer
from pacs.index.notices import Notice, NoticeKind
from pacs.jobs.backoff import pause_after
from pacs.jobs.notices.messages import LEASE, NothingHere, PeerSaidLater, PeerSaidNo, tell
from storage.errors import DamagedObject, ObjectNotFound, StoreError

_EVERY_S: Final = 2.0
_FORGET_EVERY_S: Final = 3600.0
_RETRY_AFTER_S: Final = 3.0
_PEERS_AT_A_TIME: Final = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 3600.0
_GIVEN_UP_AFTER: Final = timedelta(days=7)
_FORGOTTEN_AFTER: Final = timedelta(days=90)

_log = logging.getLogger(__name__)


def keep_telling(archive: Archive, stop: Event) -> None:
    """Tell peers what is due until ``stop`` is set."""
    forget_at_s = time.monotonic()
    with Teller(archive, stop) as teller:
        while not stop.is_set():
            try:
                teller.look()
                if time.monotonic() > forget_at_s:
                    archive.index.notice_work.forget(datetime.now(UTC) - _FORGOTTEN_AFTER)
                    forget_at_s += _FORGET_EVERY_S
            except IndexUnavailable as error:
                _log.warning("peers will be told later: %s", error)
                stop.wait(_RETRY_AFTER_S)
            stop.wait(_EVERY_S)


class Teller:
    """Has peers told, each by a thread; at the end of the ``with`` block it waits for them.

    Its methods but for `tell_peer` are called by one thread.
    """

    def __init__(self, archive: Archive, stop: Event) -> None:
        self._archive, self._stop = archive, stop
        self._threads = ThreadPoolExecutor(_PEERS_AT_A_TIME, "notices")
        self._busy: dict[str, Future[None]] = {}
        self._under_way: dict[str, Notice] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def look(self) -> None:
        """Prolong the leases of what is under way, and have peers told that something is due for.

        Raises
        ------
        pacs.errors.IndexUnavailable
        """
        self._busy = {ae_title: told for ae_title, told in self._busy.items() if not _is_over(told)}
        now = datetime.now(UTC)
        for told in list(self._under_way.values()):
            self._archive.index.notice_work.renew(told, now + LEASE)
        for ae_title in self._archive.index.notice_work.due_peers(now):
            if ae_title not in self._busy and len(self._busy) < _PEERS_AT_A_TIME:
                self._busy[ae_title] = self._threads.submit(self.tell_peer, ae_title)

    def tell_peer(self, ae_title: str) -> None:
        """Tell a peer what is due, one after the other, until nothing is left or it does not listen.

        Raises
        ------
        pacs.errors.IndexUnavailable, storage.errors.StoreError
            What it was about to be told is due again when the lease is over.
        """
        while not self._stop.is_set():
            told = self._archive.index.notice_work.claim(ae_title, datetime.now(UTC), LEASE)
            if told is None:
                return
            self._under_way[ae_title] = told
            try:
                if (peer := _who_wants(self._archive, told)) is not None:
                    _tell_or_postpone(self._archive, peer, told)
            finally:
                del self._under_way[ae_title]


def _is_over(told: Future[None]) -> bool:
    if told.done() and isinstance(error := told.exception(), ArchiveError | StoreError):
        _log.warning("a peer will be told later: %s", type(error).__name__)
    elif told.done():
        told.result()  # what nobody has thought of is told by who runs this
    return told.done()


def _who_wants(archive: Archive, told: Notice) -> KnownPeer | None:
    """Find the peer of a notice; where it does not want that any more, what waits for it is forgotten."""
    try:
        peer = archive.index.peers.find(told.ae_title)
    except NotFound:
        archive.index.notice_work.drop(told.ae_title)
        return None
    available = told.kind is NoticeKind.AVAILABLE
    if peer.wants_availability if available else peer.wants_performed_steps:
        return peer
    archive.index.notice_work.drop(told.ae_title, told.kind)
    return None


def _tell_or_postpone(archive: Archive, peer: KnownPeer, told: Notice) -> None:
    try:
        _tell(archive, peer_to_call(peer, archive.settings), told)
    except ServiceNotOffered as error:
        _postpone(archive, told, error)
        archive.index.notice_work.postpone_others(told, _pause(told), told.kind)
    except (PeerUnreachable, PeerRejected, NotFound, SettingsError) as error:
        _postpone(archive, told, error)
        archive.index.notice_work.postpone_others(told, _pause(told))
    except (ObjectNotFound, DamagedObject, UnreadableInstance) as error:
        _refuse(archive, told, f"the message cannot be read: {type(error).__name__}")


def _tell(archive: Archive, peer: Peer, told: Notice) -> None:
    try:
        if tell(archive, peer, told):
            archive.index.notice_work.mark_told(told, datetime.now(UTC))
            _log.info("%s was told of %s", told.ae_title, _named(told))
    except (NothingHere, PeerSaidLater) as error:
        _postpone(archive, told, error)
    except PeerSaidNo as answer:
        _refuse(archive, told, str(answer))


def _refuse(archive: Archive, told: Notice, error: str) -> None:
    archive.index.notice_work.refuse(told, error)
    _log.error("%s was not told of %s, and will not be: %s", told.ae_title, _named(told), error)


def _postpone(archive: Archive, told: Notice, error: ArchiveError) -> None:
    if datetime.now(UTC) - told.wished_at > _GIVEN_UP_AFTER:
        _refuse(archive, told, str(error))
        return
    archive.index.notice_work.postpone(told, _pause(told), str(error))
    _log.warning("%s could not be told of %s, and will be later: %s", told.ae_title, _named(told), error)


def _pause(told: Notice) -> datetime:
    """Return when to try again: later each time."""
    return datetime.now(UTC) + pause_after(told.attempts + 1, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)


def _named(told: Notice) -> str:
    if told.kind is NoticeKind.AVAILABLE:
        return f"the study {told.subject_uid}"
    return f"message {told.number} of the performed step {told.subject_uid}"
