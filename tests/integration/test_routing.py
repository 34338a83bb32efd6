"""Routes are followed once for all that comes, whoever dies, and lead nothing back to where it came from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.errors import InvalidRequest, NotFound
from pacs.index.known_peers import KnownPeer
from pacs.index.known_routes import KnownRoute
from pacs.index.send_jobs import SendJob, SendState
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.jobs.routing import follow_routes
from pacs.jobs.sending.sender import Sender
from pacs.orders import place_order
from tests.datasets import encode_file, make_dataset
from tests.integration.rebuilding import rebuilt
from tests.integration.retrieval_peers import HOST, Destination
from tests.made_orders import ORDER, STEP

CT_TO_DEST = KnownRoute("ct", "DEST", modalities=("CT",), quiet_s=0)
ORDER_OF_DUC = replace(
    ORDER, patient_id="BN*", issuer_of_patient_id=None, patient_name="Nguyen Van Duc",
    patient_birth_date="19700102", patient_sex="M",
)  # fmt: skip


def come(archive: Archive, study: str | None = None, sender: str = "CT1", **attributes: object) -> Dataset:
    """Have an instance stored."""
    dataset = make_dataset(**({"StudyInstanceUID": study} if study else {}), **attributes)
    door = str(attributes.pop("door", "dimse"))
    store_instance(archive, open_part10([encode_file(dataset)]), Origin(door, sender))
    return dataset


def add(archive: Archive, *routes: KnownRoute) -> None:
    for route in routes:
        archive.index.routes.add(route, datetime.now(UTC))


def follow(archive: Archive) -> None:
    while follow_routes(archive):
        pass


def jobs(archive: Archive) -> list[SendJob]:
    return archive.index.send_jobs.list_jobs()[::-1]


def led(archive: Archive) -> list[tuple[str, str]]:
    return [(job.study_instance_uid, job.ae_title) for job in jobs(archive)]


def test_routes_are_kept_as_they_were_given(archive: Archive) -> None:
    lists = (("CT", "MR"), ("CT1",), ("ST*",), ("CHEST",), ("BV A, B",))
    full = KnownRoute("full", "DEST", *lists, "22:00-05:00", 30, 5, 7, fetches=True)
    routes = archive.index.routes
    add(archive, full, CT_TO_DEST)
    assert [replace(one, created_at=None) for one in routes.list_all()] == [CT_TO_DEST, full]
    with pytest.raises(InvalidRequest, match="full"):
        add(archive, full)
    assert not routes.put(replace(full, quiet_s=31), datetime.now(UTC))
    assert routes.find("full").quiet_s == 31
    routes.remove("full")
    for lost in (routes.find, routes.remove):
        with pytest.raises(NotFound, match="full"):
            lost("full")


def test_what_comes_after_a_route_was_added_is_led_and_what_was_there_is_not(archive: Archive) -> None:
    come(archive)
    add(archive, CT_TO_DEST)
    ours = come(archive)
    come(archive, Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    follow(archive)
    assert led(archive) == [(ours.StudyInstanceUID, "DEST")]
    (job,) = jobs(archive)
    assert (job.state, job.origin, job.spares_sender) == (SendState.WAITING, "route ct", True)
    follow(archive)
    assert jobs(archive) == [job]
    archive.index.routes.remove("ct")
    come(archive)
    add(archive, CT_TO_DEST)
    follow(archive)
    assert jobs(archive) == [job]  # what came while there was no route is nobody's business


def test_what_was_sealed_meanwhile_is_followed_as_well(archive: Archive) -> None:
    add(archive, CT_TO_DEST)
    first = come(archive)
    seal_ledger(archive)
    second = come(archive)
    follow(archive)
    assert led(archive) == [(first.StudyInstanceUID, "DEST"), (second.StudyInstanceUID, "DEST")]


def test_nothing_is_led_back_to_its_sender_and_imports_are_not_led_at_all(archive: Archive) -> None:
    add(archive, replace(CT_TO_DEST, modalities=()))
    study = generate_uid()
    come(archive, study, sender="DEST")
    dataset = make_dataset()
    store_instance(archive, open_part10([encode_file(dataset)]), Origin("import"))
    follow(archive)
    assert jobs(archive) == []
    mixed = come(archive, study)
    with Destination().running(archive) as there:
        follow(archive)
        perform(archive)
        assert there.got == [mixed.SOPInstanceUID]


def perform(archive: Archive) -> None:
    sender = Sender(archive)
    sender.begin_due()
    sender.wait()
    sender.end()


def test_two_routes_to_a_peer_make_one_job_that_is_as_urgent_and_as_late_as_they_say(
    archive: Archive,
) -> None:
    add(archive, replace(CT_TO_DEST, quiet_s=600), replace(CT_TO_DEST, name="urgent", priority=3))
    add(archive, replace(CT_TO_DEST, name="other", ae_title="OTHER"))
    study = generate_uid()
    begin = datetime.now(UTC)
    come(archive, study)
    come(archive, study)
    follow(archive)
    assert led(archive) == [(study, "DEST"), (study, "OTHER")]
    job = jobs(archive)[0]
    assert (job.priority, job.origin) == (3, "route urgent")
    assert job.next_attempt_at is not None
    assert job.next_attempt_at - begin > timedelta(seconds=599)


def test_a_study_that_still_grows_is_waited_for(archive: Archive) -> None:
    add(archive, replace(CT_TO_DEST, quiet_s=100))
    study = generate_uid()
    come(archive, study)
    follow(archive)
    first = jobs(archive)[0].next_attempt_at
    come(archive, study)
    follow(archive)
    second = jobs(archive)[0].next_attempt_at
    assert first is not None
    assert second is not None
    assert second > first
    perform(archive)
    assert jobs(archive)[0].state is SendState.WAITING


def test_what_comes_when_a_job_is_done_makes_it_go_on(archive: Archive) -> None:
    study = generate_uid()
    add(archive, CT_TO_DEST)
    with Destination().running(archive) as there:
        uids = []
        for _ in range(3):
            uids.append(come(archive, study).SOPInstanceUID)
            follow(archive)
            perform(archive)
        assert there.got == uids
        (job,) = jobs(archive)
        assert (job.state, job.sent) == (SendState.DONE, 3)


def test_what_a_person_has_paused_or_cancelled_stays_so(archive: Archive) -> None:
    archive.index.peers.add(KnownPeer("DEST", HOST, 104))
    add(archive, CT_TO_DEST)
    studies = [generate_uid() for _ in range(2)]
    for study in studies:
        come(archive, study)
    follow(archive)
    paused, cancelled = jobs(archive)
    archive.index.send_jobs.pause(paused.job_id)
    archive.index.send_jobs.cancel(cancelled.job_id)
    for study in studies:
        come(archive, study)
    follow(archive)
    assert [job.state for job in jobs(archive)] == [SendState.PAUSED, SendState.CANCELLED]


def test_a_worker_that_dies_before_its_decision_is_written_leaves_it_to_the_next(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(archive, CT_TO_DEST)
    ours = come(archive)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("pacs.index.known_routes.wake", die)
        with pytest.raises(KeyboardInterrupt):
            follow_routes(archive)
    assert jobs(archive) == []
    follow(archive)
    assert led(archive) == [(ours.StudyInstanceUID, "DEST")]


def test_previous_studies_are_sent_when_an_examination_is_ordered(archive: Archive) -> None:
    def study(day: int, **attributes: object) -> str:
        made = come(archive, PatientID="BN*", StudyDate=f"202601{day:02}", **attributes)
        return str(made.StudyInstanceUID)

    oldest, middle, newest = (study(day) for day in (1, 2, 3))
    study(4, IssuerOfPatientID="OTHER")
    come(archive, PatientID="BN1")
    add(archive, KnownRoute("priors", "WS1", modalities=("CT",), quiet_s=0, priors=2))
    order = replace(ORDER_OF_DUC, issuer_of_patient_id="OURS")
    place_order(archive, replace(order, steps=(replace(STEP, modality="US"),)))
    follow(archive)
    assert jobs(archive) == []
    steps = (replace(STEP, modality="CT"),)
    place_order(archive, replace(order, accession_number="A2", requested_procedure_id="", steps=steps))
    follow(archive)
    assert {uid for uid, _ in led(archive)} == {middle, newest}
    assert oldest not in {uid for uid, _ in led(archive)}
    assert {(job.ae_title, job.origin) for job in jobs(archive)} == {("WS1", "route priors")}
    come(archive, PatientID="BN*")  # a route for orders leads nothing that comes
    follow(archive)
    assert len(jobs(archive)) == 2


def test_studies_of_another_person_under_the_patient_id_are_not_sent_and_take_nobodys_place(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does the order's own study, which may be here already."""
    previous = str(come(archive, PatientID="BN*", StudyDate="20260101").StudyInstanceUID)
    others = ({"PatientName": "TRẦN^THỊ BÌNH"}, {"PatientBirthDate": "19990909"}, {"PatientSex": "F"})
    for other in others:
        come(archive, PatientID="BN*", StudyDate="20260301", **other)
    own = str(come(archive, PatientID="BN*", StudyDate="20260401").StudyInstanceUID)
    add(archive, KnownRoute("priors", "WS1", quiet_s=0, priors=1))
    place_order(archive, replace(ORDER_OF_DUC, study_instance_uid=own))
    follow(archive)
    assert led(archive) == [(previous, "WS1")]
    assert caplog.text.count("contradicts the order of its Patient ID") == len(others)
    assert "BN*" not in caplog.text


def test_of_two_workers_that_look_at_once_one_decides(archive: Archive) -> None:
    routes = archive.index.routes
    add(archive, CT_TO_DEST)
    begin = routes.cursor()
    assert routes.advance(begin, begin + 5, [], datetime.now(UTC))
    assert not routes.advance(begin, begin + 5, [], datetime.now(UTC))
    assert routes.cursor() == begin + 5


def test_an_index_that_is_made_again_leads_nothing_a_second_time(archive: Archive) -> None:
    add(archive, CT_TO_DEST)
    ours = come(archive)
    follow(archive)
    seal_ledger(archive)
    (job,) = jobs(archive)
    archive.index.clear()
    rebuilt(archive)
    follow(archive)
    assert jobs(archive) == [job]
    later = come(archive)
    follow(archive)
    assert led(archive) == [(ours.StudyInstanceUID, "DEST"), (later.StudyInstanceUID, "DEST")]
