"""Orders of imaging, as a worklist tells them: who is examined, what is asked for, and the steps of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import uuid4

from pacs.errors import OrderBegun


class StepState(StrEnum):
    """Values of Scheduled Procedure Step Status (0040,0020).

    The first five are the Standard's (PS3.3 C.4.10). The last three say how a step ended: it was performed
    (as a Modality Performed Procedure Step reports it), broken off, or never begun.
    """

    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"  # the patient is here
    READY = "READY"  # and prepared
    STARTED = "STARTED"  # a performed procedure step refers to it
    DEPARTED = "DEPARTED"  # the patient has gone
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"
    CANCELED = "CANCELED"

    @property
    def is_open(self) -> bool:
        """Whether the step is still to be done, or being done."""
        return self not in _ENDS

    @property
    def has_begun(self) -> bool:
        """Whether images may exist: the step is not changed or taken away any more as if there were none."""
        return self in (StepState.STARTED, StepState.COMPLETED, StepState.DISCONTINUED)

    def may_become(self, other: StepState) -> bool:
        """Tell whether a step may go from this state to another; staying is always possible."""
        return other is self or other in _MOVES[self]


_ENDS: Final = frozenset({StepState.COMPLETED, StepState.DISCONTINUED, StepState.CANCELED})
_BEFORE_BEGIN: Final = frozenset({StepState.SCHEDULED, StepState.ARRIVED, StepState.READY})
# Before it begins a step may go back and forth, as clerks correct themselves. Where the wrong entry was
# chosen at the modality, a step that had begun is to be done again (PS3.16 CID 9300, 110514), and so is one
# that was broken off, or canceled by mistake. What was completed stays so: more of it is a new order.
_MOVES: Final = {
    **dict.fromkeys(_BEFORE_BEGIN, frozenset(StepState)),
    StepState.STARTED: _BEFORE_BEGIN | {StepState.DEPARTED, StepState.COMPLETED, StepState.DISCONTINUED},
    StepState.DEPARTED: frozenset(StepState) - {StepState.READY},
    StepState.COMPLETED: frozenset[StepState](),
    StepState.DISCONTINUED: _BEFORE_BEGIN | {StepState.STARTED},
    StepState.CANCELED: frozenset({StepState.SCHEDULED}),
}


@dataclass(frozen=True, slots=True)
class Code:
    """An item of a code sequence (PS3.3 8.8)."""

    value: str
    scheme: str
    meaning: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """A scheduled procedure step (PS3.3 C.4.10). Without station AE titles any station may perform it."""

    modality: str
    start_date: str  # YYYYMMDD
    start_time: str = "000000"  # HHMMSS
    step_id: str = ""  # empty: one is made of the accession number
    station_ae_titles: tuple[str, ...] = ()
    station_name: str | None = None
    location: str | None = None
    performing_physician_name: str | None = None
    description: str | None = None
    protocol_codes: tuple[Code, ...] = ()
    pre_medication: str | None = None
    contrast_agent: str | None = None
    comments: str | None = None
    state: StepState = StepState.SCHEDULED


@dataclass(frozen=True, slots=True)
class Order:
    """A requested procedure (PS3.3 C.4.11) with the imaging service request, visit and patient that it is of.

    It is known by its accession number: who orders the same again replaces it. ``version`` counts what was
    done to it, from 1; whoever knows a version can see that nobody has changed it meanwhile.
    """

    patient_id: str
    patient_name: str
    steps: tuple[ScheduledStep, ...]
    accession_number: str = ""  # empty: one is made, of the placer's number where there is one
    study_instance_uid: str = ""  # empty: one is made
    requested_procedure_id: str = ""  # empty: that is the accession number
    # patient
    issuer_of_patient_id: str | None = None
    patient_birth_date: str | None = None  # YYYYMMDD
    patient_sex: str | None = None
    patient_size: str | None = None  # m
    patient_weight: str | None = None  # kg
    medical_alerts: tuple[str, ...] = ()
    allergies: tuple[str, ...] = ()
    additional_patient_history: str | None = None
    pregnancy_status: int | None = None  # 1 not, 2 possibly, 3 definitely pregnant, 4 unknown
    patient_comments: str | None = None
    special_needs: str | None = None
    patient_state: str | None = None
    confidentiality_constraint: str | None = None
    # visit
    admission_id: str | None = None
    current_patient_location: str | None = None
    # imaging service request
    referring_physician_name: str | None = None
    requesting_physician: str | None = None
    requesting_service: str | None = None
    placer_order_number: str | None = None
    filler_order_number: str | None = None
    # requested procedure
    description: str | None = None
    procedure_codes: tuple[Code, ...] = ()
    reason: str | None = None
    priority: str | None = None  # STAT, HIGH, ROUTINE, MEDIUM, LOW
    transport_arrangements: str | None = None
    procedure_location: str | None = None
    confidentiality_code: str | None = None
    comments: str | None = None
    version: int = 0


def completed(order: Order) -> Order:
    """Give an order that has an accession number the other identifiers that it lacks.

    The first step is known by the accession number itself, the second by that and ``-2``, and so on: so a
    performed procedure step that names nothing but its scheduled one still leads to its order. Procedure and
    steps get a description where they have none, as a modality shows little else (PS3.4 Table K.6-1: 1C).
    """
    number = order.accession_number
    description = order.description or next((code.meaning for code in order.procedure_codes), None)
    steps = (
        replace(step, step_id=step.step_id or _step_id(number, place), description=_told(step, description))
        for place, step in enumerate(order.steps, start=1)
    )
    return replace(
        order,
        description=description,
        study_instance_uid=order.study_instance_uid or f"2.25.{uuid4().int}",
        requested_procedure_id=order.requested_procedure_id or number,
        steps=tuple(steps),
    )


def replaced(known: Order, new: Order) -> Order:
    """Return what an order becomes when it is sent again: as it is now, with the states that its steps have.

    Raises
    ------
    OrderBegun
        It would lose a step that has begun, or images of it may exist under another Study Instance UID.
    """
    begun = {step.step_id for step in known.steps if step.state.has_begun}
    new = completed(replace(new, study_instance_uid=new.study_instance_uid or known.study_instance_uid))
    if begun - {step.step_id for step in new.steps}:
        raise OrderBegun("a scheduled step that has begun is not taken away")
    if begun and new.study_instance_uid != known.study_instance_uid:
        raise OrderBegun("a scheduled step has begun under the Study Instance UID that the order had")
    states = {step.step_id: step.state for step in known.steps}
    steps = (replace(step, state=states.get(step.step_id, StepState.SCHEDULED)) for step in new.steps)
    return replace(new, steps=tuple(steps), version=known.version)


def _told(step: ScheduledStep, description: str | None) -> str | None:
    """Return what a step is told by: its own description, its protocol's, or that of the procedure."""
    return step.description or next((code.meaning for code in step.protocol_codes), description)


def _step_id(accession_number: str, place: int) -> str:
    return accession_number if place == 1 else f"{accession_number}-{place}"[-_LONGEST_STEP_ID:]


_LONGEST_STEP_ID: Final = 16  # VR SH
