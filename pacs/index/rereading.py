"""Studies that were indexed before the index had all of its columns: their first objects, and their gaps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, Engine, bindparam, select, update

from pacs.dicom.attributes import Level
from pacs.index.engine import reading, writing
from pacs.index.models import instance, rereading, series, study
from pacs.index.parents import fill_gaps, with_folded
from pacs.index.patient_identity import differing_identity
from pacs.index.records import InstanceRecord
from pacs.index.study_terms import TERM_COLUMNS, tell_terms


class StudyToReread(NamedTuple):
    """A study, and the object of the instance that came first, which says what the study is."""

    study_ref: int
    object_key: str
    size_bytes: int


def list_studies_to_reread(engine: Engine, limit: int) -> list[StudyToReread]:
    """List the next studies that older software has indexed; empty when all were read again.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    with reading(engine) as connection:
        refs = connection.scalars(_NEXT.limit(limit)).all()
        first = (connection.execute(_FIRST_OBJECT, {"ref": ref}).one_or_none() for ref in refs)
        return [
            StudyToReread(ref, row.object_key, row.size_bytes)
            for ref, row in zip(refs, first, strict=True)
            if row is not None
        ]


def complete_studies(
    engine: Engine, reread: Iterable[StudyToReread], records: Iterable[InstanceRecord]
) -> None:
    """Fill the gaps of studies by records of their objects, and remember that these were read.

    What a study says already stays. Raises IndexUnavailable.
    """
    with writing(engine) as connection:
        # in the order in which writers lock
        for record in sorted(records, key=lambda one: str(one.study["study_instance_uid"])):
            _complete(connection, record)
        done = max(one.study_ref for one in reread)
        connection.execute(update(rereading).where(rereading.c.done < done).values(done=done))


def _complete(connection: Connection, record: InstanceRecord) -> None:
    uid = record.study["study_instance_uid"]
    row = connection.execute(_STUDY, {"uid": uid}).one_or_none()
    if row is None or differing_identity(dict(row._mapping), record.study):
        return
    told = fill_gaps(connection, study, dict(row._mapping), with_folded(record.study, Level.STUDY))
    if not told.isdisjoint(TERM_COLUMNS):
        tell_terms(connection, row.id)


_NEXT = (
    select(study.c.id)
    .join(rereading, (study.c.id > rereading.c.done) & (study.c.id <= rereading.c.last))
    .order_by(study.c.id)
)
_FIRST_OBJECT = (
    select(instance.c.object_key, instance.c.size_bytes)
    .join(series, series.c.id == instance.c.series_ref)
    .where(series.c.study_ref == bindparam("ref"))
    .order_by(instance.c.received_at, instance.c.sop_instance_uid)
    .limit(1)
)
_STUDY = select(study).where(study.c.study_instance_uid == bindparam("uid")).with_for_update()
