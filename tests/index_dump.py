"""What an index says, written so that two of them can be compared: rows by their natural keys, in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from pacs.archive import Archive
from pacs.index.models import (
    conflict,
    imaging_order,
    instance,
    order_code,
    order_match,
    order_word,
    patient,
    performed_as_scheduled,
    performed_step,
    performed_step_message,
    procedure_code,
    request_attributes,
    scheduled_step,
    series,
    study,
    tombstone,
)
from pacs.index.moments import utc

# What differs from one index to the next: numbers, and whether somebody has removed an object already.
_NUMBERS = {
    "id",
    "patient_ref",
    "study_ref",
    "series_ref",
    "order_ref",
    "step_ref",
    "performed_step_ref",
    "removed_at",
}


def dump_index(archive: Archive) -> dict[str, list[tuple[Any, ...]]]:
    """Read all that an index says; what it knows of the ledger is no part of it."""
    of_study = [study.c.study_instance_uid]
    of_series = [study.c.study_instance_uid, series.c.series_instance_uid]
    in_study = study.join(series)
    of_order = [imaging_order.c.accession_number]
    codes = imaging_order.join(order_code).outerjoin(
        scheduled_step, scheduled_step.c.id == order_code.c.step_ref
    )
    statements = {
        "study": select(patient.c.patient_key, *_columns(study)).select_from(patient.join(study)),
        "series": select(*of_study, *_columns(series)).select_from(in_study),
        "instance": select(*of_series, *_columns(instance)).select_from(in_study.join(instance)),
        "procedure_code": select(*of_study, *_columns(procedure_code)).select_from(
            study.join(procedure_code)
        ),
        "request_attributes": select(*of_series, *_columns(request_attributes)).select_from(
            in_study.join(request_attributes)
        ),
        "conflict": select(*_columns(conflict)),
        "tombstone": select(*_columns(tombstone)),
        "imaging_order": select(*_columns(imaging_order)),
        "scheduled_step": select(*of_order, *_columns(scheduled_step)).select_from(
            imaging_order.join(scheduled_step)
        ),
        "order_code": select(*of_order, scheduled_step.c.step_id, *_columns(order_code)).select_from(codes),
        "order_word": select(*of_order, *_columns(order_word)).select_from(imaging_order.join(order_word)),
        "order_match": select(*_columns(order_match)),
        "performed_step": select(*_columns(performed_step)),
        "performed_step_message": select(*_columns(performed_step_message)),
        "performed_as_scheduled": select(*_columns(performed_as_scheduled)),
    }
    with archive.index._engine.connect() as connection:
        return {name: _rows(connection, statement) for name, statement in statements.items()}


def _columns(table: Any) -> Sequence[Any]:
    return [column for column in table.c if column.name not in _NUMBERS]


def _rows(connection: Connection, statement: Select[Any]) -> list[tuple[Any, ...]]:
    rows = [tuple(map(_plain, row)) for row in connection.execute(statement)]
    return sorted(rows, key=repr)


def _plain(value: Any) -> Any:
    return utc(value).isoformat() if isinstance(value, datetime) else value
