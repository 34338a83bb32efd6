"""Reading the index: where instances and their objects lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, Dialect, Engine, bindparam, select

from pacs.index.driver_select import DriverSelect
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
    found = _instances_select(engine.dialect, series_instance_uid is not None, sop_instance_uid is not None)
    return [stored_instance(values) for values in found.rows(engine, uids)]


@lru_cache
def _instances_select(dialect: Dialect, of_series: bool, one: bool) -> DriverSelect:
    """Build a statement once: it runs for every frame, and building it costs more than running it."""
    conditions = [study.c.study_instance_uid == bindparam("study_uid")]
    if of_series:
        conditions.append(series.c.series_instance_uid == bindparam("series_uid"))
    if one:
        conditions.append(instance.c.sop_instance_uid == bindparam("sop_uid"))
    return DriverSelect(dialect, in_reading_order(select(*READ)).where(*conditions))


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


# What is read of an instance, in the order in which `stored_instance` takes it.
READ = (
    study.c.study_instance_uid,
    series.c.series_instance_uid,
    instance.c.sop_instance_uid,
    instance.c.sop_class_uid,
    instance.c.transfer_syntax_uid,
    instance.c.instance_number,
    instance.c.number_of_frames,
    instance.c.received_at,
    instance.c.object_key,
    instance.c.size_bytes,
    instance.c.sha256,
    instance.c.dataset_offset,
    instance.c.pixel_data_offset,
    instance.c.pixel_data_size_bytes,
)


def stored_instance(values: Sequence[Any]) -> StoredInstance:
    """Make an instance of the columns of ``READ``."""
    study_uid, series_uid, uid, sop_class_uid, syntax_uid, number, frames, received_at, *place = values
    return StoredInstance(
        study_instance_uid=study_uid,
        series_instance_uid=series_uid,
        sop_instance_uid=uid,
        sop_class_uid=sop_class_uid,
        transfer_syntax_uid=syntax_uid,
        instance_number=number,
        number_of_frames=max(frames or 1, 1),
        location=ObjectLocation(*place),
        received_at=utc(received_at),
    )
