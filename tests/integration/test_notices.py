"""Peers are told that studies are here, and what modalities said: in order, once, whoever is away or dies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom.sop_class import InstanceAvailabilityNotification, ModalityPerformedProcedureStep

from pacs.archive import Archive
from pacs.delete import delete_instances
from pacs.index.known_peers import KnownPeer
from pacs.index.notices import Notice, NoticeKind
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.jobs.notices import messages, telling
from pacs.jobs.notices.finding import find_notices
from pacs.jobs.notices.telling import Teller
from pacs.performed_steps import Said, create_step, set_step
from tests.datasets import encode, encode_file, make_dataset
from tests.integration.notice_peers import HOST, NATIVE, Hearer
from tests.integration.performed_steps import begun, ended, item, scheduled
from tests.unit.pacs.dimse.wire import EXPLICIT, IMPLICIT


@pytest.fixture(autouse=True)
def _at_once(archive: Archive) -> None:
    object.__setattr__(archive.settings, "notify_after_s", 0.0)


@pytest.fixture
def teller(archive: Archive) -> Iterator[Teller]:
    with Teller(archive, Event()) as one:
        yield one


def know(archive: Archive, port: int, ae_title: str = "RIS", **wants: bool) -> KnownPeer:
    wants = wants or {"wants_availability": True, "wants_performed_steps": True}
    peer = KnownPeer(ae_title, HOST, port, **wants)  # type: ignore[arg-type]
    archive.index.peers.put(peer)
    return peer


def come(archive: Archive, study: str | None = None, door: str = "dimse", **attributes: Any) -> Dataset:
    dataset = make_dataset(**({"StudyInstanceUID": study} if study else {}), **attributes)
    store_instance(archive, open_part10([encode_file(dataset)]), Origin(door, "CT1"))
    return dataset


def say(archive: Archive, uid: str, dataset: Dataset, syntax: str = EXPLICIT, sender: str = "CT1") -> bytes:
    data = encode(dataset, syntax)
    first = archive.index.performed_steps.find(uid) is None
    (create_step if first else set_step)(archive, Said(uid, syntax, data, sender))
    return data


def find(archive: Archive) -> None:
    while find_notices(archive):
        pass


def untold(archive: Archive) -> list[Notice]:
    return archive.index.notices.list_untold()


def make_due(archive: Archive, ae_title: str = "RIS") -> None:
    archive.index.notices.retry(ae_title, datetime.now(UTC) - timedelta(seconds=1))


def references(told: Dataset) -> dict[str, list[tuple[str, str, str, str]]]:
    return {
        one.SeriesInstanceUID: [
            (
                ref.ReferencedSOPClassUID, ref.ReferencedSOPInstanceUID, ref.InstanceAvailability,
                ref.RetrieveAETitle,
            )
            for ref in one.ReferencedSOPSequence
        ]
        for one in told.ReferencedSeriesSequence
    }  # fmt: skip


def test_a_peer_is_told_of_a_study_and_again_when_it_grew(archive: Archive, teller: Teller) -> None:
    hearer = Hearer()
    with hearer.listening() as port:
        know(archive, port, wants_availability=True)
        first = come(archive)
        step = generate_uid()
        say(archive, step, begun(scheduled(StudyInstanceUID=first.StudyInstanceUID)))
        find(archive)
        teller.tell_peer("RIS")
        second = come(archive, first.StudyInstanceUID)
        find(archive)
        teller.tell_peer("RIS")
        teller.tell_peer("RIS")
    assert [one.sop_class_uid for one in hearer.heard] == [InstanceAvailabilityNotification] * 2
    small, grown = (one.dataset for one in hearer.heard)
    assert len({one.uid for one in hearer.heard}) == 2
    assert small.StudyInstanceUID == grown.StudyInstanceUID == first.StudyInstanceUID
    available = [
        (one.SOPClassUID, one.SOPInstanceUID, "ONLINE", archive.settings.ae_title) for one in (first, second)
    ]
    assert references(small) == {first.SeriesInstanceUID: available[:1]}
    assert references(grown) == {
        first.SeriesInstanceUID: available[:1], second.SeriesInstanceUID: available[1:]
    }  # fmt: skip
    (of,) = small.ReferencedPerformedProcedureStepSequence
    assert of.ReferencedSOPClassUID == ModalityPerformedProcedureStep
    assert of.ReferencedSOPInstanceUID == step
    assert "PerformedWorkitemCodeSequence" in of
    assert {element.keyword for element in small} == {
        "ReferencedPerformedProcedureStepSequence", "ReferencedSeriesSequence", "StudyInstanceUID"
    }  # fmt: skip
    assert untold(archive) == []


def test_a_study_is_told_when_it_is_quiet(archive: Archive) -> None:
    object.__setattr__(archive.settings, "notify_after_s", 60.0)
    know(archive, 104)
    study = come(archive).StudyInstanceUID
    find(archive)
    (early,) = untold(archive)
    come(archive, study)
    find(archive)
    (late,) = untold(archive)
    assert early.next_attempt_at is not None and late.next_attempt_at is not None
    assert late.next_attempt_at > early.next_attempt_at > datetime.now(UTC) + timedelta(seconds=50)


def test_what_is_imported_or_was_there_before_is_no_news(archive: Archive) -> None:
    come(archive)
    know(archive, 104)
    come(archive, door="import")
    find(archive)
    assert untold(archive) == []


def test_a_long_study_is_told_in_parts_and_goes_on_where_it_was(
    archive: Archive, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_MOST_REFERENCES", 2)
    hearer = Hearer()
    hearer.answer = lambda _: 0x0213 if len(hearer.heard) == 2 else 0  # once: no resources
    with hearer.listening() as port:
        know(archive, port)
        study = generate_uid()
        stored = [come(archive, study) for _ in range(5)]
        find(archive)
        teller.tell_peer("RIS")
        assert untold(archive)[0].last_error == "the peer answered 0213"
        make_due(archive)
        teller.tell_peer("RIS")
    uids = [one.uid for one in hearer.heard]
    assert len(uids) == 4 and uids[1] == uids[2] and len(set(uids)) == 3
    parts = [references(one.dataset) for one in hearer.heard]
    assert parts[1] == parts[2]
    told = {one[1] for part in parts for series in part.values() for one in series}
    assert told == {one.SOPInstanceUID for one in stored}
    assert [sum(map(len, part.values())) for part in parts] == [2, 2, 2, 1]
    assert untold(archive) == []


def test_messages_of_a_step_are_passed_on_as_they_came_in_their_order(
    archive: Archive, teller: Teller
) -> None:
    hearer = Hearer()
    with hearer.listening() as port:
        know(archive, port)
        said, uids = [], [generate_uid(), generate_uid()]
        for uid, syntax in zip(uids, (EXPLICIT, IMPLICIT), strict=True):
            said.append(say(archive, uid, begun(PatientName="NGUYỄN^VĂN ĐỨC"), syntax))
            said.append(say(archive, uid, item(PerformedProcedureStepDescription="một"), syntax))
            said.append(say(archive, uid, ended(), syntax))
        find(archive)
        teller.tell_peer("RIS")
    assert hearer.told() == [(what, uid) for uid in uids for what in ("N-CREATE", "N-SET", "N-SET")]
    assert [one.data for one in hearer.heard] == said
    assert {one.sop_class_uid for one in hearer.heard} == {ModalityPerformedProcedureStep}
    assert untold(archive) == []


def test_a_peer_that_reads_another_encoding_gets_the_message_in_it(archive: Archive, teller: Teller) -> None:
    hearer = Hearer(syntaxes=[IMPLICIT])
    with hearer.listening() as port:
        know(archive, port)
        say(archive, generate_uid(), begun(PatientName="NGUYỄN^VĂN ĐỨC"))
        find(archive)
        teller.tell_peer("RIS")
    (one,) = hearer.heard
    assert one.syntax == IMPLICIT
    assert one.dataset.PatientName == "NGUYỄN^VĂN ĐỨC"


def test_who_begins_to_want_steps_gets_those_that_go_on_whole_and_nobody_gets_his_own(
    archive: Archive, teller: Teller
) -> None:
    uid = generate_uid()
    say(archive, uid, begun())
    hearer = Hearer()
    with hearer.listening() as port:
        know(archive, port)
        know(archive, port, "CT1")
        say(archive, uid, ended())
        find(archive)
        assert {one.ae_title for one in untold(archive)} == {"RIS"}
        teller.tell_peer("RIS")
    assert hearer.told() == [("N-CREATE", uid), ("N-SET", uid)]


def test_an_n_set_waits_for_its_n_create_and_no_step_for_another(archive: Archive, teller: Teller) -> None:
    first, second = generate_uid(), generate_uid()
    hearer = Hearer(answer=lambda one: 0x0110 if one.uid == first else 0)
    with hearer.listening() as port:
        know(archive, port)
        for uid in (first, second):
            say(archive, uid, begun())
            say(archive, uid, ended())
        find(archive)
        teller.tell_peer("RIS")
        assert hearer.told() == [("N-CREATE", first), ("N-CREATE", second), ("N-SET", second)]
        hearer.answer = lambda _: 0
        make_due(archive)
        teller.tell_peer("RIS")
    assert hearer.told()[3:] == [("N-CREATE", first), ("N-SET", first)]
    assert untold(archive) == []


def test_what_is_refused_for_good_is_listed_and_in_nobodys_way(archive: Archive, teller: Teller) -> None:
    refused, other = generate_uid(), generate_uid()
    hearer = Hearer(answer=lambda one: 0x0106 if one.uid == refused else 0)
    with hearer.listening() as port:
        know(archive, port)
        say(archive, refused, begun())
        say(archive, refused, ended())
        say(archive, other, begun())
        find(archive)
        teller.tell_peer("RIS")
        teller.tell_peer("RIS")
        assert hearer.told() == [("N-CREATE", refused), ("N-CREATE", other)]
        creation, waits = untold(archive)
        assert creation.is_refused and creation.last_error == "the peer answered 0106"
        assert not waits.is_refused and waits.number == 2
        assert creation.is_in_the_way_of(waits) and not waits.is_in_the_way_of(creation)
        assert archive.index.notices.list_untold("RIS", refused_only=True) == [creation]
        hearer.answer = lambda _: 0
        assert archive.index.notices.retry("RIS", datetime.now(UTC)) == 2
        teller.tell_peer("RIS")
    assert hearer.told()[2:] == [("N-CREATE", refused), ("N-SET", refused)]


def test_an_n_set_that_is_refused_is_not_in_the_way_of_the_next(archive: Archive, teller: Teller) -> None:
    uid = generate_uid()
    hearer = Hearer()
    hearer.answer = lambda _: 0x0106 if len(hearer.heard) == 2 else 0
    with hearer.listening() as port:
        know(archive, port)
        for dataset in (begun(), item(PerformedProcedureStepDescription="x"), ended()):
            say(archive, uid, dataset)
        find(archive)
        teller.tell_peer("RIS")
    assert [one.what for one in hearer.heard] == ["N-CREATE", "N-SET", "N-SET"]
    assert [one.number for one in untold(archive)] == [2]


def test_a_peer_that_is_away_is_told_when_it_is_there_again(archive: Archive, teller: Teller) -> None:
    hearer = Hearer()
    with hearer.listening() as port:
        pass
    know(archive, port)
    uid = generate_uid()
    say(archive, uid, begun())
    come(archive)
    find(archive)
    teller.tell_peer("RIS")
    waiting = untold(archive)
    assert [one.attempts for one in waiting] == [1, 1]
    for one in waiting:  # one attempt in vain is enough for both
        assert one.next_attempt_at is not None and one.next_attempt_at > datetime.now(UTC) + timedelta(
            seconds=2
        )
    make_due(archive)
    with hearer.listening(port):
        teller.tell_peer("RIS")
    assert [one.what for one in hearer.heard] == ["N-CREATE", "N-CREATE"]
    assert untold(archive) == []


def test_a_peer_that_is_away_for_a_week_is_given_up(
    archive: Archive, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_GIVEN_UP_AFTER", timedelta(0))
    know(archive, 1)
    say(archive, generate_uid(), begun())
    find(archive)
    teller.tell_peer("RIS")
    assert [one.is_refused for one in untold(archive)] == [True]


def test_a_peer_without_one_of_the_services_gets_the_other(archive: Archive, teller: Teller) -> None:
    hearer = Hearer(classes=[InstanceAvailabilityNotification])
    with hearer.listening() as port:
        know(archive, port)
        say(archive, generate_uid(), begun())
        say(archive, generate_uid(), begun())
        come(archive)
        find(archive)
        teller.tell_peer("RIS")
    assert [one.sop_class_uid for one in hearer.heard] == [InstanceAvailabilityNotification]
    assert {one.kind for one in untold(archive)} == {NoticeKind.PERFORMED}


def test_what_a_dead_worker_may_have_told_goes_under_the_same_uid_and_is_not_refused(
    archive: Archive, teller: Teller
) -> None:
    """The answers are those of a peer that has heard it before."""
    uid = generate_uid()
    ended_before = Dataset()
    ended_before.Status, ended_before.ErrorID = 0x0110, 0xA506
    answers = {"N-CREATE": 0x0111, "N-SET": ended_before}
    hearer = Hearer(answer=lambda one: answers[one.what])  # type: ignore[return-value]
    with hearer.listening() as port:
        know(archive, port)
        say(archive, uid, begun())
        say(archive, uid, ended())
        come(archive)
        find(archive)
        work = archive.index.notice_work
        for _ in range(3):
            dead = work.claim("RIS", datetime.now(UTC), timedelta(0))
            assert dead is not None
            if dead.number == 1:
                work.mark_told(dead, datetime.now(UTC))
        teller.tell_peer("RIS")
    assert {one.what for one in hearer.heard} == {"N-CREATE", "N-SET"}
    assert untold(archive) == []


def test_what_grows_while_it_is_told_is_told_again(archive: Archive, teller: Teller) -> None:
    study = generate_uid()
    hearer = Hearer()

    def answer(_: object) -> int:
        if len(hearer.heard) == 1:
            come(archive, study)
            find(archive)
        return 0

    hearer.answer = answer
    with hearer.listening() as port:
        know(archive, port)
        come(archive, study)
        find(archive)
        teller.tell_peer("RIS")
        make_due(archive)  # the lease is over
        teller.tell_peer("RIS")
    assert [sum(map(len, references(one.dataset).values())) for one in hearer.heard] == [1, 2]
    assert untold(archive) == []


def test_a_lease_is_prolonged_while_the_peer_thinks(archive: Archive, teller: Teller) -> None:
    know(archive, 104)
    come(archive)
    find(archive)
    work, now = archive.index.notice_work, datetime.now(UTC)
    told = work.claim("RIS", now, timedelta(seconds=1))
    assert told is not None
    work.renew(told, now + timedelta(seconds=60))
    assert work.claim("RIS", now + timedelta(seconds=2), timedelta(0)) is None
    assert work.claim("RIS", now + timedelta(seconds=61), timedelta(0)) is not None
    work.mark_told(told, now)  # too late: somebody else is at it
    assert len(untold(archive)) == 1


def test_what_is_not_wanted_any_more_is_dropped(archive: Archive, teller: Teller) -> None:
    hearer = Hearer()
    with hearer.listening() as port:
        peer = know(archive, port)
        say(archive, generate_uid(), begun())
        find(archive)
        archive.index.peers.put(replace(peer, wants_performed_steps=False))
        teller.tell_peer("RIS")
        assert hearer.heard == [] and untold(archive) == []
        come(archive)
        find(archive)
        archive.index.peers.remove("RIS")
        teller.tell_peer("RIS")
    assert hearer.heard == [] and untold(archive) == []


def test_a_study_that_is_gone_waits_and_holds_up_no_other(archive: Archive, teller: Teller) -> None:
    """It was deleted, or the index is being made anew: that ends."""
    object.__setattr__(archive.settings, "allow_delete", True)
    hearer = Hearer()
    with hearer.listening() as port:
        know(archive, port)
        gone, other = come(archive), come(archive)
        find(archive)
        delete_instances(archive, gone.StudyInstanceUID)
        teller.tell_peer("RIS")
    assert [one.dataset.StudyInstanceUID for one in hearer.heard] == [other.StudyInstanceUID]
    (waits,) = untold(archive)
    assert (waits.subject_uid, waits.is_refused) == (gone.StudyInstanceUID, False)
    assert waits.last_error == "nothing of the study is here"


def test_what_was_sealed_meanwhile_is_told_and_two_who_look_find_it_once(archive: Archive) -> None:
    know(archive, 104)
    come(archive)
    seal_ledger(archive)
    cursor = archive.index.notices.cursor().sequence
    find(archive)
    assert not archive.index.notices.advance(cursor, cursor + 1, [], datetime.now(UTC))
    assert len(untold(archive)) == 1


def test_threads_tell_peers_beside_each_other(archive: Archive, teller: Teller) -> None:
    hearers = [Hearer(), Hearer(ae_title="HIS", syntaxes=NATIVE[:1])]
    with hearers[0].listening() as one, hearers[1].listening() as two:
        know(archive, one)
        know(archive, two, "HIS")
        come(archive)
        find(archive)
        teller.look()
        teller.__exit__()
    assert [len(hearer.heard) for hearer in hearers] == [1, 1]
    teller.look()
