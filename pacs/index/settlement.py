"""Settling a conflict: one transaction, after which rows say what they would had things come so at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Connection, Engine, select

from pacs.errors import NotFound
from pacs.index.conflict_rows import patient_subject, settle_content_rows, settle_row
from pacs.index.engine import writing
from pacs.index.ledger_rows import append_lines
from pacs.index.models import conflict as conflict_table
from pacs.index.models import study
from pacs.index.records import Conflict, ConflictKind, InstanceRecord
from pacs.index.replacement import (
    current_content,
    earliest_object,
    make_current,
    tell_series,
    tell_study,
)
from pacs.ledger.entries import Kept, Settlement, write_entry

Read: TypeAlias = Callable[[str], InstanceRecord]  # of the object under a key

ADMINISTRATOR = "administrator"
_BY_CONTENT = "another content"  # the study's first instance came to name that patient


def settle(
    engine: Engine, conflict: Conflict, kept: Kept, at: datetime, read: Read, *, in_ledger: bool = True
) -> None:
    """Settle a conflict; one that is settled already may be settled otherwise.

    Parameters
    ----------
    kept
        ``first``: what was there when the conflict came stays, or is current again. ``new``: the content that
        came with it becomes current, or the study is of its patient now.
    read
        Reads the record of an object; what it raises leaves everything as it was.
    in_ledger
        Write the settlement into the ledger; not where it comes from there.

    Raises
    ------
    pacs.errors.NotFound
        The instance is not there any more.
    pacs.errors.IndexUnavailable
    """
    with writing(engine) as connection:
        if conflict.kind is ConflictKind.CONTENT:
            _settle_content(connection, conflict, kept, at, read)
        else:
            _settle_patient(connection, conflict, kept, read)
        settle_row(connection, conflict.subject, kept, ADMINISTRATOR, at)
        if in_ledger:
            append_lines(connection, write_entry(Settlement(at, conflict.subject, kept, ADMINISTRATOR)))


def _settle_content(connection: Connection, conflict: Conflict, kept: Kept, at: datetime, read: Read) -> None:
    current = current_content(connection, conflict.sop_instance_uid)
    if current is None or conflict.first is None:
        raise NotFound("the instance is not in the index any more")
    is_new = current["sha256"] == conflict.new.sha256
    if is_new == (kept == "new"):
        return
    former = str(current["object_key"])
    chosen = conflict.new if kept == "new" else conflict.first
    record = read(chosen.object_key)
    make_current(connection, record, current)
    settle_content_rows(connection, chosen.object_key, former, ADMINISTRATOR, at)
    places = {
        (current["study_instance_uid"], current["series_instance_uid"]),
        (record.study["study_instance_uid"], record.series["series_instance_uid"]),
    }
    for study_instance_uid, series_instance_uid in sorted(places):
        retell(connection, study_instance_uid, series_instance_uid, at, read)


def retell(
    connection: Connection, study_instance_uid: str, series_instance_uid: str, at: datetime, read: Read
) -> None:
    """Let what came first say what study and series are, as it would have from the beginning."""
    first_of_series = earliest_object(connection, study_instance_uid, series_instance_uid)
    if first_of_series is not None:
        tell_series(connection, read(first_of_series))
    first_of_study = earliest_object(connection, study_instance_uid)
    if first_of_study is not None and not _patient_was_chosen(connection, study_instance_uid):
        record = read(first_of_study)
        tell_study(connection, record)
        subject = patient_subject(study_instance_uid, record.study)
        settle_row(connection, subject, "new", _BY_CONTENT, at)


def _patient_was_chosen(connection: Connection, study_instance_uid: str) -> bool:
    """Tell whether a person has said of whom the study is."""
    row = connection.execute(select(study).where(study.c.study_instance_uid == study_instance_uid)).one()
    chosen = select(conflict_table.c.id).where(
        conflict_table.c.subject == patient_subject(study_instance_uid, dict(row._mapping)),
        conflict_table.c.kept == "new",
        conflict_table.c.settled_by == ADMINISTRATOR,
    )
    return connection.scalar(chosen) is not None


def _settle_patient(connection: Connection, conflict: Conflict, kept: Kept, read: Read) -> None:
    """Make the study that of the instance's patient, or of whom it was of before."""
    if kept == "new":
        tell_study(connection, read(conflict.new.object_key))
    elif conflict.kept == "new":
        first = earliest_object(connection, conflict.study_instance_uid)
        if first is not None:
            tell_study(connection, read(first))
