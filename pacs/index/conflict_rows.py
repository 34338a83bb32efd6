"""The rows of conflicts: recorded by the writer, settled by a person or by the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, bindparam, or_, select, update

from pacs.dicom.attributes import ATTRIBUTES, Level
from pacs.index.engine import reading
from pacs.index.inserts import insert_if_new
from pacs.index.models import conflict
from pacs.index.moments import utc
from pacs.index.patient_identity import identity_digest
from pacs.index.records import Conflict, ConflictKind, Content, InstanceRecord
from storage.packed_keys import own_key

_ELSEWHERE = "pixel data, or attributes that the index does not keep"


def record_other_patient(connection: Connection, record: InstanceRecord, differing: Sequence[str]) -> None:
    """Record that a study has an instance of another patient: once for each such patient."""
    study_instance_uid = str(record.study["study_instance_uid"])
    subject = patient_subject(study_instance_uid, record.study)
    values = _row(record, ConflictKind.PATIENT, subject, study_instance_uid, ", ".join(differing))
    insert_if_new(connection, conflict, values)


def record_other_content(connection: Connection, record: InstanceRecord, current: Mapping[str, Any]) -> bool:
    """Record another content of an instance that is indexed; tell whether it was not known before."""
    if known_content_key(connection, record) is not None:
        return False
    of_current = {
        "first_object_key": current["object_key"],
        "first_size_bytes": current["size_bytes"],
        "first_sha256": current["sha256"],
        "first_calling_ae_title": current["calling_ae_title"],
        "first_received_at": current["received_at"],
    }
    differs = _differing_attributes(record, current)
    subject = content_subject(record.location.key)
    row = _row(record, ConflictKind.CONTENT, subject, current["study_instance_uid"], differs)
    return insert_if_new(connection, conflict, {**row, **of_current})


def known_content_key(connection: Connection, record: InstanceRecord) -> str | None:
    """Find the key of the object that a conflict has of this content; None if there is none."""
    wanted = {"uid": record.instance["sop_instance_uid"], "sha256": record.location.sha256}
    row = connection.execute(_OF_CONTENT, wanted).first()
    if row is None:
        return None
    return str(row.object_key if row.sha256 == wanted["sha256"] else row.first_object_key)


def content_subject(key: str) -> str:
    """Make the subject of a conflict about a content: its key, wherever its object lies."""
    return own_key(key)


def patient_subject(study_instance_uid: str, values: Mapping[str, Any]) -> str:
    """Make the subject of a conflict about one other patient of a study, without naming the patient."""
    return f"{study_instance_uid}\\{identity_digest(values)}"


def settle_row(connection: Connection, subject: str, kept: str, by: str, at: datetime) -> None:
    """Write down how a conflict was settled."""
    values = {"kept": kept, "settled_by": by, "settled_at": at}
    connection.execute(update(conflict).where(conflict.c.subject == subject).values(values))


def settle_content_rows(
    connection: Connection, current_key: str, former_key: str, by: str, at: datetime
) -> None:
    """Write down that one content is current in another's place: a settled conflict keeps what is current."""
    for key, kept in ((current_key, "new"), (former_key, "first")):
        of_content = conflict.c.kind == ConflictKind.CONTENT.value
        values = {"kept": kept, "settled_by": by, "settled_at": at}
        subject = content_subject(key)
        connection.execute(update(conflict).where(of_content, conflict.c.subject == subject).values(values))


def list_conflicts(
    engine: Engine, *, open_only: bool, study_instance_uid: str | None, limit: int
) -> list[Conflict]:
    """List conflicts, oldest first. Raises IndexUnavailable."""
    statement = select(conflict).order_by(conflict.c.id).limit(limit)
    if open_only:
        statement = statement.where(conflict.c.kept.is_(None))
    if study_instance_uid is not None:
        statement = statement.where(conflict.c.study_instance_uid == study_instance_uid)
    with reading(engine) as connection:
        return [_conflict(row) for row in connection.execute(statement)]


def find_conflict(engine: Engine, *, conflict_id: int | None = None, subject: str = "") -> Conflict | None:
    """Find a conflict by its number or its subject. Raises IndexUnavailable."""
    by = conflict.c.subject == subject if conflict_id is None else conflict.c.id == conflict_id
    with reading(engine) as connection:
        row = connection.execute(select(conflict).where(by)).one_or_none()
    return None if row is None else _conflict(row)


def _row(
    record: InstanceRecord, kind: ConflictKind, subject: str, study_instance_uid: str, differs: str
) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "subject": subject,
        "study_instance_uid": study_instance_uid,
        "sop_instance_uid": record.instance["sop_instance_uid"],
        "object_key": record.location.key,
        "size_bytes": record.location.size_bytes,
        "sha256": record.location.sha256,
        "calling_ae_title": record.calling_ae_title,
        "received_at": record.received_at,
        "differs": differs,
    }


def _differing_attributes(record: InstanceRecord, current: Mapping[str, Any]) -> str:
    """Name the attributes of the index in which a content is not as the current one and its study."""
    said: Mapping[Level, Mapping[str, Any]] = {
        Level.STUDY: record.study,
        Level.SERIES: record.series,
        Level.INSTANCE: {**record.instance, "transfer_syntax_uid": record.transfer_syntax_uid},
    }
    names = [
        attribute.column.replace("_", " ")
        for attribute in ATTRIBUTES
        if (value := said[attribute.level].get(attribute.column)) is not None
        and current.get(attribute.column) not in (None, value)
    ]
    return ", ".join(names) or _ELSEWHERE


def _conflict(row: Row[Any]) -> Conflict:
    first = None
    if row.first_object_key is not None:
        sender, received_at = row.first_calling_ae_title, utc(row.first_received_at)
        first = Content(row.first_object_key, row.first_sha256, sender, received_at)
    return Conflict(
        conflict_id=row.id,
        kind=ConflictKind(row.kind),
        subject=row.subject,
        study_instance_uid=row.study_instance_uid,
        sop_instance_uid=row.sop_instance_uid,
        new=Content(row.object_key, row.sha256, row.calling_ae_title, utc(row.received_at)),
        first=first,
        differs=row.differs,
        kept=row.kept,
        settled_by=row.settled_by,
        settled_at=None if row.settled_at is None else utc(row.settled_at),
    )


_OF_CONTENT = (
    select(conflict.c.object_key, conflict.c.sha256, conflict.c.first_object_key)
    .where(
        conflict.c.kind == ConflictKind.CONTENT.value,
        conflict.c.sop_instance_uid == bindparam("uid"),
        or_(conflict.c.sha256 == bindparam("sha256"), conflict.c.first_sha256 == bindparam("sha256")),
    )
    .limit(1)
)
