"""What is to be examined today in the invented hospital: orders, which stations get as their worklist."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from pacs.demo import orders as exams
from pacs.dicom.orders import Code, Order, ScheduledStep


@dataclass(frozen=True, slots=True)
class _Appointment:
    """An exam that one of the patients has had, asked for again."""

    exam: exams.Order
    number: str
    modality: str
    station: str
    time: str


_TODAY: Final = (
    _Appointment(exams.CT_CHEST, "CT", "CT", "CT1", "080000"),
    _Appointment(exams.DX_CHEST, "XQ", "DX", "XQ1", "081500"),
    _Appointment(exams.CR_HAND, "XQT", "DX", "XQ1", "083000"),
    _Appointment(exams.MR_BRAIN, "MR", "MR", "MR1", "093000"),
    _Appointment(exams.US_HEART, "TIM", "US", "SA1", "100000"),
    _Appointment(exams.US_ABDOMEN, "SA", "US", "SA1", "103000"),
)


def demo_worklist(today: date) -> list[Order]:
    """Make the orders of a day; the same ones however often they are made."""
    return [_order(one, today) for one in _TODAY]


def _order(appointment: _Appointment, today: date) -> Order:
    exam = appointment.exam
    step = ScheduledStep(
        modality=appointment.modality,
        start_date=f"{today:%Y%m%d}",
        start_time=appointment.time,
        station_ae_titles=(appointment.station,),
        description=exam.description,
    )
    order = Order(
        accession_number=f"{appointment.number}{today:%y%m%d}900",
        patient_id=exam.patient.patient_id,
        patient_name=exam.patient.name,
        steps=(step,),
        patient_birth_date=exam.patient.birth_date,
        patient_sex=exam.patient.sex,
        patient_weight=str(exam.patient.weight_kg),
        referring_physician_name=exam.referring_physician,
        description=exam.description,
        reason=exam.reason,
    )
    if exam.code is None:
        return order
    return replace(order, procedure_codes=(Code(exam.code.value, "", ""),))
