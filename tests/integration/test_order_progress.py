"""Orders go on as modalities say (PS3.4 F.7)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.dicom.orders import Order, ScheduledStep, StepState
from pacs.index.orders import Orders
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.order_progress import tell_orders
from pacs.orders import place_order
from tests.index_dump import dump_index
from tests.integration.dimse_peers import listening
from tests.integration.performed_steps import begun, ended, item, modality, scheduled
from tests.integration.rebuilding import rebuilt

CT = ScheduledStep(modality="CT", start_date="20261120", start_time="080000")
WRONG_ENTRY = item(
    CodeValue="110514", CodingSchemeDesignator="DCM", CodeMeaning="Incorrect worklist entry selected"
)


@pytest.fixture
def port(archive: Archive) -> Iterator[int]:
    with listening(archive) as opened:
        yield opened


def order(archive: Archive, *steps: ScheduledStep, **values: str) -> Order:
    wanted = Order(patient_id="BN0001", patient_name="NGUYỄN^VĂN ĐỨC", steps=steps or (CT,), **values)
    return place_order(archive, wanted).order


def as_told(placed: Order, place: int = 0, **attributes: str) -> Dataset:
    """A scheduled step as a modality repeats it that has read it from our worklist."""
    return scheduled(
        **{
            "StudyInstanceUID": placed.study_instance_uid,
            "AccessionNumber": placed.accession_number,
            "RequestedProcedureID": placed.requested_procedure_id,
            "ScheduledProcedureStepID": placed.steps[place].step_id,
            **attributes,
        }
    )


def states(archive: Archive, placed: Order) -> list[StepState]:
    return [step.state for step in archive.index.orders.find(placed.accession_number).steps]


def perform(port: int, *datasets: Dataset) -> str:
    uid = generate_uid()
    first, *others = datasets
    with modality(port) as device:
        assert device.create(first, uid).Status == 0x0000
        for dataset in others:
            assert device.set(dataset, uid).Status == 0x0000
    return uid


def test_an_order_begins_and_ends_with_its_performed_step(archive: Archive, port: int) -> None:
    placed = order(archive)
    with modality(port) as device:
        device.create(begun(as_told(placed)), uid := generate_uid())
        assert states(archive, placed) == [StepState.STARTED]
        device.set(ended(), uid)
    assert states(archive, placed) == [StepState.COMPLETED]
    assert archive.index.performed_links.list_untold(10) == []
    (performed,) = archive.index.performed_links.of_order(placed.accession_number)
    assert performed.sop_instance_uid == uid


def test_each_step_of_an_order_goes_on_for_itself(archive: Archive, port: int) -> None:
    placed = order(archive, CT, CT, CT)
    perform(port, begun(as_told(placed, 0)), ended())
    perform(port, begun(as_told(placed, 1)), ended("DISCONTINUED"))
    assert states(archive, placed) == [StepState.COMPLETED, StepState.DISCONTINUED, StepState.SCHEDULED]


def test_one_performed_step_may_be_of_several_orders(archive: Archive, port: int) -> None:
    both = [order(archive), order(archive)]
    perform(port, begun(*map(as_told, both)), ended())
    assert [states(archive, one) for one in both] == [[StepState.COMPLETED]] * 2


def test_what_was_broken_off_is_done_again(archive: Archive, port: int) -> None:
    placed = order(archive)
    perform(port, begun(as_told(placed)), ended("DISCONTINUED"))
    assert states(archive, placed) == [StepState.DISCONTINUED]
    again = perform(port, begun(as_told(placed)))
    assert states(archive, placed) == [StepState.STARTED]
    with modality(port) as device:
        device.set(ended(), again)
    assert states(archive, placed) == [StepState.COMPLETED]


def test_what_was_chosen_by_mistake_is_still_to_be_done(archive: Archive, port: int) -> None:
    placed = order(archive)
    reason = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": [WRONG_ENTRY]}
    perform(port, begun(as_told(placed)), ended("DISCONTINUED", **reason))
    assert states(archive, placed) == [StepState.SCHEDULED]


def test_a_step_without_its_id_is_found_by_what_else_is_said_of_it(archive: Archive, port: int) -> None:
    placed = order(archive)
    nothing = {"ScheduledProcedureStepID": "", "RequestedProcedureID": ""}
    perform(port, begun(as_told(placed, **nothing)), ended())
    assert states(archive, placed) == [StepState.COMPLETED]
    other = order(archive)
    perform(port, begun(as_told(other, AccessionNumber="", **nothing)), ended())
    assert states(archive, other) == [StepState.COMPLETED]


@pytest.mark.parametrize(
    "contradiction",
    [
        {"PatientID": "OTHER"},
        {"AccessionNumber": "OTHER"},
        {"RequestedProcedureID": "X"},
        {"ScheduledProcedureStepID": "X"},
    ],
)
def test_an_order_is_left_alone_where_it_is_not_certain_that_it_is_meant(
    archive: Archive, port: int, contradiction: dict[str, str]
) -> None:
    placed = order(archive)
    of_patient = {name: value for name, value in contradiction.items() if name == "PatientID"}
    of_order = {name: value for name, value in contradiction.items() if name != "PatientID"}
    uid = perform(port, begun(as_told(placed, **of_order), **of_patient), ended())
    assert states(archive, placed) == [StepState.SCHEDULED]
    (link,) = archive.index.performed_links.of_step(uid)
    assert link.order_accession_number is None


def test_an_unscheduled_step_is_kept_and_of_no_order(archive: Archive, port: int) -> None:
    placed = order(archive)
    nothing = {"AccessionNumber": "", "ScheduledProcedureStepID": "", "RequestedProcedureID": ""}
    uid = perform(port, begun(scheduled(**nothing)), ended())
    (link,) = archive.index.performed_links.of_step(uid)
    assert (link.order_accession_number, link.scheduled.is_scheduled) == (None, False)
    assert states(archive, placed) == [StepState.SCHEDULED]


def test_a_canceled_order_stays_canceled(archive: Archive, port: int) -> None:
    placed = order(archive)
    archive.index.orders.cancel(placed.accession_number, datetime.now(UTC))
    perform(port, begun(as_told(placed)), ended())
    assert states(archive, placed) == [StepState.CANCELED]


def test_an_order_hears_later_where_it_could_not_be_told_at_once(
    archive: Archive, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = order(archive)
    with monkeypatch.context() as away:
        from pacs.errors import IndexUnavailable

        def fail(*_: object, **__: object) -> None:
            raise IndexUnavailable("away")

        away.setattr(Orders, "set_state", fail)
        uid = perform(port, begun(as_told(placed)), ended())
    assert states(archive, placed) == [StepState.SCHEDULED]
    assert archive.index.performed_links.list_untold(10) == [uid]
    tell_orders(archive, uid)
    assert states(archive, placed) == [StepState.COMPLETED]
    assert archive.index.performed_links.list_untold(10) == []


def test_steps_that_end_at_the_same_moment_leave_the_order_ended(archive: Archive, port: int) -> None:
    placed = order(archive)
    uids = [perform(port, begun(as_told(placed))) for _ in range(4)]

    def end(uid: str, status: str) -> None:
        with modality(port) as device:
            device.set(ended(status), uid)

    threads = [
        threading.Thread(target=end, args=(uid, status))
        for uid, status in zip(uids, ["DISCONTINUED", "COMPLETED"] * 2, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states(archive, placed) == [StepState.COMPLETED]


def test_a_rebuild_gives_orders_and_steps_as_they_were(archive: Archive, port: int) -> None:
    placed = order(archive, CT, CT)
    perform(port, begun(as_told(placed, 0)), ended())
    perform(port, begun(as_told(placed, 1)))
    corrected = datetime.now(UTC)
    archive.index.orders.set_state(
        placed.accession_number, StepState.READY, corrected, step_id=placed.steps[1].step_id
    )
    seal_ledger(archive)
    before = dump_index(archive)
    assert rebuilt(archive, from_scratch=True).faults == []
    assert dump_index(archive) == before
    assert states(archive, placed) == [StepState.COMPLETED, StepState.READY]
