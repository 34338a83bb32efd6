"""What a modality says of its work is kept, checked, and there again after a rebuild (PS3.4 F.7)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid
from pynetdicom.dsutils import encode

from pacs import performed_steps
from pacs.archive import Archive
from pacs.dicom import performed_procedure_step as mpps
from pacs.errors import IndexUnavailable
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.index.performed_steps import PerformedStep, StepFilter
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.ledger.entries import StepMessage
from pacs.performed_steps import Said, read_message, set_step
from tests.integration.dimse_peers import listening
from tests.integration.performed_steps import begun, ended, item, modality, scheduled
from tests.integration.rebuilding import rebuilt

DISCONTINUED_BY_OPERATOR = item(CodeValue="110513", CodingSchemeDesignator="DCM", CodeMeaning="Discontinued")


@pytest.fixture
def port(archive: Archive) -> Iterator[int]:
    with listening(archive) as opened:
        yield opened


def kept(archive: Archive, uid: str) -> PerformedStep:
    found = archive.index.performed_steps.find(uid)
    assert found is not None
    return found


def told(archive: Archive, uid: str) -> Sequence[StepMessage]:
    return archive.index.performed_steps.messages(uid)


def without(dataset: Dataset, keyword: str) -> Dataset:
    delattr(dataset, keyword)
    return dataset


def test_identifiers_longer_than_any_index_takes_refuse_no_step(archive: Archive, port: int) -> None:
    long = "".join(chr(0x20000 + (place * 7919) % 40_000) for place in range(1_000))
    step = scheduled(AccessionNumber=long, RequestedProcedureID=long, ScheduledProcedureStepID=long)
    uid = generate_uid()
    with modality(port) as device:
        assert device.create(begun(step, PatientID=long), uid).Status == 0x0000
        assert device.set(ended(), uid).Status == 0x0000
    assert mpps.text(kept(archive, uid).dataset, mpps.PATIENT_ID) == long


def test_a_step_is_created_goes_on_and_ends(archive: Archive, port: int) -> None:
    uid, study_uid = generate_uid(), generate_uid()
    with modality(port) as device:
        assert device.create(begun(scheduled(StudyInstanceUID=study_uid)), uid).Status == 0x0000
        assert kept(archive, uid).status == mpps.StepStatus.IN_PROGRESS
        assert device.set(item(PerformedProcedureStepDescription="one more"), uid).Status == 0x0000
        assert device.set(ended(), uid).Status == 0x0000
        assert [one.AffectedSOPInstanceUID for one in device.heard] == [uid] * 3
    step = kept(archive, uid)
    assert step.status == mpps.StepStatus.COMPLETED
    assert mpps.text(step.dataset, mpps.PATIENT_NAME) == "NGUYỄN^VĂN ĐỨC"
    assert mpps.text(step.dataset, "00400254") == "one more"
    (series,) = mpps.items(step.dataset, mpps.PERFORMED_SERIES_SEQUENCE)
    assert mpps.text(series, mpps.PROTOCOL_NAME) == "Lồng ngực"
    assert mpps.items(series, "00081140")[0]["00081155"]["Value"] == ["1.2.3.4.5"]
    assert [message.calling_ae_title for message in archive.index.performed_steps.messages(uid)] == ["CT"] * 3
    listed = archive.index.performed_steps.list_steps(StepFilter(study_instance_uid=study_uid), 10)
    assert [one.sop_instance_uid for one in listed] == [uid]


def test_a_step_is_understood_in_every_native_encoding(archive: Archive, port: int) -> None:
    names = {"ISO_IR 192": "Phạm^Thị Ổi", "ISO_IR 100": "Müller^Jürgen"}
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"):
        with modality(port, syntaxes=syntax) as device:
            for character_set, name in names.items():
                uid = generate_uid()
                creation = begun(PatientName=name, SpecificCharacterSet=character_set)
                assert device.create(creation, uid).Status == 0x0000
                assert device.set(ended(), uid).Status == 0x0000
                step = kept(archive, uid)
                assert mpps.text(step.dataset, mpps.PATIENT_NAME) == name
                (series,) = mpps.items(step.dataset, mpps.PERFORMED_SERIES_SEQUENCE)
                assert mpps.text(series, "00081070") == "Trần^Thị Bình"


def test_what_is_discontinued_may_have_no_series_and_tells_its_reason(archive: Archive, port: int) -> None:
    uid = generate_uid()
    ending = item(
        PerformedProcedureStepStatus="DISCONTINUED",
        PerformedProcedureStepDiscontinuationReasonCodeSequence=[DISCONTINUED_BY_OPERATOR],
    )
    with modality(port) as device:
        assert device.create(begun(), uid).Status == 0x0000
        assert device.set(ending, uid).Status == 0x0000
    step = kept(archive, uid)
    assert step.status == mpps.StepStatus.DISCONTINUED
    (reason,) = mpps.items(step.dataset, mpps.DISCONTINUATION_REASON_CODE_SEQUENCE)
    assert mpps.text(reason, "00080100") == "110513"


def test_what_has_ended_may_no_longer_be_updated(archive: Archive, port: int) -> None:
    uid = generate_uid()
    with modality(port) as device:
        device.create(begun(), uid)
        device.set(ended(), uid)
        refused = device.set(ended("DISCONTINUED"), uid)
        assert (refused.Status, refused.ErrorID) == (0x0110, 0xA506)
        assert device.set(item(PerformedProcedureStepDescription="later"), uid).Status == 0x0110
    assert kept(archive, uid).status == mpps.StepStatus.COMPLETED


def test_a_device_that_has_not_heard_the_answer_may_say_the_same_again(archive: Archive, port: int) -> None:
    uid, creation = generate_uid(), begun()
    with modality(port) as device:
        assert device.create(creation, uid).Status == 0x0000
    with modality(port, syntaxes="1.2.840.10008.1.2") as device:
        assert device.create(creation, uid).Status == 0x0000
        assert device.create(begun(PerformedProcedureStepID="PPS2"), uid).Status == 0x0111
        assert device.set(ended(), uid).Status == 0x0000
    with modality(port) as device:
        assert device.set(ended(), uid).Status == 0x0000
        assert device.create(creation, uid).Status == 0x0000
    assert kept(archive, uid).status == mpps.StepStatus.COMPLETED
    assert len(archive.index.performed_steps.messages(uid)) == 2


UNFIT_TO_BEGIN = [
    (begun(PerformedProcedureStepStatus="COMPLETED"), 0x0106),
    (begun(PerformedProcedureStepStatus=""), 0x0121),
    (begun(scheduled(StudyInstanceUID="")), 0x0121),
    (begun(ScheduledStepAttributesSequence=[]), 0x0121),
    (begun(*(scheduled() for _ in range(101))), 0x0106),
    *(
        (without(begun(), keyword), 0x0120)
        for keyword in (
            "ScheduledStepAttributesSequence",
            "PerformedProcedureStepID",
            "PerformedStationAETitle",
            "PerformedProcedureStepStartDate",
            "PerformedProcedureStepStartTime",
            "PerformedProcedureStepStatus",
            "Modality",
        )
    ),
    (begun(PerformedSeriesSequence=[item(ProtocolName="A")]), 0x0120),
    (begun(PerformedSeriesSequence=[item(ProtocolName="", SeriesInstanceUID="1.2")]), 0x0121),
]


def test_a_creation_without_what_it_needs_is_refused(archive: Archive, port: int) -> None:
    uid = generate_uid()
    with modality(port) as device:
        assert [device.create(dataset, uid).Status for dataset, _ in UNFIT_TO_BEGIN] == [
            status for _, status in UNFIT_TO_BEGIN
        ]
    assert archive.index.performed_steps.find(uid) is None


def test_attributes_of_type_2_may_be_missing(archive: Archive, port: int) -> None:
    uid = generate_uid()
    sparse = begun()
    for keyword in ("PatientName", "PatientID", "ReferencedPatientSequence", "StudyID", "PerformedLocation"):
        delattr(sparse, keyword)
    with modality(port) as device:
        assert device.create(sparse, uid).Status == 0x0000
    assert kept(archive, uid).status == mpps.StepStatus.IN_PROGRESS


def test_an_end_without_what_it_needs_is_refused(archive: Archive, port: int) -> None:
    uid = generate_uid()
    with modality(port) as device:
        device.create(begun(), uid)
        assert device.set(ended("FINISHED"), uid).Status == 0x0106
        for keyword in ("PerformedSeriesSequence", "PerformedProcedureStepEndTime"):
            assert device.set(without(ended(), keyword), uid).Status == 0x0121
        assert kept(archive, uid).number_of_messages == 1
        assert device.set(ended(), uid).Status == 0x0000


def test_an_end_is_heard_from_a_device_that_sends_everything_again(archive: Archive, port: int) -> None:
    uid = generate_uid()
    whole = begun(PatientName="ANOTHER^NAME", PatientID="OTHER")
    whole.update(ended())
    del whole.ScheduledStepAttributesSequence
    with modality(port) as device:
        device.create(begun(), uid)
        warned = device.set(whole, uid)
        assert (warned.Status, warned.ErrorComment) == (0x0107, "not set: (0010,0010), (0010,0020)")
    step = kept(archive, uid)
    assert step.status == mpps.StepStatus.COMPLETED
    assert mpps.text(step.dataset, mpps.PATIENT_ID) == "BN0001"


def test_a_step_without_a_uid_gets_one_of_ours(archive: Archive, port: int) -> None:
    with modality(port) as device:
        assert device.create(begun(), None).Status == 0x0000
        uid = device.heard[-1].AffectedSOPInstanceUID
        assert device.set(ended(), uid).Status == 0x0000
    assert kept(archive, uid).status == mpps.StepStatus.COMPLETED


def test_a_step_that_nobody_knows_is_not_set(port: int) -> None:
    with modality(port) as device:
        assert device.set(ended(), generate_uid()).Status == 0x0112
        assert device.get(generate_uid(), [])[0].Status == 0x0112


def test_a_step_is_told_to_who_asks(port: int) -> None:
    uid = generate_uid()
    with modality(port) as device:
        device.create(begun(), uid)
        device.set(ended(), uid)
        status, told = device.get(uid, [])
        assert status.Status == 0x0000
        assert told.PatientName == "NGUYỄN^VĂN ĐỨC"
        assert (
            told.PerformedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4.5"
        )
        status, told = device.get(uid, [0x00400252, 0x00101030])
        assert (status.Status, told.PerformedProcedureStepStatus) == (0x0001, "COMPLETED")
        assert "PatientName" not in told


def test_who_may_not_see_the_worklist_may_not_say_what_it_did(archive: Archive, port: int) -> None:
    archive.index.peers.put(KnownPeer("NOBODY", rights=frozenset({PeerRight.STORE})))
    with modality(port, title="NOBODY") as device:
        assert device.create(begun(), generate_uid()).Status == 0x0124


def test_too_long_a_message_is_refused_and_the_next_is_heard(archive: Archive, port: int) -> None:
    uid = generate_uid()
    with modality(port) as device:
        assert (
            device.create(
                begun(PerformedLocation="", CommentsOnThePerformedProcedureStep="x" * 5_000_000), uid
            ).Status
            == 0x0106
        )
        assert device.create(begun(), uid).Status == 0x0000


def test_of_devices_that_speak_at_the_same_moment_each_is_heard_or_refused(
    archive: Archive, port: int
) -> None:
    uid = generate_uid()
    with modality(port) as device:
        device.create(begun(), uid)
    answers: list[int] = []

    def say(number: int) -> None:
        status = "COMPLETED" if number % 2 else "DISCONTINUED"
        with modality(port) as device:
            answers.append(
                device.set(ended(status, PerformedProcedureStepDescription=str(number)), uid).Status
            )

    threads = [threading.Thread(target=say, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0x0000, *[0x0110] * 5]
    assert kept(archive, uid).number_of_messages == 2


def test_twenty_messages_of_one_step_at_the_same_moment_are_all_taken(archive: Archive, port: int) -> None:
    """Whoever loses a race for the next number tries again; none is told that we are out of resources."""
    uid, together = generate_uid(), threading.Barrier(20)
    with modality(port) as device:
        device.create(begun(), uid)
    answers: list[int] = []

    def say(number: int) -> None:
        with modality(port) as device:
            together.wait()
            answers.append(device.set(item(PerformedProcedureStepDescription=str(number)), uid).Status)

    threads = [threading.Thread(target=say, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0x0000] * 20
    assert kept(archive, uid).number_of_messages == 21
    assert len(list(archive.store.list("performed/"))) == 21  # none lost a race: no object is left behind


def test_of_processes_that_change_a_step_at_the_same_moment_all_are_heard(
    archive: Archive, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that take no turns are to each other as processes are: only the database is between them."""
    monkeypatch.setattr(performed_steps, "_turn", lambda _uid: contextlib.nullcontext())
    uid, together = generate_uid(), threading.Barrier(20)
    with modality(port) as device:
        device.create(begun(), uid)

    def say(number: int) -> tuple[str, ...]:
        data = encode(item(PerformedProcedureStepDescription=str(number)), True, True) or b""
        together.wait()
        return set_step(archive, Said(uid, ImplicitVRLittleEndian, data, "CT"))

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(say, range(20))) == [()] * 20
    assert kept(archive, uid).number_of_messages == 21
    said = {
        mpps.text(read_message(archive, m.key, None).read(archive), "00400254") for m in told(archive, uid)
    }
    assert said == {"", *map(str, range(20))}


def test_steps_are_there_again_after_a_rebuild(archive: Archive, port: int) -> None:
    uids = [generate_uid() for _ in range(3)]
    with modality(port) as device:
        for uid in uids:
            device.create(begun(), uid)
        device.set(ended(), uids[0])
        device.set(ended("DISCONTINUED"), uids[1])
    before = [kept(archive, uid) for uid in uids]
    told = [archive.index.performed_steps.messages(uid) for uid in uids]
    assert rebuilt(archive, from_scratch=True).faults == []
    assert [kept(archive, uid) for uid in uids] == before
    assert [archive.index.performed_steps.messages(uid) for uid in uids] == told


def test_what_was_said_last_is_there_also_where_the_database_was_lost(archive: Archive, port: int) -> None:
    uid = generate_uid()
    with modality(port) as device:
        device.create(begun(), uid)
        seal_ledger(archive)
        device.set(ended(), uid)
    before = kept(archive, uid)
    archive.index.clear()  # with the lines that waited
    assert rebuilt(archive).faults == []
    again = kept(archive, uid)
    assert (again.status, again.dataset) == (before.status, before.dataset)


def test_nothing_is_answered_before_it_is_durable(
    archive: Archive, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = generate_uid()

    def fail(*_: Any, **__: Any) -> bool:
        raise IndexUnavailable("away")

    with modality(port) as device:
        with monkeypatch.context() as away:
            away.setattr(type(archive.index.performed_steps), "add", fail)
            assert device.create(begun(), uid).Status == 0xA700
        assert archive.index.performed_steps.find(uid) is None
        assert device.create(begun(), uid).Status == 0x0000
    assert replace(kept(archive, uid), dataset={}).number_of_messages == 1
