"""One send job, as far as it can be done now: instance after instance, each noted when the peer has it."""

from __future__ import annotations

import contextlib
import logging
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic
from typing import Final

from pacs.archive import Archive
from pacs.daily_hours import DailyHours, parse_daily_hours
from pacs.dicomweb.connection import WebConnection
from pacs.dicomweb.stow import StowCourier
from pacs.dimse.called_peers import peer_to_call
from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.dimse.retrieving.courier import Courier, Delivered, Destination, Pace
from pacs.dimse.statuses import code_location
from pacs.errors import ArchiveError, IndexUnavailable, NotFound, SettingsError
from pacs.index.known_peers import KnownPeer
from pacs.index.send_jobs import SendJob, SendState, SentInstance
from pacs.jobs.backoff import pause_after
from pacs.jobs.sending.answers import may_pass, note, tell
from pacs.jobs.sending.confirming import MOST_ROUNDS, ask_for_commitment, is_to_be_asked
from storage.errors import StoreError

_PAGE: Final = 200
_RECORD_EVERY_S: Final = 0.05  # what is not noted yet when all dies is sent twice
_MOST_POSTPONED: Final = 20  # instances, after which the peer is left alone for a while
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 600.0
_LONGEST_REFUSED_S: Final = 3600.0
_GIVEN_UP_AFTER: Final = timedelta(days=7)

_log = logging.getLogger(__name__)


class _Interrupted(Exception):
    """The job goes on another time: the worker ends, it is somebody else's, or the hours are over."""


class SendRun:
    """Does one job that was claimed. One thread performs it; the other methods are called from any.

    Parameters
    ----------
    known
        The peer; None where it is not in the table any more.
    pace
        Of all that goes to this peer.
    """

    def __init__(self, archive: Archive, job: SendJob, known: KnownPeer | None, pace: Pace) -> None:
        self.job = job
        self._archive = archive
        self._known = known
        self._pace = pace
        self._stop = Event()
        self._courier: Courier | StowCourier | None = None
        self._hours: DailyHours | None = None
        self._noted: list[SentInstance] = []
        self._recorded_at_s = monotonic()
        self.peer_is_away = False

    def stop(self) -> None:
        """Begin no further instance."""
        self._stop.set()

    def break_off(self) -> None:
        """Give up the instance that is under way."""
        self._stop.set()
        if courier := self._courier:
            courier.break_off()

    def perform(self) -> None:
        """Do the job, or as much of it as can be done, and give it back."""
        try:
            with contextlib.closing(self._open()) as courier:
                self._courier = courier
                postponed = self._send_left(courier)
            self._end(postponed)
        except _Interrupted:
            self._give_back()
        except (ArchiveError, StoreError) as error:
            if self._stop.is_set():
                self._give_back()
            else:
                self._fail(error)
        except Exception as error:  # nobody has thought of it; it must not come back at once
            _log.error("a send job came to grief: %s", code_location(error))
            self._fail(error)

    def _open(self) -> Courier | StowCourier:
        if self._known is None:
            raise NotFound(f"there is no peer {self.job.ae_title}")
        settings = self._archive.settings
        self._hours = parse_daily_hours(self._known.send_hours) if self._known.send_hours else None
        if self._known.dicomweb_url is not None:
            return StowCourier(self._archive, WebConnection(self._known, settings), self._pace)
        destination = Destination(
            peer=peer_to_call(self._known, settings),
            preferred=self._known.transfer_syntax_uids,
            calling_ae_title=settings.ae_title,
            timeout_s=settings.network_timeout_s,
            pace=self._pace,
        )
        return Courier(self._archive, destination)

    def _send_left(self, courier: Courier | StowCourier) -> list[Delivered]:
        """Send what is left, page by page; return what may be taken another time."""
        work = self._archive.index.send_work
        work.begin(self.job)
        postponed: dict[str, Delivered] = {}
        while page := work.list_left(self.job, postponed, _PAGE):
            courier.expect(page)
            for instance in page:
                self._go_on()
                delivered = courier.deliver(instance)
                if may_pass(delivered):
                    postponed[instance.sop_instance_uid] = delivered
                else:
                    self._noted.append(note(instance.sop_instance_uid, delivered))
                if monotonic() - self._recorded_at_s > _RECORD_EVERY_S:
                    self._record()
                if len(postponed) >= _MOST_POSTPONED:
                    return list(postponed.values())
            self._record()
        return list(postponed.values())

    def _go_on(self) -> None:
        now = datetime.now().astimezone().time()
        if self._stop.is_set() or (self._hours is not None and not self._hours.contain(now)):
            raise _Interrupted

    def _record(self) -> None:
        noted, self._noted = self._noted, []
        self._recorded_at_s = monotonic()
        if noted and not self._archive.index.send_work.record(self.job, noted, datetime.now(UTC)):
            raise _Interrupted

    def _end(self, postponed: list[Delivered]) -> None:
        self._record()
        if postponed:
            self._postpone(tell(postponed[0]), _LONGEST_REFUSED_S)
            return
        current = self._archive.index.send_jobs.find(self.job.job_id)
        if self._known is not None and is_to_be_asked(self._archive, current, self._known):
            self._ask(current, self._known)
            return
        refused = current.refused
        state = SendState.FAILED if refused else SendState.DONE
        told = f"{refused} instances were refused" if refused else None
        self._archive.index.send_work.finish(self.job, state, told, datetime.now(UTC))
        _log.info(
            "study %s was sent to %s, %d instances were refused",
            self.job.study_instance_uid, self.job.ae_title, refused,
        )  # fmt: skip

    def _ask(self, current: SendJob, peer: KnownPeer) -> None:
        """Ask whether all is safe there, unless that was asked too often."""
        if current.rounds < MOST_ROUNDS:
            ask_for_commitment(self._archive, current, peer)
            return
        told = current.last_error or "the peer does not say that all is safe there"
        self._archive.index.send_work.finish(self.job, SendState.FAILED, told, datetime.now(UTC))
        _log.error("%s does not say that a study is safe there", peer.ae_title)

    def _give_back(self) -> None:
        """Leave the rest for later; what is noted is heeded also where the job is not ours any more."""
        with contextlib.suppress(IndexUnavailable, _Interrupted):
            self._record()
        with contextlib.suppress(IndexUnavailable):  # then it is due when its lease is over
            self._archive.index.send_work.postpone(self.job, datetime.now(UTC))

    def _fail(self, error: Exception) -> None:
        with contextlib.suppress(IndexUnavailable, _Interrupted):
            self._record()
        self.peer_is_away = isinstance(error, PeerUnreachable | PeerRejected | NotFound | SettingsError)
        with contextlib.suppress(IndexUnavailable):
            self._postpone(str(error) if self.peer_is_away else type(error).__name__, _LONGEST_PAUSE_S)

    def _postpone(self, error: str, longest_pause_s: float) -> None:
        """Have the job tried again later, unless it is tried in vain for too long already."""
        now = datetime.now(UTC)
        current = self._archive.index.send_jobs.find(self.job.job_id)
        if now - current.changed_at > _GIVEN_UP_AFTER:
            self._archive.index.send_work.finish(self.job, SendState.FAILED, error, now)
            _log.error("a study was not sent to %s, and will not be: %s", self.job.ae_title, error)
            return
        until = now + pause_after(current.attempts + 1, _FIRST_PAUSE_S, longest_pause_s)
        self._archive.index.send_work.postpone(self.job, until, error)
        _log.warning("a study is sent to %s later: %s", self.job.ae_title, error)
