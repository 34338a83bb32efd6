"""States of scheduled steps, and what becomes of an order that is sent again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pacs.dicom.orders import StepState, completed, replaced
from pacs.dicom.uids import parse_uid
from pacs.errors import OrderBegun
from tests.made_orders import ORDER, STEP

S = StepState


def test_a_step_goes_on_and_back_until_it_begins() -> None:
    for before in (S.SCHEDULED, S.ARRIVED, S.READY):
        for after in StepState:
            assert before.may_become(after)


@pytest.mark.parametrize(
    ("state", "impossible"),
    [
        (S.STARTED, {S.CANCELED}),
        (S.DEPARTED, {S.READY}),
        (S.COMPLETED, set(StepState) - {S.COMPLETED}),
        (S.DISCONTINUED, {S.DEPARTED, S.COMPLETED, S.CANCELED}),
        (S.CANCELED, set(StepState) - {S.CANCELED, S.SCHEDULED}),
    ],
)
def test_what_has_begun_or_ended_cannot_become_everything(
    state: StepState, impossible: set[StepState]
) -> None:
    assert {other for other in StepState if not state.may_become(other)} == impossible


def test_open_steps_are_those_that_are_still_to_be_done() -> None:
    assert {s for s in StepState if not s.is_open} == {S.COMPLETED, S.DISCONTINUED, S.CANCELED}
    assert {s for s in StepState if s.has_begun} == {S.STARTED, S.COMPLETED, S.DISCONTINUED}


def test_identifiers_that_are_missing_are_made_and_others_stay() -> None:
    order = completed(replace(ORDER, steps=(STEP, replace(STEP, step_id="X"), STEP)))
    assert [step.step_id for step in order.steps] == ["XQ261123042", "X", "XQ261123042-3"]
    assert order.requested_procedure_id == "XQ261123042"
    assert order.study_instance_uid.startswith("2.25.")
    assert parse_uid(order.study_instance_uid) == order.study_instance_uid
    assert completed(order) == order
    assert completed(ORDER).study_instance_uid != completed(ORDER).study_instance_uid


def test_the_longest_accession_number_still_makes_valid_step_ids() -> None:
    order = completed(replace(ORDER, accession_number="A" * 16, steps=(STEP, STEP)))
    assert [step.step_id for step in order.steps] == ["A" * 16, "A" * 14 + "-2"]


def test_who_is_sent_again_keeps_its_study_and_the_states_of_its_steps() -> None:
    known = completed(replace(ORDER, steps=(replace(STEP, state=S.STARTED),), version=3))
    again = replaced(known, replace(ORDER, steps=(STEP, STEP), patient_name="Trần^Ngọc"))
    assert again.study_instance_uid == known.study_instance_uid
    assert [step.state for step in again.steps] == [S.STARTED, S.SCHEDULED]
    assert (again.patient_name, again.version) == ("Trần^Ngọc", 3)
    assert replaced(known, replace(ORDER, steps=(STEP,))) == known


def test_what_has_begun_is_not_taken_away() -> None:
    known = completed(replace(ORDER, steps=(replace(STEP, state=S.COMPLETED), STEP)))
    replaced(known, replace(ORDER, steps=(STEP,)))  # the second has not begun
    with pytest.raises(OrderBegun):
        replaced(known, replace(ORDER, steps=(replace(STEP, step_id="other"),)))
    with pytest.raises(OrderBegun):
        replaced(known, replace(known, study_instance_uid="1.2.3"))
    waiting = completed(ORDER)
    assert replaced(waiting, replace(ORDER, study_instance_uid="1.2.3")).study_instance_uid == "1.2.3"
