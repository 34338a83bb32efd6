"""Performed procedure steps: what modalities say of their work, as it stands and as it was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Engine, insert, select, update

from pacs.dicom import performed_procedure_step as mpps
from pacs.dicom.json_model import JsonDataset, encode_dataset
from pacs.dicom.performed_procedure_step import ScheduledStep, StepStatus, scheduled_steps
from pacs.dicom.text import normalize
from pacs.index.engine import reading, writing
from pacs.index.fitted_keys import fitted_key
from pacs.index.inserts import insert_if_new
from pacs.index.ledger_rows import append_lines
from pacs.index.models import performed_as_scheduled, performed_step, performed_step_message
from pacs.index.moments import utc
from pacs.ledger.entries import StepMessage, write_entry

# A whole data set may have megabytes.
_BRIEF: Final = [
    performed_step.c.brief.label("dataset") if column.name == "dataset" else column
    for column in performed_step.c
    if column.name != "brief"
]


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """A step as it stands after the last message."""

    sop_instance_uid: str
    status: StepStatus
    dataset: JsonDataset
    creation_sha256: str  # of what the N-CREATE said
    number_of_messages: int
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which steps to list; None: whatever it is."""

    status: StepStatus | None = None
    study_instance_uid: str | None = None
    accession_number: str | None = None
    patient_id: str | None = None


class PerformedSteps:
    """The tables of steps. All methods raise :class:`~pacs.errors.IndexUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, sop_instance_uid: str) -> PerformedStep | None:
        """Find a step; None where there is none."""
        wanted = select(performed_step).where(performed_step.c.sop_instance_uid == sop_instance_uid)
        with reading(self._engine) as connection:
            row = connection.execute(wanted).first()
        return None if row is None else read_performed_step(row)

    def add(self, step: PerformedStep, message: StepMessage, *, in_ledger: bool = True) -> bool:
        """Add a step with its first message; False, and nothing is done, if its UID is known."""
        with writing(self._engine) as connection:
            if not insert_if_new(connection, performed_step, _row(step)):
                return False
            row_id = _id_of(connection, step.sop_instance_uid)
            scheduled = [_scheduled_row(row_id, one) for one in scheduled_steps(step.dataset)]
            if scheduled:
                connection.execute(insert(performed_as_scheduled), scheduled)
            _add_message(connection, row_id, step, message, in_ledger)
        return True

    def change(
        self, before: PerformedStep, step: PerformedStep, message: StepMessage, *, in_ledger: bool = True
    ) -> bool:
        """Put a step in place of what it was before a message; False if it is not that any more."""
        is_before = (
            performed_step.c.sop_instance_uid == step.sop_instance_uid,
            performed_step.c.number_of_messages == before.number_of_messages,
        )
        changed = update(performed_step).where(*is_before).values(_row(step)).returning(performed_step.c.id)
        with writing(self._engine) as connection:
            row_id = connection.scalar(changed)
            if row_id is None:
                return False
            _add_message(connection, row_id, step, message, in_ledger)
        return True

    def list_steps(self, wanted: StepFilter, limit: int) -> list[PerformedStep]:
        """List steps, the newest first; the data set of each is a brief one (`mpps.brief`)."""
        statement = select(*_BRIEF).order_by(performed_step.c.id.desc()).limit(limit)
        if wanted.status is not None:
            statement = statement.where(performed_step.c.status == wanted.status.value)
        if wanted.patient_id is not None:
            statement = statement.where(performed_step.c.patient_id == wanted.patient_id)
        scheduled = {
            performed_as_scheduled.c.study_instance_uid: wanted.study_instance_uid,
            performed_as_scheduled.c.accession_number: wanted.accession_number,
        }
        for column, value in scheduled.items():
            if value is not None:
                of_step = select(performed_as_scheduled.c.performed_step_ref).where(column == value)
                statement = statement.where(performed_step.c.id.in_(of_step))
        with reading(self._engine) as connection:
            return [read_performed_step(row) for row in connection.execute(statement)]

    def messages(self, sop_instance_uid: str) -> Sequence[StepMessage]:
        """List what was said of a step, in this order."""
        joined = performed_step_message.join(performed_step)
        wanted = (
            select(performed_step_message)
            .select_from(joined)
            .where(performed_step.c.sop_instance_uid == sop_instance_uid)
            .order_by(performed_step_message.c.number)
        )
        with reading(self._engine) as connection:
            return [
                StepMessage(utc(row.at), row.object_key, row.calling_ae_title)
                for row in connection.execute(wanted)
            ]


def _id_of(connection: Connection, sop_instance_uid: str) -> int:
    of_uid = performed_step.c.sop_instance_uid == sop_instance_uid
    return int(connection.execute(select(performed_step.c.id).where(of_uid)).scalar_one())


def _add_message(
    connection: Connection, row_id: int, step: PerformedStep, message: StepMessage, in_ledger: bool
) -> None:
    row = {
        "performed_step_ref": row_id,
        "number": step.number_of_messages,
        "object_key": message.key,
        "at": message.at,
        "calling_ae_title": message.calling_ae_title,
    }
    connection.execute(insert(performed_step_message), row)
    if in_ledger:
        append_lines(connection, write_entry(message))


def _row(step: PerformedStep) -> dict[str, Any]:
    return {
        "sop_instance_uid": step.sop_instance_uid,
        "status": step.status.value,
        "dataset": encode_dataset(step.dataset).decode(),
        "brief": encode_dataset(mpps.brief(step.dataset)).decode(),
        "creation_sha256": step.creation_sha256,
        "number_of_messages": step.number_of_messages,
        "patient_id": fitted_key(normalize(mpps.text(step.dataset, mpps.PATIENT_ID))),
        "modality": normalize(mpps.text(step.dataset, mpps.MODALITY)),
        "station_ae_title": normalize(mpps.text(step.dataset, mpps.PERFORMED_STATION_AE_TITLE)),
        "is_told_to_orders": False,
        "created_at": step.created_at,
        "changed_at": step.changed_at,
    }


def _scheduled_row(row_id: int, scheduled: ScheduledStep) -> dict[str, Any]:
    return {
        "performed_step_ref": row_id,
        "study_instance_uid": fitted_key(normalize(scheduled.study_instance_uid)),
        "accession_number": fitted_key(normalize(scheduled.accession_number)),
        "requested_procedure_id": fitted_key(normalize(scheduled.requested_procedure_id)),
        "scheduled_procedure_step_id": fitted_key(normalize(scheduled.scheduled_procedure_step_id)),
    }


def read_performed_step(row: Any) -> PerformedStep:
    """Read a row of the table of steps."""
    return PerformedStep(
        sop_instance_uid=row.sop_instance_uid,
        status=StepStatus(row.status),
        dataset=orjson.loads(row.dataset),
        creation_sha256=row.creation_sha256,
        number_of_messages=row.number_of_messages,
        created_at=utc(row.created_at),
        changed_at=utc(row.changed_at),
    )
