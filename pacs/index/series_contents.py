"""What series consist of: enough to tell whether something made of one is still true of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Engine, Select, bindparam, func, select

from pacs.index.engine import reading
from pacs.index.models import instance, series, study
from pacs.index.moments import utc
from pacs.index.reading_order import in_reading_order


@dataclass(slots=True)
class SeriesContents:
    """A series by the SHA-256 of its objects, in the order in which readers get its instances."""

    study_instance_uid: str
    series_instance_uid: str
    sha256s: list[str] = field(default_factory=list)
    headers_size_bytes: int = 0  # what lies before the pixel data, of all objects together

    def add(self, sha256: str, header_size_bytes: int) -> None:
        """Add an instance behind the others."""
        self.sha256s.append(sha256)
        self.headers_size_bytes += header_size_bytes


@dataclass(frozen=True, slots=True)
class SettledSeries:
    """Series whose last instance came a while ago; ``cursor`` is where to go on."""

    cursor: int
    uids: list[tuple[str, str]]  # Study and Series Instance UID


def list_series_contents(
    engine: Engine, study_instance_uid: str, series_instance_uid: str | None = None
) -> list[SeriesContents]:
    """List what the series of a study, or one of them, consist of; empty if there is none.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    uids = {"study_uid": study_instance_uid, "series_uid": series_instance_uid}
    found: dict[int, SeriesContents] = {}
    with reading(engine) as connection:
        rows = connection.execute(_contents_statement(series_instance_uid is not None), uids)
        for series_ref, series_uid, sha256, size_bytes, pixel_data_offset in rows:
            contents = found.get(series_ref)
            if contents is None:
                contents = found[series_ref] = SeriesContents(study_instance_uid, series_uid)
            contents.add(sha256, size_bytes if pixel_data_offset is None else pixel_data_offset)
    return list(found.values())


def list_settled_series(engine: Engine, cursor: int, received_before: datetime, limit: int) -> SettledSeries:
    """List the series of at most ``limit`` instances behind a cursor that have no instance after these.

    A series that still grows is left out: its later instances lie behind the next cursor.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    series_refs = set()
    with reading(engine) as connection:
        rows = connection.execute(_ARRIVED, {"cursor": cursor, "number": limit})
        for instance_id, series_ref, received_at in rows:
            if utc(received_at) > received_before:
                break
            cursor = instance_id
            series_refs.add(series_ref)
        last = func.max(instance.c.id)
        settled = connection.execute(
            select(study.c.study_instance_uid, series.c.series_instance_uid)
            .join(series, series.c.study_ref == study.c.id)
            .join(instance, instance.c.series_ref == series.c.id)
            .where(series.c.id.in_(series_refs))
            .group_by(study.c.study_instance_uid, series.c.series_instance_uid)
            .having(last <= cursor)
            .order_by(last)
        )
        return SettledSeries(cursor, [(study_uid, series_uid) for study_uid, series_uid in settled])


def known_series(engine: Engine, series_instance_uids: Iterable[str]) -> set[tuple[str, str]]:
    """Return the Study and Series Instance UIDs of those series that there are.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    statement = (
        select(study.c.study_instance_uid, series.c.series_instance_uid)
        .join(series, series.c.study_ref == study.c.id)
        .where(series.c.series_instance_uid.in_(list(series_instance_uids)))
    )
    with reading(engine) as connection:
        return {(study_uid, series_uid) for study_uid, series_uid in connection.execute(statement)}


def newest_instance(engine: Engine) -> int:
    """Return a cursor behind all instances; 0 where there is none.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    with reading(engine) as connection:
        return connection.scalar(select(func.max(instance.c.id))) or 0


@cache
def _contents_statement(of_series: bool) -> Select[Any]:
    conditions = [study.c.study_instance_uid == bindparam("study_uid")]
    if of_series:
        conditions.append(series.c.series_instance_uid == bindparam("series_uid"))
    wanted = select(
        series.c.id,
        series.c.series_instance_uid,
        instance.c.sha256,
        instance.c.size_bytes,
        instance.c.pixel_data_offset,
    )
    return in_reading_order(wanted).where(*conditions)


_ARRIVED = (
    select(instance.c.id, instance.c.series_ref, instance.c.received_at)
    .where(instance.c.id > bindparam("cursor"))
    .order_by(instance.c.id)
    .limit(bindparam("number"))
)
