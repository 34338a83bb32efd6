"""What the index knows of studies that may be of an order, and which studies these may be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, Select, select

from pacs.dicom.order_matching import StudyFacts
from pacs.dicom.orders import Order
from pacs.index.engine import reading
from pacs.index.models import (
    imaging_order,
    performed_as_scheduled,
    request_attributes,
    series,
    study,
    study_term,
)
from pacs.index.moments import utc
from pacs.index.study_terms import MAX_TERM_LENGTH, Field
from pacs.text import fold

_MOST_REQUESTS: Final = 100  # of one study; who has more has made them up
_DAY: Final = timedelta(days=1)
_MOMENTS_OF_A_DAY: Final = 1_000_000


def read_study_facts(engine: Engine, study_instance_uid: str) -> StudyFacts | None:
    """Read what is known of a study; None where there is none. Raises IndexUnavailable."""
    with reading(engine) as connection:
        row = connection.execute(
            select(study).where(study.c.study_instance_uid == study_instance_uid)
        ).one_or_none()
        if row is None:
            return None
        requests = connection.execute(
            select(
                request_attributes.c.requested_procedure_id, request_attributes.c.scheduled_procedure_step_id
            )
            .join(series, series.c.id == request_attributes.c.series_ref)
            .where(series.c.study_ref == row.id)
            .distinct()
            .limit(_MOST_REQUESTS)
        ).all()
        performed_for = connection.scalars(
            select(performed_as_scheduled.c.order_accession_number).where(
                performed_as_scheduled.c.study_instance_uid == study_instance_uid,
                performed_as_scheduled.c.order_accession_number.is_not(None),
            )
        ).all()
    return _facts(row, {(one, other) for one, other in requests}, set(performed_for))


def list_studies_of_order(engine: Engine, order: Order, limit: int) -> list[str]:
    """List studies, by their UIDs, that name an order or may fit it. Raises IndexUnavailable."""
    with reading(engine) as connection:
        found: dict[str, None] = dict.fromkeys(
            uid
            for statement in _statements(order)
            for uid in connection.scalars(statement.order_by(study.c.id).limit(limit))
        )
    return list(found)[:limit]


def list_changed_orders(engine: Engine, since: datetime, limit: int) -> list[tuple[str, datetime]]:
    """List orders that were changed since a time, by accession number and time, in that order.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    columns = (imaging_order.c.accession_number, imaging_order.c.changed_at)
    changed = select(*columns).where(imaging_order.c.changed_at >= since)
    ordered = changed.order_by(imaging_order.c.changed_at, imaging_order.c.id).limit(limit)
    with reading(engine) as connection:
        return [(number, utc(at)) for number, at in connection.execute(ordered)]


def _statements(order: Order) -> Iterator[Select[Any]]:
    """Give the ways that lead from an order to studies, each by an index."""
    uid = select(study.c.study_instance_uid)
    yield uid.where(study.c.study_instance_uid == order.study_instance_uid)
    performed = select(performed_as_scheduled.c.study_instance_uid).where(
        performed_as_scheduled.c.order_accession_number == order.accession_number
    )
    yield uid.where(study.c.study_instance_uid.in_(performed))
    of_number = uid.join(study_term, study_term.c.study_ref == study.c.id).where(
        study_term.c.field == int(Field.ACCESSION_NUMBER),
        study_term.c.term == fold(order.accession_number)[:MAX_TERM_LENGTH],
    )
    yield of_number.where(study.c.accession_number == order.accession_number)
    step_ids = [step.step_id for step in order.steps]
    for condition in (
        request_attributes.c.requested_procedure_id == order.requested_procedure_id,
        request_attributes.c.scheduled_procedure_step_id.in_(step_ids),
    ):
        refs = select(series.c.study_ref).join(
            request_attributes, request_attributes.c.series_ref == series.c.id
        )
        yield uid.where(study.c.id.in_(refs.where(condition)))
    days = [one for step in order.steps if (one := _day(step.start_date)) is not None]
    if days:
        of_patient = uid.join(study_term, study_term.c.study_ref == study.c.id).where(
            study_term.c.field == int(Field.PATIENT_ID),
            study_term.c.term == fold(order.patient_id)[:MAX_TERM_LENGTH],
            study_term.c.moment.between(_moment(min(days) - _DAY), _moment(max(days) + 2 * _DAY)),
        )
        yield of_patient.where(study.c.patient_id == order.patient_id)


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _moment(day: date) -> int:
    return int(f"{day:%Y%m%d}") * _MOMENTS_OF_A_DAY


def _facts(row: Any, requests: set[tuple[str, str]], performed_for: set[str | None]) -> StudyFacts:
    return StudyFacts(
        study_instance_uid=row.study_instance_uid,
        accession_number=row.accession_number or "",
        patient_id=row.patient_id or "",
        issuer_of_patient_id=row.issuer_of_patient_id or "",
        patient_name=row.patient_name or "",
        patient_birth_date=row.patient_birth_date or "",
        patient_sex=row.patient_sex or "",
        study_date=row.study_date or "",
        description=row.study_description or "",
        modalities=frozenset((row.modalities_in_study or "").split("\\")) - {""},
        requests=frozenset(requests),
        performed_for=frozenset(number for number in performed_for if number),
    )
