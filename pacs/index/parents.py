"""The rows above an instance: its study, series and patient, and the codes and requests of these."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pacs.dicom.attributes import ATTRIBUTES, Level, Matching
from pacs.index.models import FOLDED_SUFFIX, patient, procedure_code, request_attributes, series, study
from pacs.index.names import fold_name
from pacs.index.records import InstanceRecord, ProcedureCode

_MAX_KNOWN = 4096
_FOLDED = {
    level: tuple(
        attribute.column
        for attribute in ATTRIBUTES
        if attribute.level is level and attribute.matching in (Matching.PERSON_NAME, Matching.FOLDED_TEXT)
    )
    for level in Level
}


@dataclass(frozen=True, slots=True)
class Parents:
    """The rows that an instance belongs to."""

    study_ref: int
    series_ref: int


ParentsKey: TypeAlias = Hashable


def parents_key(record: InstanceRecord) -> ParentsKey:
    """Say all that a record tells about the rows above it: records with one key have nothing new for them."""
    return (
        tuple(record.study.items()),
        tuple(record.series.items()),
        tuple(record.procedure_codes),
        tuple(record.request_attributes),
    )


class KnownParents:
    """Rows that are committed and complete, so that the next instance of a series need not look them up.

    Other processes may remove such a row; the reference to it then violates its foreign key, and whoever
    meets that must `forget`. Not safe for use by several threads at once.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[ParentsKey, Parents] = OrderedDict()

    def find(self, key: ParentsKey) -> Parents | None:
        """Find the rows of a key, if they are known."""
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def learn(self, found: Mapping[ParentsKey, Parents]) -> None:
        """Remember rows, once they are committed."""
        self._known.update(found)
        while len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Forget everything."""
        self._known.clear()


def ensure_parents(connection: Connection, record: InstanceRecord) -> Parents:
    """Find or add the rows above an instance, and complete them from it; what they say already stays."""
    study_ref = _ensure_study(connection, record)
    series_ref = _ensure_series(connection, record, study_ref)
    _add_codes(connection, record, study_ref, series_ref)
    return Parents(study_ref, series_ref)


def _ensure_study(connection: Connection, record: InstanceRecord) -> int:
    uid = record.study["study_instance_uid"]
    values = _with_folded(record.study, Level.STUDY)
    row = connection.execute(_STUDY, {"uid": uid}).one_or_none()
    if row is None:
        patient_ref = _ensure_patient(connection, record.study)
        of_record = {"patient_ref": patient_ref, "received_at": record.received_at}
        insert_if_new(connection, study, {**values, **of_record})
        row = connection.execute(_STUDY, {"uid": uid}).one()
    _fill_gaps(connection, study, dict(row._mapping), values)
    return int(row.id)


def _ensure_patient(connection: Connection, values: Mapping[str, str | int | None]) -> int:
    """Find or add the patient; without a patient ID a study is a patient of its own, never merged."""
    patient_id, issuer = values.get("patient_id"), values.get("issuer_of_patient_id")
    patient_key = f"{issuer or ''}\\{patient_id}" if patient_id else f"study\\{values['study_instance_uid']}"
    insert_if_new(
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
        if insert_if_new(connection, series, {**values, "study_ref": study_ref}):
            connection.execute(_COUNT_SERIES_IN_STUDY, {"ref": study_ref})
        row = connection.execute(_SERIES, wanted).one()
    _fill_gaps(connection, series, dict(row._mapping), values)
    return int(row.id)


def _add_codes(connection: Connection, record: InstanceRecord, study_ref: int, series_ref: int) -> None:
    for code in _codes_to_add(connection, record, study_ref):
        insert_if_new(
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
        insert_if_new(
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


def insert_if_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; tell whether it was inserted."""
    statement = _insert_statement(connection.dialect.name, table)
    return connection.scalar(statement, dict(values)) is not None


@cache
def _insert_statement(dialect_name: str, table: Table) -> Any:
    dialect = postgresql if dialect_name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing().returning(table.c.id)


# Built once: building a statement costs more than running it.
_STUDY = select(study).where(study.c.study_instance_uid == bindparam("uid"))
_SERIES = select(series).where(
    series.c.study_ref == bindparam("study_ref"), series.c.series_instance_uid == bindparam("uid")
)
_COUNT_SERIES_IN_STUDY = (
    update(study).where(study.c.id == bindparam("ref")).values(number_of_series=study.c.number_of_series + 1)
)
