"""Making another content the current one of a SOP Instance UID, and taking one out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, func, select, update

from pacs.dicom.attributes import Level
from pacs.index.contents import retell_contents
from pacs.index.models import instance, series, study
from pacs.index.parents import ensure_parents, ensure_patient, with_folded
from pacs.index.patient_identity import PATIENT_COLUMNS, differing_identity
from pacs.index.records import InstanceRecord
from pacs.index.rows import instance_row
from pacs.index.study_terms import tell_terms


def current_content(connection: Connection, sop_instance_uid: str) -> Mapping[str, Any] | None:
    """Read the row of an instance with those of its series and study, by column; None if there is none.

    It is locked until the transaction ends, so that of two who change it the second sees what the first did.
    """
    row = connection.execute(_CURRENT, {"uid": sop_instance_uid}).one_or_none()
    return None if row is None else dict(row._mapping)


def make_current(connection: Connection, record: InstanceRecord, current: Mapping[str, Any]) -> None:
    """Put a content in the place of the current one, in another series or study if that is where it belongs.

    What series and study say stays; `tell_series` and `tell_study` change that.
    """
    parents = ensure_parents(connection, record)
    row = instance_row(record, parents)
    del row["study_ref"]
    connection.execute(update(instance).where(instance.c.id == current["instance_id"]).values(row))
    if parents.series_ref != current["series_ref"]:
        _count(connection, parents.study_ref, parents.series_ref, 1)
        _count(connection, current["study_ref"], current["series_ref"], -1)
        _remove_empty(connection, current["study_ref"], current["series_ref"])
    _retell_if_last(connection, [current])


def tell_where_alone(connection: Connection, record: InstanceRecord) -> None:
    """Let an instance that is the only one of its series, or of its study, say what that is."""
    row = connection.execute(_COUNTS, {"uid": record.instance["sop_instance_uid"]}).one()
    if row.in_series == 1:
        tell_series(connection, record)
    if row.in_study == 1:
        tell_study(connection, record)


def current_contents(connection: Connection, uids: Sequence[str], limit: int) -> list[Mapping[str, Any]]:
    """Read and lock rows as `current_content` does: of a study, of a series, or of one instance in it."""
    columns = (study.c.study_instance_uid, series.c.series_instance_uid, instance.c.sop_instance_uid)
    conditions = [column == uid for column, uid in zip(columns, uids, strict=False)]
    # in the order in which writers lock
    statement = _CONTENTS.where(*conditions).order_by(*columns).limit(limit).with_for_update(of=instance)
    return [dict(row._mapping) for row in connection.execute(statement)]


def remove_instances(connection: Connection, current: Sequence[Mapping[str, Any]]) -> None:
    """Take instances out of the index, and their series and studies where they are empty then."""
    ids = [row["instance_id"] for row in current]
    connection.execute(delete(instance).where(instance.c.id.in_(ids)))
    in_series = Counter((row["study_ref"], row["series_ref"]) for row in current)
    in_study = Counter(row["study_ref"] for row in current)
    for (_, series_ref), number in sorted(in_series.items(), key=lambda one: one[0][1]):
        _count_in(connection, series, series_ref, -number)
    for study_ref, number in sorted(in_study.items()):
        _count_in(connection, study, study_ref, -number)
    for study_ref, series_ref in sorted(in_series):
        _remove_empty(connection, study_ref, series_ref)
    _retell_if_last(connection, current)


def tell_study(connection: Connection, record: InstanceRecord) -> None:
    """Let an instance say what its study is; of another patient, whom it named before, nothing stays."""
    of_study = study.c.study_instance_uid == record.study["study_instance_uid"]
    row = connection.execute(select(study).where(of_study)).one()
    values = with_folded(record.study, Level.STUDY)
    if differing_identity(dict(row._mapping), record.study):
        nobody = dict.fromkeys((*PATIENT_COLUMNS, "patient_name_folded"))
        values = {**nobody, **values, "patient_ref": ensure_patient(connection, record.study)}
    connection.execute(update(study).where(of_study).values(values))
    tell_terms(connection, row.id)


def tell_series(connection: Connection, record: InstanceRecord) -> None:
    """Let an instance say what its series is."""
    uid = record.study["study_instance_uid"]
    study_ref = connection.execute(select(study.c.id).where(study.c.study_instance_uid == uid)).scalar_one()
    connection.execute(
        update(series)
        .where(
            series.c.study_ref == study_ref,
            series.c.series_instance_uid == record.series["series_instance_uid"],
        )
        .values(with_folded(record.series, Level.SERIES))
    )
    _retell(connection, study_ref)


def earliest_object(
    connection: Connection, study_instance_uid: str, series_instance_uid: str | None = None
) -> str | None:
    """Find the key of the content of a study or series that came first; None if there is none any more."""
    statement = (
        select(instance.c.object_key)
        .join(series, series.c.id == instance.c.series_ref)
        .join(study, study.c.id == series.c.study_ref)
        .where(study.c.study_instance_uid == study_instance_uid)
        .order_by(instance.c.received_at, instance.c.sop_instance_uid)
        .limit(1)
    )
    if series_instance_uid is not None:
        statement = statement.where(series.c.series_instance_uid == series_instance_uid)
    key: str | None = connection.scalar(statement)
    return key


def _count(connection: Connection, study_ref: int, series_ref: int, added: int) -> None:
    _count_in(connection, series, series_ref, added)
    _count_in(connection, study, study_ref, added)


def _count_in(connection: Connection, table: Table, ref: int, added: int) -> None:
    number = table.c.number_of_instances + added
    connection.execute(update(table).where(table.c.id == ref).values(number_of_instances=number))


def _remove_empty(connection: Connection, study_ref: int, series_ref: int) -> None:
    removed = connection.execute(
        delete(series).where(series.c.id == series_ref, series.c.number_of_instances == 0)
    )
    if removed.rowcount:
        of_study = select(func.count()).select_from(series).where(series.c.study_ref == study_ref)
        number = of_study.scalar_subquery()
        connection.execute(update(study).where(study.c.id == study_ref).values(number_of_series=number))
        connection.execute(delete(study).where(study.c.id == study_ref, study.c.number_of_instances == 0))


def _retell_if_last(connection: Connection, taken_out: Sequence[Mapping[str, Any]]) -> None:
    """Tell what studies are made of anew if no series or instance is left that is what was taken out."""
    contents = {(row["study_ref"], row["modality"], row["sop_class_uid"]) for row in taken_out}
    changed = set()
    for study_ref, modality, sop_class_uid in contents:
        values = {"study_ref": study_ref, "modality": modality, "sop_class_uid": sop_class_uid}
        for statement in (_OF_SAME_MODALITY, _OF_SAME_SOP_CLASS):
            if connection.execute(statement, values).first() is None:
                changed.add(study_ref)
    for study_ref in sorted(changed):
        _retell(connection, study_ref)


def _retell(connection: Connection, study_ref: int) -> None:
    if connection.execute(_LOCKED, {"ref": study_ref}).first() is not None:
        retell_contents(connection, study_ref)
        tell_terms(connection, study_ref)


_CONTENTS = (
    select(
        *(column for column in instance.c if column.name != "id"),
        *(column for column in series.c if column.name not in ("id", "number_of_instances")),
        *(
            column
            for column in study.c
            if column.name not in ("id", "number_of_instances", "received_at", "patient_ref")
        ),
        instance.c.id.label("instance_id"),
    )
    .join(series, series.c.id == instance.c.series_ref)
    .join(study, study.c.id == series.c.study_ref)
)
_CURRENT = _CONTENTS.where(instance.c.sop_instance_uid == bindparam("uid")).with_for_update(of=instance)
_LOCKED = select(study.c.id).where(study.c.id == bindparam("ref")).with_for_update()
_OF_SAME_MODALITY = (
    select(series.c.id)
    .where(series.c.study_ref == bindparam("study_ref"), series.c.modality == bindparam("modality"))
    .limit(1)
)
_OF_SAME_SOP_CLASS = (
    select(instance.c.id)
    .join(series, series.c.id == instance.c.series_ref)
    .where(
        series.c.study_ref == bindparam("study_ref"), instance.c.sop_class_uid == bindparam("sop_class_uid")
    )
    .limit(1)
)
_COUNTS = (
    select(series.c.number_of_instances.label("in_series"), study.c.number_of_instances.label("in_study"))
    .select_from(instance)
    .join(series, series.c.id == instance.c.series_ref)
    .join(study, study.c.id == series.c.study_ref)
    .where(instance.c.sop_instance_uid == bindparam("uid"))
)
