"""What performed steps make of a scheduled one: a model that devices and clerks try to upset."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pacs.dicom.json_model import JsonDataset
from pacs.dicom.order_progress import path_between, state_of
from pacs.dicom.orders import StepState

S = StepState
WRONG_ENTRY = {"00080100": {"vr": "SH", "Value": ["110514"]}, "00080102": {"vr": "SH", "Value": ["DCM"]}}


def performed(status: str, *reasons: JsonDataset) -> JsonDataset:
    return {
        "00400252": {"vr": "CS", "Value": [status]},
        "00400281": {"vr": "SQ", "Value": list(reasons)},
    }


RUNS, DONE, BROKEN_OFF = performed("IN PROGRESS"), performed("COMPLETED"), performed("DISCONTINUED")
MISTAKEN = performed("DISCONTINUED", WRONG_ENTRY)


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ([], None),
        ([RUNS], S.STARTED),
        ([DONE, RUNS], S.STARTED),
        ([BROKEN_OFF, RUNS], S.STARTED),
        ([DONE], S.COMPLETED),
        ([BROKEN_OFF, DONE], S.COMPLETED),
        ([BROKEN_OFF], S.DISCONTINUED),
        ([MISTAKEN], S.SCHEDULED),
        ([MISTAKEN, BROKEN_OFF], S.DISCONTINUED),
        ([MISTAKEN, DONE], S.COMPLETED),
    ],
)
def test_a_step_is_what_was_performed_for_it(steps: list[JsonDataset], state: StepState | None) -> None:
    assert state_of(steps) is state


class _Order(RuleBasedStateMachine):
    """A scheduled step, the steps that modalities perform for it, and a clerk who corrects himself."""

    def __init__(self) -> None:
        super().__init__()
        self.state = S.SCHEDULED
        self.performed: list[str] = []
        self.is_told = True

    @rule()
    def a_modality_begins(self) -> None:
        self.performed.append("IN PROGRESS")
        self.is_told = False

    @precondition(lambda self: "IN PROGRESS" in self.performed)
    @rule(status=st.sampled_from(["COMPLETED", "DISCONTINUED", "MISTAKEN"]), last=st.booleans())
    def a_modality_ends(self, status: str, last: bool) -> None:
        running = [place for place, one in enumerate(self.performed) if one == "IN PROGRESS"]
        self.performed[running[-1 if last else 0]] = status
        self.is_told = False

    @rule(state=st.sampled_from([S.SCHEDULED, S.ARRIVED, S.READY, S.CANCELED]))
    def a_clerk_says(self, state: StepState) -> None:
        if self.state.may_become(state):
            self.state = state

    @rule()
    def it_is_told(self) -> None:
        steps = {"COMPLETED": DONE, "DISCONTINUED": BROKEN_OFF, "MISTAKEN": MISTAKEN, "IN PROGRESS": RUNS}
        before, wanted = self.state, state_of([steps[one] for one in self.performed])
        way = [] if wanted is None else path_between(before, wanted)
        for state in way or []:
            assert self.state.may_become(state)
            self.state = state
        if way is None:
            assert before in (S.COMPLETED, S.CANCELED)
        elif wanted is not None:
            assert self.state is wanted
        self.is_told = True

    @invariant()
    def what_was_completed_stays_so(self) -> None:
        if self.state is S.COMPLETED:
            assert "COMPLETED" in self.performed

    @invariant()
    def nothing_begins_by_itself(self) -> None:
        if not self.performed:
            assert not self.state.has_begun


TestOrder = _Order.TestCase
TestOrder.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
