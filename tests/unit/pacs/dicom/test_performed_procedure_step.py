"""How a performed procedure step may change: a model that hypothesis tries to bring into disorder."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pydicom.dataset import Dataset

from pacs.dicom import performed_procedure_step as mpps
from pacs.dicom.json_model import JsonDataset
from pacs.errors import (
    EndedProcedureStep,
    InvalidAttributeValue,
    MissingAttribute,
    MissingAttributeValue,
)
from tests.integration.performed_steps import begun, ended, item, scheduled


def as_json(dataset: Dataset) -> JsonDataset:
    plain: JsonDataset = orjson.loads(dataset.to_json())
    return plain


class _Step(RuleBasedStateMachine):
    """A step that devices send anything about, in any order, again and again."""

    def __init__(self) -> None:
        super().__init__()
        mpps.check_creation(as_json(begun()))
        self.dataset: JsonDataset = as_json(begun())
        self.status = "IN PROGRESS"
        self.applied: list[JsonDataset] = []

    def try_to_set(self, dataset: Dataset) -> bool:
        before = orjson.dumps(self.dataset)
        said = as_json(dataset)
        try:
            modified = mpps.modify(self.dataset, said)
        except (EndedProcedureStep, InvalidAttributeValue, MissingAttribute, MissingAttributeValue):
            assert orjson.dumps(self.dataset) == before
            return False
        self.dataset = modified.dataset
        self.applied.append(said)
        return True

    def changes_nothing(self, dataset: Dataset) -> bool:
        said = as_json(dataset)
        return all(self.dataset.get(tag) == one for tag, one in said.items() if tag != "00080005")

    @rule(text=st.text(max_size=5))
    def goes_on(self, text: str) -> None:
        going_on = item(PerformedProcedureStepDescription=text)
        expected = self.status == "IN PROGRESS" or self.changes_nothing(going_on)
        assert self.try_to_set(going_on) == expected

    @rule(status=st.sampled_from(["COMPLETED", "DISCONTINUED"]))
    def ends(self, status: str) -> None:
        expected = self.status == "IN PROGRESS" or self.changes_nothing(ended(status))
        assert self.try_to_set(ended(status)) == expected
        self.status = status if expected else self.status

    @rule(status=st.sampled_from(["COMPLETED", "DISCONTINUED"]))
    def ends_without_saying_when(self, status: str) -> None:
        has_end = bool(self.dataset[mpps.END_DATE].get("Value"))
        before = self.status
        done = self.try_to_set(item(PerformedProcedureStepStatus=status))
        assert done == (status == "DISCONTINUED" or has_end if before == "IN PROGRESS" else status == before)
        self.status = status if done else before

    @rule()
    def begins_again(self) -> None:
        done = self.try_to_set(item(PerformedProcedureStepStatus="IN PROGRESS"))
        assert done == (self.status == "IN PROGRESS")

    @rule()
    def becomes_somebody_elses(self) -> None:
        refused = mpps.modify(self.dataset, as_json(item(PatientID="OTHER", Modality="CT"))).refused
        assert refused == (mpps.PATIENT_ID,)

    @precondition(lambda self: self.applied)
    @rule()
    def says_the_last_again(self) -> None:
        before = self.dataset
        assert mpps.modify(self.dataset, self.applied[-1]).dataset == before

    @invariant()
    def is_what_it_was_created_as(self) -> None:
        assert mpps.text(self.dataset, mpps.STATUS) == self.status
        assert mpps.text(self.dataset, mpps.PATIENT_ID) == "BN0001"
        assert list(self.dataset) == sorted(self.dataset)
        if self.status == "COMPLETED":
            assert mpps.text(self.dataset, mpps.END_DATE) and mpps.items(self.dataset, "00400340")


TestStep = _Step.TestCase
TestStep.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)


def test_a_sequence_is_replaced_as_a_whole() -> None:
    current = as_json(begun(PerformedSeriesSequence=[item(ProtocolName="A", SeriesInstanceUID="1.9")]))
    modified = mpps.modify(current, as_json(ended()))
    series = mpps.items(modified.dataset, mpps.PERFORMED_SERIES_SEQUENCE)
    assert [mpps.text(one, mpps.SERIES_INSTANCE_UID) for one in series] == ["1.2.3.4"]


def test_fixed_attributes_that_are_sent_again_as_they_were_are_no_fault() -> None:
    creation = as_json(begun())
    assert mpps.modify(creation, creation).refused == ()


@pytest.mark.parametrize(
    "written",
    [{"vr": "LO", "Value": ["x"]}, {"vr": "SQ", "Value": [{"0020000D": {"vr": "UI", "Value": ["x"]}}]}],
)
def test_scheduled_steps_have_to_be_what_they_are(written: dict[str, Any]) -> None:
    with pytest.raises(InvalidAttributeValue):
        mpps.check_creation(as_json(begun()) | {mpps.SCHEDULED_STEP_ATTRIBUTES_SEQUENCE: written})


def test_an_unscheduled_step_says_so() -> None:
    nothing = scheduled(AccessionNumber="", RequestedProcedureID="", ScheduledProcedureStepID="")
    steps = mpps.scheduled_steps(as_json(begun(nothing, scheduled())))
    assert [step.is_scheduled for step in steps] == [False, True]


def test_a_list_tells_series_without_their_images() -> None:
    whole = mpps.modify(as_json(begun()), as_json(ended())).dataset
    told = mpps.brief(whole)
    assert told[mpps.PERFORMED_SERIES_SEQUENCE]["Value"] == [
        {mpps.SERIES_INSTANCE_UID: {"vr": "UI", "Value": ["1.2.3.4"]}}
    ]
    assert mpps.text(told, mpps.PATIENT_NAME) == "NGUYỄN^VĂN ĐỨC"
    assert mpps.scheduled_steps(told) == mpps.scheduled_steps(whole)
