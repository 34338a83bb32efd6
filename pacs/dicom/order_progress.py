"""What performed procedure steps make of the scheduled step that they are of (PS3.4 F.7, PS3.17 GGG)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pacs.dicom import performed_procedure_step as mpps
from pacs.dicom.json_model import JsonDataset
from pacs.dicom.orders import StepState
from pacs.dicom.performed_procedure_step import StepStatus

_INCORRECT_WORKLIST_ENTRY_SELECTED: Final = ("110514", "DCM")  # PS3.16 CID 9300


def state_of(performed: Sequence[JsonDataset]) -> StepState | None:
    """Tell the state of a scheduled step by all that was performed for it; None where nothing was.

    It goes on as long as one of them does. It is completed where one was, whatever else was broken off. Where
    it only was chosen by mistake at the modality, it is still to be done.
    """
    statuses = {mpps.text(one, mpps.STATUS) for one in performed}
    if not performed:
        return None
    if StepStatus.IN_PROGRESS in statuses:
        return StepState.STARTED
    if StepStatus.COMPLETED in statuses:
        return StepState.COMPLETED
    return StepState.SCHEDULED if all(map(_was_a_mistake, performed)) else StepState.DISCONTINUED


def path_between(state: StepState, wanted: StepState) -> list[StepState] | None:
    """List the states that a scheduled step goes through to another; None where it cannot get there.

    A step that was broken off and is performed after all has begun again, although nobody may have said so.
    """
    if state is wanted:
        return []
    if state.may_become(wanted):
        return [wanted]
    if state.may_become(StepState.STARTED) and StepState.STARTED.may_become(wanted):
        return [StepState.STARTED, wanted]
    return None


def _was_a_mistake(dataset: JsonDataset) -> bool:
    reasons = mpps.items(dataset, mpps.DISCONTINUATION_REASON_CODE_SEQUENCE)
    codes = {(mpps.text(one, mpps.CODE_VALUE), mpps.text(one, mpps.CODING_SCHEME)) for one in reasons}
    return _INCORRECT_WORKLIST_ENTRY_SELECTED in codes
