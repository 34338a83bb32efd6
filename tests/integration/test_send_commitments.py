"""What was sent is asked for: a peer says that it is safe there, or it is sent again (PS3.4 J)."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from pacs.archive import Archive
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.index.send_jobs import SendJob, SendState
from pacs.jobs.committing import answer_due
from pacs.jobs.sending.sender import Sender
from pacs.sending import send_studies
from tests.integration.dimse_peers import eventually, listening
from tests.integration.retrieval_peers import HOST, STUDY_UID, filled_archive, store
from tests.unit.pacs.dimse.wire import EXPLICIT

Lost = Callable[[str], bool]


@dataclass
class Keeper:
    """A peer that stores, and says of what it is asked for what is safe there and what is not."""

    is_lost: Lost = lambda _: False
    same_association: bool = True
    status: int = 0x0000
    got: list[str] = field(default_factory=list)
    asked: list[Dataset] = field(default_factory=list)

    def _store(self, event: evt.Event) -> int:
        self.got.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def _action(self, event: evt.Event) -> tuple[int, None]:
        asked = event.action_information
        self.asked.append(asked)
        if self.same_association and not self.status:
            threading.Thread(target=self._tell_here, args=(event.assoc, asked)).start()
        return self.status, None

    def _tell_here(self, association: Any, asked: Dataset) -> None:
        time.sleep(0.1)  # behind our response
        with contextlib.suppress(Exception):
            self._tell(association, asked)

    def tell_at(self, port: int, asked: Dataset, ae_title: str = "DEST") -> int:
        """Tell over an association of one's own, in the role of SCP."""
        entity = AE(ae_title)
        entity.add_requested_context(StorageCommitmentPushModel)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        association = entity.associate(HOST, port, ae_title="FILMLESS", ext_neg=[role])
        assert association.is_established
        try:
            return self._tell(association, asked)
        finally:
            association.release()

    def _tell(self, association: Any, asked: Dataset) -> int:
        report = Dataset()
        report.TransactionUID = asked.TransactionUID
        safe, lost = [], []
        for item in asked.ReferencedSOPSequence:
            told = Dataset()
            told.ReferencedSOPClassUID = item.ReferencedSOPClassUID
            told.ReferencedSOPInstanceUID = item.ReferencedSOPInstanceUID
            if self.is_lost(item.ReferencedSOPInstanceUID):
                told.FailureReason = 0x0112
                lost.append(told)
            else:
                safe.append(told)
        if safe:
            report.ReferencedSOPSequence = safe
        if lost:
            report.FailedSOPSequence = lost
        status, _ = association.send_n_event_report(
            report, 2 if lost else 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        return int(status.Status)

    @contextlib.contextmanager
    def running(self, archive: Archive) -> Iterator[Keeper]:
        entity = AE("DEST")
        entity.add_supported_context(CTImageStorage, EXPLICIT)
        entity.add_supported_context(StorageCommitmentPushModel)
        handlers: Any = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._action)]
        server: Any = entity.start_server((HOST, 0), block=False, evt_handlers=handlers)
        peer = KnownPeer("DEST", HOST, server.socket.getsockname()[1], asks_commitment=True)
        archive.index.peers.put(peer)
        try:
            yield self
        finally:
            server.shutdown()


@pytest.fixture
def sender(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sender]:
    monkeypatch.setattr("pacs.jobs.sending.confirming._PATIENCE_S", 1.0)
    monkeypatch.setattr("pacs.index.send_commitments._AGAIN_AFTER", timedelta(0))
    one = Sender(archive)
    yield one
    one.end()


def wish(archive: Archive) -> SendJob:
    return send_studies(archive, [STUDY_UID], "DEST", origin="test")[0]


def perform(sender: Sender) -> None:
    """Do all that is due, and what comes of it."""
    while sender.begin_due():
        sender.wait()


def now(archive: Archive, job: SendJob) -> SendJob:
    return archive.index.send_jobs.find(job.job_id)


def test_a_job_is_done_when_the_peer_says_that_all_is_safe_there(archive: Archive, sender: Sender) -> None:
    uids = [store(archive, number) for number in (1, 2, 3)]
    with Keeper().running(archive) as keeper:
        job = wish(archive)
        perform(sender)
        assert now(archive, job).state is SendState.DONE
        (asked,) = keeper.asked
        assert [item.ReferencedSOPInstanceUID for item in asked.ReferencedSOPSequence] == uids
        assert {item.ReferencedSOPClassUID for item in asked.ReferencedSOPSequence} == {CTImageStorage}
        later = store(archive, 4)
        wish(archive)
        perform(sender)
        assert [item.ReferencedSOPInstanceUID for item in keeper.asked[1].ReferencedSOPSequence] == [later]
        assert now(archive, job).state is SendState.DONE


def test_what_is_not_safe_there_is_sent_again(archive: Archive, sender: Sender) -> None:
    uids = [store(archive, number) for number in (1, 2, 3)]
    lost = {uids[1]}
    with Keeper(lambda uid: uid in lost and keeper.got.count(uid) < 2).running(archive) as keeper:
        job = wish(archive)
        perform(sender)
        assert keeper.got == [*uids, uids[1]]
        told = now(archive, job)
        assert (told.state, told.total, told.sent) == (SendState.DONE, 3, 3)


def test_a_job_waits_for_an_answer_that_comes_to_our_door(archive: Archive, sender: Sender) -> None:
    uids = [store(archive, number) for number in (1, 2)]
    with Keeper(same_association=False).running(archive) as keeper, listening(archive) as port:
        job = wish(archive)
        perform(sender)
        told = now(archive, job)
        assert told.state is SendState.CONFIRMING
        assert told.next_attempt_at is not None
        assert told.next_attempt_at > datetime.now(UTC) + timedelta(seconds=30)
        (asked,) = keeper.asked
        assert keeper.tell_at(port, asked, "OTHER") == 0x0000  # it was not asked: that has no effect
        other = Dataset()
        other.TransactionUID, other.ReferencedSOPSequence = generate_uid(), asked.ReferencedSOPSequence
        assert keeper.tell_at(port, other) == 0x0000
        assert now(archive, job).state is SendState.CONFIRMING
        assert keeper.tell_at(port, asked) == 0x0000
        perform(sender)
        assert now(archive, job).state is SendState.DONE
        assert keeper.got == uids


def test_a_peer_that_never_answers_is_asked_again_and_then_the_job_fails(
    archive: Archive, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.jobs.sending.confirming._FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr("pacs.jobs.sending.confirming._PATIENCE_S", 0.0)
    monkeypatch.setattr("pacs.jobs.sending.run.MOST_ROUNDS", 3)
    store(archive, 1)
    with Keeper(same_association=False).running(archive) as keeper:
        job = wish(archive)
        perform(sender)
        told = now(archive, job)
        assert (told.state, len(keeper.asked), len(keeper.got)) == (SendState.FAILED, 3, 1)
        assert told.last_error == "the peer does not say that all is safe there"


def test_a_peer_that_does_not_commit_is_told_so_in_the_job(archive: Archive, sender: Sender) -> None:
    store(archive, 1)
    with Keeper(status=0x0110).running(archive):
        job = wish(archive)
        perform(sender)
        told = now(archive, job)
        assert told.state is SendState.CONFIRMING
        assert "0110" in (told.last_error or "")


def test_two_archives_of_ours_understand_each_other(
    archive: Archive, sender: Sender, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.peers.KEPT_FOR_S", -1.0)
    folder = tmp_path / "other"
    folder.mkdir()
    with filled_archive(folder, 0) as (other, port, _), listening(archive) as our_port:
        everything = frozenset(PeerRight)
        archive.index.peers.put(KnownPeer("FILMLESS", HOST, port, everything, asks_commitment=True))
        other.index.peers.put(KnownPeer("FILMLESS", HOST, our_port, everything))
        store(archive, 1)
        job = send_studies(archive, [STUDY_UID], "FILMLESS", origin="test")[0]
        perform(sender)
        assert now(archive, job).state is SendState.CONFIRMING
        assert answer_due(other, threading.Event()) == 1
        eventually(lambda: now(archive, job).state is SendState.WAITING)
        perform(sender)
        assert now(archive, job).state is SendState.DONE
