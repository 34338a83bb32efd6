"""Reading the index: where instances and their objects lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Engine, Row, Select, bindparam, select

from pacs.index.engine import reading
from pacs.index.models import conflict, instance, series, study, tombstone
from pacs.index.moments import utc
from pacs.index.reading_order import in_reading_order
from pacs.index.records import ObjectLocation, StoredInstance


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
    wanted = select(instance, study.c.study_instance_uid, series.c.series_instance_uid)
    return in_reading_order(wanted).where(*conditions)


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
