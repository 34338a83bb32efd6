"""The rows above an instance: its study, series and patient, and the codes and requests of these."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from pacs.dicom.attributes import ATTRIBUTES, Level, Matching
from pacs.index.conflict_rows import record_other_patient
from pacs.index.contents import add_contents
from pacs.index.fitted_keys import fitted_key
from pacs.index.inserts import insert_if_new
from pacs.index.models import (
    FOLDED,
    FOLDED_SUFFIX,
    patient,
    procedure_code,
    request_attributes,
    series,
    study,
)
from pacs.index.names import fold_name
from pacs.index.patient_identity import differing_identity
from pacs.index.records import InstanceRecord, ProcedureCode
from pacs.index.study_terms import TERM_COLUMNS, tell_terms
from pacs.text import fold

_MAX_KNOWN = 4096
_KNOWN_FOR_S = 60.0
_FOLDED = {
    level: tuple(
        (attribute.column, fold_name if attribute.matching is Matching.PERSON_NAME else fold)
        for attribute in ATTRIBUTES
        if attribute.level is level and attribute.matching in FOLDED
    )
    for level in Level
}


@dataclass(frozen=True, slots=True)
class Parents:
    """The rows that an instance belongs to."""

    study_ref: int
    series_ref: int
    patient_differs: bool = False  # the instance names another patient than its study


ParentsKey: TypeAlias = Hashable


def parents_key(record: InstanceRecord) -> ParentsKey:
    """Say all that a record tells about the rows above it: records with one key have nothing new for them."""
    return (
        tuple(record.study.items()),
        tuple(record.series.items()),
        tuple(record.procedure_codes),
        tuple(record.request_attributes),
        record.instance["sop_class_uid"],
    )


class KnownParents:
    """Rows that are committed and complete, so that the next instance of a series need not look them up.

    Other processes may remove such a row; the reference to it then violates its foreign key, and whoever
    meets that must `forget`. They may also change a row, as when a conflict is settled: what is known is
    looked up again after a minute. Not safe for use by several threads at once.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[ParentsKey, tuple[Parents, float]] = OrderedDict()  # oldest first

    def find(self, key: ParentsKey) -> Parents | None:
        """Find the rows of a key, if they are known."""
        parents, learned_at = self._known.get(key, (None, 0.0))
        return parents if self._clock() - learned_at < _KNOWN_FOR_S else None

    def learn(self, found: Mapping[ParentsKey, Parents]) -> None:
        """Remember rows, once they are committed."""
        now = self._clock()
        for key, parents in found.items():
            self._known[key] = parents, now
            self._known.move_to_end(key)
        while len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Forget everything."""
        self._known.clear()


def ensure_parents(connection: Connection, record: InstanceRecord) -> Parents:
    """Find or add the rows above an instance, and complete them from it; what they say already stays.

    An instance of another patient than its study tells the study nothing, and the conflict is recorded.
    """
    row, is_new = _find_or_add_study(connection, record)
    study_ref = int(row["id"])
    series_ref, modality = _ensure_series(connection, record, study_ref)
    differing = differing_identity(row, record.study)
    told = set()
    if differing:
        record_other_patient(connection, record, differing)
    else:
        told = fill_gaps(connection, study, row, with_folded(record.study, Level.STUDY))
        told |= _add_codes(connection, record, study_ref)
    told |= add_contents(connection, row, modality, str(record.instance["sop_class_uid"]))
    if is_new or not told.isdisjoint(_TOLD_BY_TERMS):
        tell_terms(connection, study_ref)
    _add_requests(connection, record, series_ref)
    return Parents(study_ref, series_ref, bool(differing))


def _find_or_add_study(connection: Connection, record: InstanceRecord) -> tuple[Mapping[str, Any], bool]:
    """Return the row of the study, and whether it was added."""
    uid, is_new = record.study["study_instance_uid"], False
    row = connection.execute(_STUDY, {"uid": uid}).one_or_none()
    if row is None:
        patient_ref = ensure_patient(connection, record.study)
        of_record = {"patient_ref": patient_ref, "received_at": record.received_at}
        is_new = insert_if_new(connection, study, {**with_folded(record.study, Level.STUDY), **of_record})
        row = connection.execute(_STUDY, {"uid": uid}).one()
    return dict(row._mapping), is_new


def ensure_patient(connection: Connection, values: Mapping[str, str | int | None]) -> int:
    """Find or add the patient; without a patient ID a study is a patient of its own, never merged."""
    patient_id, issuer = values.get("patient_id"), values.get("issuer_of_patient_id")
    key = f"{issuer or ''}\\{patient_id}" if patient_id else f"study\\{values['study_instance_uid']}"
    patient_key = fitted_key(key)
    insert_if_new(
        connection,
        patient,
        {"patient_key": patient_key, "patient_id": patient_id, "issuer_of_patient_id": issuer},
    )
    found: int | None = connection.scalar(select(patient.c.id).where(patient.c.patient_key == patient_key))
    assert found is not None  # noqa: S101 - inserted above, and patients are not removed
    return found


def _ensure_series(connection: Connection, record: InstanceRecord, study_ref: int) -> tuple[int, str | None]:
    """Return the reference of the series, and its modality."""
    values = with_folded(record.series, Level.SERIES)
    wanted = {"study_ref": study_ref, "uid": values["series_instance_uid"]}
    row = connection.execute(_SERIES, wanted).one_or_none()
    if row is None:
        if insert_if_new(connection, series, {**values, "study_ref": study_ref}):
            connection.execute(_COUNT_SERIES_IN_STUDY, {"ref": study_ref})
        row = connection.execute(_SERIES, wanted).one()
    fill_gaps(connection, series, dict(row._mapping), values)
    return int(row.id), row.modality or values.get("modality")


def _add_codes(connection: Connection, record: InstanceRecord, study_ref: int) -> set[str]:
    """Add the codes of a record to its study; tell that this was done, in the form of `fill_gaps`."""
    codes = _codes_to_add(connection, record, study_ref)
    for code in codes:
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
    return {_CODES} if codes else set()


def _add_requests(connection: Connection, record: InstanceRecord, series_ref: int) -> None:
    for item in record.request_attributes:
        insert_if_new(
            connection,
            request_attributes,
            {
                "series_ref": series_ref,
                "requested_procedure_id": fitted_key(item.requested_procedure_id or ""),
                "scheduled_procedure_step_id": fitted_key(item.scheduled_procedure_step_id or ""),
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


def with_folded(values: Mapping[str, str | int | None], level: Level) -> dict[str, Any]:
    """Give values of a level their folded twins."""
    folds = ((column, fold_it) for column, fold_it in _FOLDED[level] if values.get(column))
    return {**values, **{column + FOLDED_SUFFIX: fold_it(str(values[column])) for column, fold_it in folds}}


def fill_gaps(
    connection: Connection, table: Table, row: Mapping[str, Any], values: Mapping[str, Any]
) -> set[str]:
    """Complete a row from a later instance; what the first one said stays, be it said in this very moment.

    Returns the columns that were completed.
    """
    gaps = {
        column: func.coalesce(table.c[column], value)
        for column, value in values.items()
        if value is not None and row[column] is None
    }
    if gaps:
        connection.execute(update(table).where(table.c.id == row["id"]).values(gaps))
    return set(gaps)


_CODES = "procedure codes"
_TOLD_BY_TERMS = TERM_COLUMNS | {_CODES, "modalities_in_study"}

# Built once: building a statement costs more than running it.
_STUDY = select(study).where(study.c.study_instance_uid == bindparam("uid"))
_SERIES = select(series).where(
    series.c.study_ref == bindparam("study_ref"), series.c.series_instance_uid == bindparam("uid")
)
_COUNT_SERIES_IN_STUDY = (
    update(study).where(study.c.id == bindparam("ref")).values(number_of_series=study.c.number_of_series + 1)
)
