"""Writing instances into the index: idempotent, and safe beside other processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pacs.dicom.attributes import ATTRIBUTES, Level, Matching
from pacs.index.models import (
    FOLDED_SUFFIX,
    conflict,
    instance,
    patient,
    procedure_code,
    request_attributes,
    series,
    study,
)
from pacs.index.names import fold_name
from pacs.index.records import InstanceRecord, ProcedureCode

_FOLDED = {
    level: tuple(
        attribute.column
        for attribute in ATTRIBUTES
        if attribute.level is level and attribute.matching in (Matching.PERSON_NAME, Matching.FOLDED_TEXT)
    )
    for level in Level
}


class WriteOutcome(Enum):
    """What the index did with an instance."""

    ADDED = "added"
    ALREADY_THERE = "already there"  # the same content: nothing written
    CONFLICT = "conflict"  # another content under the same SOP Instance UID: recorded beside the first


def write_instance(connection: Connection, record: InstanceRecord) -> WriteOutcome:
    """Write one instance, its series, study and patient, inside a transaction that the caller commits."""
    received_at = record.received_at or datetime.now(UTC)
    known = _known_sha256(connection, record)
    if known is None:
        study_ref = _ensure_study(connection, record, received_at)
        series_ref = _ensure_series(connection, record, study_ref)
        if _add_instance(connection, record, series_ref, received_at):
            connection.execute(_COUNT_IN_STUDY, {"ref": study_ref})
            connection.execute(_COUNT_IN_SERIES, {"ref": series_ref})
            _add_codes(connection, record, study_ref, series_ref)
            return WriteOutcome.ADDED
        known = _known_sha256(connection, record)  # another process was faster
    if known == record.location.sha256:
        return WriteOutcome.ALREADY_THERE
    _add_conflict(connection, record, received_at)
    return WriteOutcome.CONFLICT


def _known_sha256(connection: Connection, record: InstanceRecord) -> str | None:
    known: str | None = connection.scalar(_SHA256, {"uid": record.instance["sop_instance_uid"]})
    return known


def _ensure_study(connection: Connection, record: InstanceRecord, received_at: datetime) -> int:
    uid = record.study["study_instance_uid"]
    values = _with_folded(record.study, Level.STUDY)
    row = connection.execute(_STUDY, {"uid": uid}).one_or_none()
    if row is None:
        patient_ref = _ensure_patient(connection, record.study)
        _insert_if_new(connection, study, {**values, "patient_ref": patient_ref, "received_at": received_at})
        row = connection.execute(_STUDY, {"uid": uid}).one()
    _fill_gaps(connection, study, dict(row._mapping), values)
    return int(row.id)


def _ensure_patient(connection: Connection, values: Mapping[str, str | int | None]) -> int:
    """Find or add the patient; without a patient ID a study is a patient of its own, never merged."""
    patient_id, issuer = values.get("patient_id"), values.get("issuer_of_patient_id")
    patient_key = f"{issuer or ''}\\{patient_id}" if patient_id else f"study\\{values['study_instance_uid']}"
    _insert_if_new(
        connection,
        patient,
        {"patient_key": patient_key, "patient_id": patient_id, "issuer_of_patient_id": issuer},
    )
    found: int | None = connection.scalar(select(patient.c.id).where(patient.c.patient_key == patient_key))
    assert found is not None  # noqa: S101 - inserted above, and patients are not removed
    return found


def _ensure_series(connection: Connection, record: InstanceRecord, study_ref: int) -> int:
    values = _with_folded(record.series, Level.SERIES)
    wanted = {"study_ref": study_ref, "uid": values["series_instance_uid"]}
    row = connection.execute(_SERIES, wanted).one_or_none()
    if row is None:
        if _insert_if_new(connection, series, {**values, "study_ref": study_ref}):
            connection.execute(_COUNT_SERIES_IN_STUDY, {"ref": study_ref})
        row = connection.execute(_SERIES, wanted).one()
    _fill_gaps(connection, series, dict(row._mapping), values)
    return int(row.id)


def _add_instance(
    connection: Connection, record: InstanceRecord, series_ref: int, received_at: datetime
) -> bool:
    location = record.location
    values = {
        **record.instance,
        "series_ref": series_ref,
        "transfer_syntax_uid": record.transfer_syntax_uid,
        "object_key": location.key,
        "size_bytes": location.size_bytes,
        "sha256": location.sha256,
        "dataset_offset": location.dataset_offset,
        "pixel_data_offset": location.pixel_data_offset,
        "pixel_data_size_bytes": location.pixel_data_size_bytes,
        "calling_ae_title": record.calling_ae_title,
        "received_at": received_at,
    }
    return _insert_if_new(connection, instance, values)


def _add_codes(connection: Connection, record: InstanceRecord, study_ref: int, series_ref: int) -> None:
    for code in _codes_to_add(connection, record, study_ref):
        _insert_if_new(
            connection,
            procedure_code,
            {
                "study_ref": study_ref,
                "value": code.value,
                "scheme": code.scheme,
                "meaning": code.meaning,
                "origin": code.origin,
            },
        )
    for item in record.request_attributes:
        _insert_if_new(
            connection,
            request_attributes,
            {
                "series_ref": series_ref,
                "requested_procedure_id": item.requested_procedure_id or "",
                "scheduled_procedure_step_id": item.scheduled_procedure_step_id or "",
            },
        )


def _codes_to_add(connection: Connection, record: InstanceRecord, study_ref: int) -> Sequence[ProcedureCode]:
    """Let codes that objects carry win over those that a site rule gave to other objects of the study."""
    of_study = procedure_code.c.study_ref == study_ref
    if any(code.origin == "sequence" for code in record.procedure_codes):
        connection.execute(delete(procedure_code).where(of_study, procedure_code.c.origin == "rule"))
    elif record.procedure_codes:
        carried = select(procedure_code.c.id).where(of_study, procedure_code.c.origin == "sequence")
        if connection.scalar(carried.limit(1)) is not None:
            return ()
    return record.procedure_codes


def _add_conflict(connection: Connection, record: InstanceRecord, received_at: datetime) -> None:
    _insert_if_new(
        connection,
        conflict,
        {
            "sop_instance_uid": record.instance["sop_instance_uid"],
            "object_key": record.location.key,
            "size_bytes": record.location.size_bytes,
            "sha256": record.location.sha256,
            "calling_ae_title": record.calling_ae_title,
            "received_at": received_at,
        },
    )


def _with_folded(values: Mapping[str, str | int | None], level: Level) -> dict[str, Any]:
    folded = {c + FOLDED_SUFFIX: fold_name(str(values[c])) for c in _FOLDED[level] if values.get(c)}
    return {**values, **folded}


def _fill_gaps(
    connection: Connection, table: Table, row: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Complete a row from a later instance; what the first one said stays."""
    gaps = {column: value for column, value in values.items() if value is not None and row[column] is None}
    if gaps:
        connection.execute(update(table).where(table.c.id == row["id"]).values(gaps))


def _insert_if_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; tell whether it was inserted."""
    statement = _insert_statement(connection.dialect.name, table)
    return connection.scalar(statement, dict(values)) is not None


@cache
def _insert_statement(dialect_name: str, table: Table) -> Any:
    dialect = postgresql if dialect_name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing().returning(table.c.id)


# Built once: they run for every instance, and building one costs more than running it.
_SHA256 = select(instance.c.sha256).where(instance.c.sop_instance_uid == bindparam("uid"))
_STUDY = select(study).where(study.c.study_instance_uid == bindparam("uid"))
_SERIES = select(series).where(
    series.c.study_ref == bindparam("study_ref"), series.c.series_instance_uid == bindparam("uid")
)
_COUNT_IN_STUDY = (
    update(study)
    .where(study.c.id == bindparam("ref"))
    .values(number_of_instances=study.c.number_of_instances + 1)
)
_COUNT_SERIES_IN_STUDY = (
    update(study).where(study.c.id == bindparam("ref")).values(number_of_series=study.c.number_of_series + 1)
)
_COUNT_IN_SERIES = (
    update(series)
    .where(series.c.id == bindparam("ref"))
    .values(number_of_instances=series.c.number_of_instances + 1)
)
