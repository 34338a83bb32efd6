"""Send jobs: each instance reaches the peer once, whatever happens on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid
from pynetdicom import evt

from pacs.archive import Archive
from pacs.dimse.secure_transport import acceptor_context
from pacs.errors import InvalidRequest, NotFound
from pacs.index.known_peers import KnownPeer
from pacs.index.send_jobs import SendJob, SendState, SendWish
from pacs.jobs.sending.sender import Sender
from pacs.sending import send_studies
from tests.backends import fresh_archive
from tests.certificates import Authority
from tests.integration.dimse_peers import eventually
from tests.integration.retrieval_peers import HOST, STUDY_UID, Destination, store
from tests.unit.pacs.dimse.wire import EXPLICIT, IMPLICIT

JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"


@pytest.fixture
def sender(archive: Archive) -> Iterator[Sender]:
    one = Sender(archive)
    yield one
    one.end()


def wish(archive: Archive, to: str = "DEST", **more: Any) -> SendJob:
    return send_studies(archive, [STUDY_UID], to, origin="test", **more)[0]


def perform(sender: Sender) -> int:
    """Do all that is due; give how many jobs were begun last."""
    begun = sender.begin_due()
    sender.wait()
    return begun


def now(archive: Archive, job: SendJob) -> SendJob:
    return archive.index.send_jobs.find(job.job_id)


def counts(job: SendJob) -> tuple[int, int, int, int]:
    return job.total, job.sent, job.warned, job.refused


def test_a_study_is_sent_as_it_is_stored_and_not_once_more(archive: Archive, sender: Sender) -> None:
    uids = [store(archive, number) for number in range(1, 7)]
    store(archive, 1, StudyInstanceUID=generate_uid(), SeriesInstanceUID=generate_uid())
    with Destination().running(archive) as there:
        job = wish(archive)
        assert (job.state, job.origin) == (SendState.WAITING, "test")
        perform(sender)
        assert there.got == uids
        assert there.associations == 1
        assert {one.MoveOriginatorApplicationEntityTitle for one in there.commands} == {None}
        job = now(archive, job)
        assert (job.state, counts(job), job.last_error) == (SendState.DONE, (6, 6, 0, 0), None)
        assert perform(sender) == 0
        assert wish(archive).job_id == job.job_id
        perform(sender)
        assert there.got == uids
        wish(archive, again=True)
        perform(sender)
        assert there.got == [*uids, *uids]
        assert counts(now(archive, job)) == (6, 6, 0, 0)


def test_what_comes_to_a_study_that_was_sent_goes_after_it(archive: Archive, sender: Sender) -> None:
    uids = [store(archive, number) for number in (1, 2)]
    with Destination().running(archive) as there:
        job = wish(archive)
        perform(sender)
        uids.append(store(archive, 3))
        wish(archive)
        perform(sender)
        assert there.got == uids
        assert counts(now(archive, job)) == (3, 3, 0, 0)


def test_what_comes_and_is_wished_for_while_a_job_ends_is_not_forgotten(
    archive: Archive, sender: Sender
) -> None:
    first = store(archive, 1)
    later: list[str] = []

    def receive(_: evt.Event) -> int:
        if not later:
            later.append(store(archive, 2))
            wish(archive)
        return 0

    with Destination(receive).running(archive) as there:
        job = wish(archive)
        for _ in range(3):
            perform(sender)
        assert there.got == [first, *later]
        assert now(archive, job).state is SendState.DONE


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0x0122])
def test_one_that_is_refused_for_good_does_not_hold_up_the_others_and_is_told(
    archive: Archive, sender: Sender, status: int
) -> None:
    uids = [store(archive, number) for number in (1, 2, 3)]
    refused = True

    def receive(event: evt.Event) -> int:
        bad = event.request.AffectedSOPInstanceUID == uids[1]
        return status if bad and refused else 0xB000 if bad else 0

    with Destination(receive).running(archive) as there:
        job = wish(archive)
        perform(sender)
        told = now(archive, job)
        assert (told.state, counts(told)) == (SendState.FAILED, (3, 2, 0, 1))
        assert [tuple(one) for one in archive.index.send_jobs.list_refused(job.job_id)] == [
            (uids[1], True, status, None)
        ]
        assert there.got == uids
        refused = False
        archive.index.send_jobs.retry(job.job_id, datetime.now(UTC))
        perform(sender)
        told = now(archive, job)
        assert (told.state, counts(told)) == (SendState.DONE, (3, 3, 1, 0))
        assert there.got == [*uids, uids[1]]


def test_what_the_peer_has_no_presentation_context_for_is_refused(archive: Archive, sender: Sender) -> None:
    image = store(archive, 1)
    other = store(archive, 2, SOPClassUID=MRImageStorage)
    with Destination().running(archive) as there:
        job = wish(archive)
        perform(sender)
        assert there.got == [image]
        assert archive.index.send_jobs.list_refused(job.job_id)[0][:3] == (other, True, 0x0122)
        assert now(archive, job).state is SendState.FAILED


@pytest.mark.parametrize(
    ("syntaxes", "preferred", "expected"),
    [((IMPLICIT,), (), IMPLICIT), ((JPEG_LOSSLESS_SV1, IMPLICIT), (JPEG_LOSSLESS_SV1,), JPEG_LOSSLESS_SV1)],
)
def test_a_peer_that_cannot_take_what_is_stored_gets_it_converted(
    archive: Archive, sender: Sender, syntaxes: tuple[str, ...], preferred: tuple[str, ...], expected: str
) -> None:
    uid = store(archive, 1, EXPLICIT)
    with Destination(syntaxes=syntaxes).running(archive, transfer_syntax_uids=preferred) as there:
        wish(archive)
        perform(sender)
        assert there.written_in == {uid: expected}


def test_a_peer_that_is_out_of_resources_gets_the_instance_later(archive: Archive, sender: Sender) -> None:
    uids = [store(archive, number) for number in (1, 2)]
    full = True

    def receive(event: evt.Event) -> int:
        return 0xA700 if full and event.request.AffectedSOPInstanceUID == uids[0] else 0

    with Destination(receive).running(archive) as there:
        job = wish(archive)
        perform(sender)
        told = now(archive, job)
        assert (told.state, counts(told), told.attempts) == (SendState.WAITING, (2, 1, 0, 0), 1)
        assert told.last_error == "the peer answers A700"
        assert told.next_attempt_at is not None
        assert told.next_attempt_at > datetime.now(UTC)
        full = False
        archive.index.send_jobs.retry(job.job_id, datetime.now(UTC))
        perform(sender)
        assert there.got == [*uids, uids[0]]
        assert now(archive, job).state is SendState.DONE


def test_a_peer_that_is_away_gets_all_of_it_when_it_is_back(
    archive: Archive, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.dimse.retrieving.courier._PAUSES_S", (0.01,))
    monkeypatch.setattr("pacs.jobs.sending.run._FIRST_PAUSE_S", 0.2)
    monkeypatch.setattr("pacs.jobs.sending.sender._FIRST_REST_S", 0.2)
    uids = [store(archive, number) for number in (1, 2)]
    archive.index.peers.put(KnownPeer("DEST", HOST, 1))
    job = wish(archive)
    perform(sender)
    told = now(archive, job)
    assert (told.state, told.attempts) == (SendState.WAITING, 1)
    assert "cannot be reached" in (told.last_error or "")
    archive.index.send_jobs.retry(job.job_id, datetime.now(UTC))
    assert perform(sender) == 0  # the peer is left alone for a while
    with Destination().running(archive) as there:
        eventually(lambda: perform(sender) == 0 and now(archive, job).state is SendState.DONE)
        assert there.got == uids


def test_an_association_that_is_lost_again_and_again_does_not_lose_the_others(
    archive: Archive, sender: Sender
) -> None:
    uids = [store(archive, number) for number in (1, 2, 3)]

    def receive(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == uids[1]:
            event.assoc.abort()
        return 0

    with Destination(receive).running(archive) as there:
        job = wish(archive)
        perform(sender)
        assert {uids[0], uids[2]} <= set(there.got)
        told = now(archive, job)
        assert (told.state, told.sent) == (SendState.WAITING, 2)
        assert "is lost" in (told.last_error or "")


def test_a_job_that_is_tried_in_vain_for_a_week_is_given_up(
    archive: Archive, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.dimse.retrieving.courier._PAUSES_S", ())
    store(archive, 1)
    archive.index.peers.put(KnownPeer("DEST", HOST, 1))
    long_ago = datetime.now(UTC) - timedelta(days=8)
    job = archive.index.send_jobs.wish(SendWish(STUDY_UID, "DEST", "test"), long_ago)
    perform(sender)
    assert now(archive, job).state is SendState.FAILED


def test_what_a_worker_had_sent_before_it_was_killed_is_not_sent_again(archive: Archive) -> None:
    uids = [store(archive, number) for number in range(1, 6)]
    dead, alive = Sender(archive), Sender(archive)
    stalled, go_on = threading.Event(), threading.Event()

    def receive(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == uids[3] and not stalled.is_set():
            stalled.set()
            go_on.wait(20)
        time.sleep(0.1)
        return 0

    with Destination(receive).running(archive) as there:
        job = wish(archive)
        dead.begin_due()
        assert stalled.wait(20)
        taken_over(archive, job)
        perform(alive)
        assert sorted(there.got) == sorted(uids)
        assert now(archive, job).state is SendState.DONE
        go_on.set()
        dead.wait()
        assert sorted(there.got) == sorted([*uids, uids[3]])  # the one that was not answered
        assert now(archive, job).state is SendState.DONE
        assert counts(now(archive, job)) == (5, 5, 0, 0)
    dead.end()
    alive.end()


def taken_over(archive: Archive, job: SendJob) -> None:
    """End the lease of a job, whose worker is thought dead."""
    mine = now(archive, job)
    archive.index.send_work.renew([mine], datetime.now(UTC) - timedelta(seconds=1))


def test_a_job_is_paused_resumed_and_cancelled_while_it_is_done(
    archive: Archive, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.jobs.sending.sender._RENEW_EVERY_S", 0.0)
    uids = [store(archive, number) for number in range(1, 6)]
    with Destination(lambda _: time.sleep(0.1) or 0).running(archive) as there:
        job = wish(archive)
        steer = archive.index.send_jobs
        sender.begin_due()
        eventually(lambda: now(archive, job).sent > 0)
        assert steer.pause(job.job_id).state is SendState.PAUSED
        eventually(lambda: sender.begin_due() == 0)
        assert 0 < len(there.got) < 5
        steer.resume(job.job_id, datetime.now(UTC))
        sender.begin_due()
        eventually(lambda: now(archive, job).state is SendState.SENDING)
        assert steer.cancel(job.job_id).state is SendState.CANCELLED
        eventually(lambda: sender.begin_due() == 0)
        assert now(archive, job).state is SendState.CANCELLED
        steer.retry(job.job_id, datetime.now(UTC))
        perform(sender)
        assert set(there.got) == set(uids)
        assert steer.cancel(job.job_id).state is SendState.DONE


def test_a_worker_that_ends_gives_back_what_it_was_doing(archive: Archive) -> None:
    uids = [store(archive, number) for number in range(1, 6)]
    first, second = Sender(archive), Sender(archive)
    with Destination(lambda _: time.sleep(0.1) or 0).running(archive) as there:
        job = wish(archive)
        first.begin_due()
        eventually(lambda: len(there.got) > 0)
        first.end()
        told = now(archive, job)
        assert (told.state, told.attempts) == (SendState.WAITING, 0)
        perform(second)
        assert there.got == uids
    second.end()


def test_a_peer_gets_so_many_studies_at_a_time(archive: Archive, sender: Sender) -> None:
    studies = [generate_uid() for _ in range(4)]
    for uid in studies:
        store(archive, 1, StudyInstanceUID=uid, SeriesInstanceUID=generate_uid())
    busy = Counter()
    with Destination(busy).running(archive, send_at_a_time=2):
        send_studies(archive, studies, "DEST", origin="test")
        assert sender.begin_due() == 2
        eventually(lambda: sender.begin_due() == 0)
    assert busy.most == 2


class Counter:
    """Counts how many are inside at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0

    def __call__(self, _: evt.Event) -> int:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        time.sleep(0.1)
        with self._lock:
            self._inside -= 1
        return 0


def test_the_urgent_goes_first(archive: Archive, sender: Sender) -> None:
    uids = []
    with Destination().running(archive) as there:
        for priority in (-1, 0, 5):
            study = generate_uid()
            uids.append(store(archive, 1, StudyInstanceUID=study, SeriesInstanceUID=generate_uid()))
            send_studies(archive, [study], "DEST", origin="test", priority=priority)
        eventually(lambda: perform(sender) == 0)
        assert there.got == uids[::-1]


def test_nothing_is_sent_outside_the_hours_of_a_peer(archive: Archive, sender: Sender) -> None:
    uid = store(archive, 1)
    soon = datetime.now() + timedelta(hours=2)
    closed = f"{soon:%H}:00-{soon + timedelta(hours=1):%H}:00"
    with Destination().running(archive, send_hours=closed) as there:
        wish(archive)
        assert perform(sender) == 0
        peer = archive.index.peers.find("DEST")
        archive.index.peers.put(KnownPeer("DEST", HOST, peer.port, send_hours="00:00-24:00"))
        perform(sender)
        assert there.got == [uid]


def test_a_limit_of_bytes_is_kept(archive: Archive, sender: Sender) -> None:
    store(archive, 1, PixelData=bytes(512 * 512 * 2), Rows=512, Columns=512)
    with Destination().running(archive, send_bytes_per_s=512 * 1024) as there:
        job = wish(archive)
        begin = time.monotonic()
        perform(sender)
        assert time.monotonic() - begin > 0.7
        assert len(there.got) == 1
        assert now(archive, job).state is SendState.DONE


def test_a_peer_of_tls_is_sent_to_over_tls(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "hospital")
    ours, theirs = (authority.issue(name) for name in ("pacs", "ws"))
    settings = {
        "FILMLESS_DICOM_TLS_CERTIFICATE": str(ours.certificate),
        "FILMLESS_DICOM_TLS_KEY": str(ours.key),
        "FILMLESS_DICOM_TLS_AUTHORITIES": str(ours.authorities),
    }
    with fresh_archive("sqlite-folder", tmp_path, settings) as archive:
        uid = store(archive, 1)
        sender = Sender(archive)
        with Destination().running(archive, tls=acceptor_context(theirs), use_tls=True) as there:
            wish(archive)
            perform(sender)
            assert there.got == [uid]
        sender.end()


def test_what_cannot_be_sent_is_not_wished_for(archive: Archive) -> None:
    store(archive, 1)
    with pytest.raises(NotFound, match="DEST"):
        wish(archive)
    archive.index.peers.put(KnownPeer("DEST"))
    with pytest.raises(InvalidRequest, match="no host"):
        wish(archive)
    archive.index.peers.put(KnownPeer("DEST", HOST, 104))
    with pytest.raises(NotFound, match=r"1\.2\.3"):
        send_studies(archive, [STUDY_UID, "1.2.3"], "DEST", origin="test")
    with pytest.raises(InvalidRequest, match="priority"):
        wish(archive, priority=10)
    assert archive.index.send_jobs.list_jobs() == []


def test_a_peer_that_was_removed_is_waited_for(archive: Archive, sender: Sender) -> None:
    store(archive, 1)
    archive.index.peers.put(KnownPeer("DEST", HOST, 104))
    job = wish(archive)
    archive.index.peers.remove("DEST")
    perform(sender)
    told = now(archive, job)
    assert (told.state, told.last_error) == (SendState.WAITING, "there is no peer DEST")


def test_instances_that_came_from_the_peer_are_spared_where_that_is_wished(
    archive: Archive, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = store(archive, 1)
    store_from(archive, "DEST", 2)
    with Destination().running(archive) as there:
        wished = SendWish(STUDY_UID, "DEST", "test", spares_sender=True)
        job = archive.index.send_jobs.wish(wished, datetime.now(UTC))
        perform(sender)
        assert there.got == [ours]
        assert now(archive, job).state is SendState.DONE


def store_from(archive: Archive, ae_title: str, number: int) -> str:
    """Store as if a peer had sent it."""
    from pacs.ingest import Origin, open_part10, store_instance
    from tests.datasets import encode_file, make_dataset

    dataset = make_dataset(
        StudyInstanceUID=STUDY_UID, SOPClassUID=CTImageStorage, InstanceNumber=number, PatientID="BN0001"
    )
    incoming = open_part10([encode_file(dataset)])
    return store_instance(archive, incoming, Origin("dimse", ae_title)).sop_instance_uid


def test_an_error_that_nobody_has_thought_of_does_not_come_back_at_once(
    archive: Archive, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("NGUYỄN^VĂN ĐỨC")

    store(archive, 1)
    with Destination().running(archive) as there:
        job = wish(archive)
        with monkeypatch.context() as broken:
            broken.setattr("pacs.jobs.sending.run.may_pass", fail)
            perform(sender)
        told = now(archive, job)
        assert (told.state, told.attempts, told.last_error) == (SendState.WAITING, 1, "ZeroDivisionError")
        assert perform(sender) == 0
        archive.index.send_jobs.retry(job.job_id, datetime.now(UTC))
        perform(sender)
        assert len(there.got) == 2  # of the first nobody knew that it was answered
        assert now(archive, job).state is SendState.DONE


def test_the_list_of_what_was_sent_is_dropped_after_a_while_and_nothing_is_sent_again(
    archive: Archive, sender: Sender
) -> None:
    first = store(archive, 1)
    with Destination().running(archive) as there:
        job = wish(archive)
        perform(sender)
        archive.index.send_work.forget(datetime.now(UTC) + timedelta(days=1))
        assert now(archive, job).sent_before is not None
        second = store(archive, 2)
        wish(archive)
        perform(sender)
        assert there.got == [first, second]
        assert counts(now(archive, job)) == (2, 2, 0, 0)


def test_jobs_outlive_the_index_that_is_made_anew(archive: Archive) -> None:
    store(archive, 1)
    archive.index.peers.put(KnownPeer("DEST", HOST, 104))
    job = wish(archive)
    archive.index.clear()
    assert archive.index.send_jobs.list_jobs() == [job]


def test_jobs_are_listed_by_what_is_asked(archive: Archive) -> None:
    studies = [generate_uid() for _ in range(3)]
    for uid in studies:
        store(archive, 1, StudyInstanceUID=uid, SeriesInstanceUID=generate_uid())
    for title in ("A", "B"):
        archive.index.peers.put(KnownPeer(title, HOST, 104))
        send_studies(archive, studies, title, origin="test")
    jobs = archive.index.send_jobs
    listed: Callable[..., list[int]] = lambda **of: [job.job_id for job in jobs.list_jobs(**of)]  # noqa: E731
    everything = listed()
    assert everything == sorted(everything, reverse=True)
    assert len(listed(ae_title="A")) == 3
    assert len(listed(study_instance_uid=studies[0])) == 2
    assert listed(states=[SendState.PAUSED]) == []
    jobs.pause(everything[0])
    assert listed(states=[SendState.PAUSED]) == everything[:1]
    assert listed(limit=2) == everything[:2]
    assert listed(before=everything[1], limit=2) == everything[2:4]
    with pytest.raises(NotFound):
        jobs.find(10**9)
