"""Reading the index: searches, and where instances lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Engine, FromClause, Row, Select, bindparam, select

from pacs.dicom.attributes import ATTRIBUTES, Attribute, Level
from pacs.index.conditions import TABLES, key_condition, text_conditions
from pacs.index.engine import reading
from pacs.index.models import (
    conflict,
    instance,
    procedure_code,
    request_attributes,
    series,
    study,
    tombstone,
)
from pacs.index.moments import utc
from pacs.index.records import (
    Match,
    ObjectLocation,
    ProcedureCode,
    Query,
    RequestAttributes,
    SearchResult,
    StoredInstance,
)

_STUDY_KEY, _SERIES_KEY = "_study_ref", "_series_ref"


def search(engine: Engine, query: Query) -> SearchResult:
    """Find what matches a query, newest study first, in a stable order.

    Raises
    ------
    pacs.errors.InvalidRequest
        A value is not of its key's form.
    pacs.errors.IndexUnavailable
    """
    statement = (
        _select(query.level)
        .where(*_conditions(query))
        .order_by(*_order(query.level))
        .limit(query.limit + 1)
        .offset(query.offset)
    )
    with reading(engine) as connection:
        rows = connection.execute(statement).all()
        page = rows[: query.limit]
        study_refs = {row._mapping[_STUDY_KEY] for row in page}
        modalities = _modalities(connection, study_refs)
        codes = _procedure_codes(connection, study_refs)
        series_refs = {row._mapping[_SERIES_KEY] for row in page if query.level >= Level.SERIES}
        requests = _request_attributes(connection, series_refs)
    matches = [_match(row, query.level, modalities, codes, requests) for row in page]
    return SearchResult(matches, truncated=len(rows) > query.limit)


def find_instances(
    engine: Engine,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> list[StoredInstance]:
    """List the instances of a study, a series, or one, by series number and instance number; empty if none.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    uids = {
        "study_uid": study_instance_uid,
        "series_uid": series_instance_uid,
        "sop_uid": sop_instance_uid,
    }
    statement = _instances_statement(series_instance_uid is not None, sop_instance_uid is not None)
    with reading(engine) as connection:
        return [_stored_instance(row) for row in connection.execute(statement, uids)]


@cache
def _instances_statement(of_series: bool, one: bool) -> Select[Any]:
    """Build a statement once: it runs for every frame, and building it costs more than running it."""
    conditions = [study.c.study_instance_uid == bindparam("study_uid")]
    if of_series:
        conditions.append(series.c.series_instance_uid == bindparam("series_uid"))
    if one:
        conditions.append(instance.c.sop_instance_uid == bindparam("sop_uid"))
    return (
        select(instance, study.c.study_instance_uid, series.c.series_instance_uid)
        .select_from(_joined(Level.INSTANCE))
        .where(*conditions)
        .order_by(
            series.c.series_number.nulls_last(),
            series.c.id,
            instance.c.instance_number.nulls_last(),
            instance.c.id,
        )
    )


def known_object_keys(engine: Engine, sop_instance_uids: Sequence[str]) -> set[str]:
    """Return the keys of all objects that the index has of these SOP Instance UIDs.

    Those of conflicts are among them, and those of deleted objects that may still lie in the store.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    return _object_keys(engine, (*_LIVING_KEYS, tombstone.c.object_key), sop_instance_uids)


def living_object_keys(engine: Engine, sop_instance_uids: Sequence[str]) -> set[str]:
    """Return those of the keys that belong to an instance or to a conflict.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    return _object_keys(engine, _LIVING_KEYS, sop_instance_uids)


def _object_keys(
    engine: Engine, columns: Iterable[Column[Any]], sop_instance_uids: Sequence[str]
) -> set[str]:
    with reading(engine) as connection:
        return {
            key
            for column in columns
            for key in connection.scalars(
                select(column).where(
                    column.table.c.sop_instance_uid.in_(sop_instance_uids), column.is_not(None)
                )
            )
        }


_LIVING_KEYS = (instance.c.object_key, conflict.c.object_key, conflict.c.first_object_key)


def is_empty(engine: Engine) -> bool:
    """Tell whether no instance is indexed.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    with reading(engine) as connection:
        return connection.scalar(select(instance.c.id).limit(1)) is None


def object_keys(engine: Engine, sop_instance_uid: str, sha256: str) -> list[str]:
    """Return the keys under which a content is kept, as the current one of its instance or in a conflict.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    columns = (
        (instance.c.object_key, instance.c.sop_instance_uid, instance.c.sha256),
        (conflict.c.object_key, conflict.c.sop_instance_uid, conflict.c.sha256),
        (conflict.c.first_object_key, conflict.c.sop_instance_uid, conflict.c.first_sha256),
    )
    with reading(engine) as connection:
        return list(
            {
                key
                for found, uid, digest in columns
                for key in connection.scalars(select(found).where(uid == sop_instance_uid, digest == sha256))
            }
        )


def _attributes(level: Level) -> list[Attribute]:
    return [
        attribute for attribute in ATTRIBUTES if attribute.level <= level and _column(attribute) is not None
    ]


def _column(attribute: Attribute) -> ColumnElement[Any] | None:
    return TABLES[attribute.level].c.get(attribute.column)


def _select(level: Level) -> Select[Any]:
    columns: list[ColumnElement[Any]] = [study.c.id.label(_STUDY_KEY)]
    if level >= Level.SERIES:
        columns.append(series.c.id.label(_SERIES_KEY))
    for attribute in _attributes(level):
        columns.append(TABLES[attribute.level].c[attribute.column].label(attribute.keyword))
    return select(*columns).select_from(_joined(level))


def _joined(level: Level) -> FromClause:
    joined: FromClause = study
    if level >= Level.SERIES:
        joined = joined.join(series, series.c.study_ref == study.c.id)
    if level >= Level.INSTANCE:
        joined = joined.join(instance, instance.c.series_ref == series.c.id)
    return joined


def _conditions(query: Query) -> list[ColumnElement[bool]]:
    found = [key_condition(key, value) for key, value in query.keys]
    conditions = [condition for condition in found if condition is not None]
    if query.study_instance_uid is not None:
        conditions.append(study.c.study_instance_uid == query.study_instance_uid)
    if query.series_instance_uid is not None:
        conditions.append(series.c.series_instance_uid == query.series_instance_uid)
    return conditions + (text_conditions(query.text) if query.text else [])


def _order(level: Level) -> Iterable[ColumnElement[Any]]:
    yield study.c.study_date.desc().nulls_last()
    yield study.c.study_time.desc().nulls_last()
    yield study.c.id.desc()
    if level >= Level.SERIES:
        yield series.c.series_number.nulls_last()
        yield series.c.id
    if level >= Level.INSTANCE:
        yield instance.c.instance_number.nulls_last()
        yield instance.c.id


def _modalities(connection: Connection, study_refs: set[int]) -> Mapping[int, list[str]]:
    rows = connection.execute(
        select(series.c.study_ref, series.c.modality)
        .where(series.c.study_ref.in_(study_refs), series.c.modality.is_not(None))
        .distinct()
        .order_by(series.c.modality)
    )
    found = defaultdict(list)
    for row in rows:
        found[row.study_ref].append(row.modality)
    return found


def _procedure_codes(connection: Connection, study_refs: set[int]) -> Mapping[int, list[ProcedureCode]]:
    rows = connection.execute(
        select(procedure_code).where(procedure_code.c.study_ref.in_(study_refs)).order_by(procedure_code.c.id)
    )
    found = defaultdict(list)
    for row in rows:
        found[row.study_ref].append(ProcedureCode(row.value, row.scheme, row.meaning, row.origin))
    return found


def _request_attributes(
    connection: Connection, series_refs: set[int]
) -> Mapping[int, list[RequestAttributes]]:
    rows = connection.execute(
        select(request_attributes)
        .where(request_attributes.c.series_ref.in_(series_refs))
        .order_by(request_attributes.c.id)
    )
    found = defaultdict(list)
    for row in rows:
        found[row.series_ref].append(
            RequestAttributes(row.requested_procedure_id or None, row.scheduled_procedure_step_id or None)
        )
    return found


def _match(
    row: Row[Any],
    level: Level,
    modalities: Mapping[int, list[str]],
    codes: Mapping[int, list[ProcedureCode]],
    requests: Mapping[int, list[RequestAttributes]],
) -> Match:
    study_ref, series_ref = row._mapping[_STUDY_KEY], row._mapping.get(_SERIES_KEY)
    values = {attribute.keyword: row._mapping[attribute.keyword] for attribute in _attributes(level)}
    values["ModalitiesInStudy"] = modalities.get(study_ref, [])
    return Match(
        values, codes.get(study_ref, ()), requests.get(series_ref, ()) if series_ref is not None else ()
    )


def _stored_instance(row: Row[Any]) -> StoredInstance:
    return StoredInstance(
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        instance_number=row.instance_number,
        number_of_frames=max(row.number_of_frames or 1, 1),
        location=ObjectLocation(
            key=row.object_key,
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            dataset_offset=row.dataset_offset,
            pixel_data_offset=row.pixel_data_offset,
            pixel_data_size_bytes=row.pixel_data_size_bytes,
        ),
        received_at=utc(row.received_at),
    )
