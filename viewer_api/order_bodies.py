"""Orders as bodies of requests, in JSON. Their fields are those of `pacs.dicom.orders`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from pacs.dicom.order_values import (
    MAX_CODE_VALUE_LENGTH,
    MAX_CODES,
    MAX_LONG_TEXT_LENGTH,
    MAX_STEPS,
    MAX_VALUES,
)
from pacs.dicom.orders import Code, Order, ScheduledStep, StepState

_MAX_NAME: Final = 64 * 3 + 2  # three component groups
Short = Annotated[str, Field(max_length=16)]
Long = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(max_length=_MAX_NAME)]
Text = Annotated[str, Field(max_length=MAX_LONG_TEXT_LENGTH)]
Date = Annotated[str, Field(max_length=8, description="YYYYMMDD")]


class CodeBody(BaseModel):
    """A code; a national one needs its value only."""

    model_config = ConfigDict(extra="forbid")

    value: str = Field(min_length=1, max_length=MAX_CODE_VALUE_LENGTH)
    scheme: Short = Field(default="", description="Coding scheme designator")
    meaning: Long = ""
    version: Short | None = None

    def to_code(self) -> Code:
        """Make the record of it."""
        return Code(self.value, self.scheme, self.meaning, self.version)


class StepBody(BaseModel):
    """A scheduled procedure step (PS3.3 C.4.10)."""

    model_config = ConfigDict(extra="forbid")

    modality: Short
    start_date: Date
    start_time: Annotated[str, Field(max_length=6, description="HHMMSS, or shorter")] = "000000"
    step_id: Short = Field(default="", description="Made of the accession number unless given")
    station_ae_titles: list[Short] = Field(
        default=[], max_length=MAX_VALUES, description="Who may perform it; none: any station"
    )
    station_name: Short | None = None
    location: Short | None = None
    performing_physician_name: Name | None = None
    description: Long | None = None
    protocol_codes: list[CodeBody] = Field(default=[], max_length=MAX_CODES)
    pre_medication: Long | None = None
    contrast_agent: Long | None = None
    comments: Text | None = None

    def to_step(self) -> ScheduledStep:
        """Make the record of it."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        values["protocol_codes"] = tuple(code.to_code() for code in self.protocol_codes)
        values["station_ae_titles"] = tuple(self.station_ae_titles)
        return ScheduledStep(**values)


class OrderBody(BaseModel):
    """An order: patient, requested procedure (PS3.3 C.4.11) and scheduled steps."""

    model_config = ConfigDict(extra="forbid")

    patient_id: Long
    patient_name: Name = Field(description="As DICOM writes it: NGUYỄN^VĂN ĐỨC")
    steps: list[StepBody] = Field(min_length=1, max_length=MAX_STEPS)
    study_instance_uid: str = Field(default="", max_length=64, description="Made unless given")
    requested_procedure_id: Short = Field(default="", description="The accession number unless given")
    issuer_of_patient_id: Long | None = None
    patient_birth_date: Date | None = None
    patient_sex: Annotated[str, Field(max_length=1, description="M, F or O")] | None = None
    patient_size: Annotated[str, Field(max_length=16, description="In metres")] | None = None
    patient_weight: Annotated[str, Field(max_length=16, description="In kilograms")] | None = None
    medical_alerts: list[Long] = Field(default=[], max_length=MAX_VALUES)
    allergies: list[Long] = Field(default=[], max_length=MAX_VALUES)
    additional_patient_history: Text | None = None
    pregnancy_status: int | None = Field(
        default=None, ge=1, le=4, description="1 no, 2 possibly, 3 definitely, 4 not known"
    )
    patient_comments: Text | None = None
    special_needs: Long | None = None
    patient_state: Long | None = None
    confidentiality_constraint: Long | None = None
    admission_id: Long | None = None
    current_patient_location: Long | None = None
    referring_physician_name: Name | None = None
    requesting_physician: Name | None = None
    requesting_service: Long | None = None
    placer_order_number: Long | None = None
    filler_order_number: Long | None = None
    description: Long | None = None
    procedure_codes: list[CodeBody] = Field(default=[], max_length=MAX_CODES)
    reason: Long | None = None
    priority: Annotated[str, Field(max_length=16, description="STAT, HIGH, ROUTINE, LOW")] | None = None
    transport_arrangements: Long | None = None
    procedure_location: Long | None = None
    confidentiality_code: Long | None = None
    comments: Text | None = None

    def to_order(self, accession_number: str = "") -> Order:
        """Make the record of it."""
        values = {name: getattr(self, name) for name in OrderBody.model_fields}
        values["steps"] = tuple(step.to_step() for step in self.steps)
        values["procedure_codes"] = tuple(code.to_code() for code in self.procedure_codes)
        values["allergies"] = tuple(self.allergies)
        values["medical_alerts"] = tuple(self.medical_alerts)
        return Order(**values, accession_number=accession_number)


class NewOrderBody(OrderBody):
    """An order with the number that it is known by."""

    accession_number: Short = Field(
        default="", description="That of the order with this placer_order_number, or made, unless given"
    )


class StateBody(BaseModel):
    """A state, for one step or for all that have not ended."""

    model_config = ConfigDict(extra="forbid")

    state: StepState
    step_id: Short | None = Field(default=None, description="Without it: all steps that have not ended")
