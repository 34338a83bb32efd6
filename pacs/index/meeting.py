"""What becomes of an instance whose SOP Instance UID is known already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from pacs.conflict_policy import ConflictPolicy
from pacs.index.conflict_rows import (
    content_subject,
    known_content_key,
    record_other_content,
    settle_content_rows,
    settle_row,
)
from pacs.index.engine import TransactionLost
from pacs.index.patient_identity import differing_identity
from pacs.index.records import InstanceRecord, WriteOutcome
from pacs.index.replacement import current_content, make_current, tell_where_alone

POLICY = "policy"


def meet_known_instance(connection: Connection, record: InstanceRecord) -> WriteOutcome:
    """Do with another content of a known instance what the record says; with the same one, nothing."""
    current = current_content(connection, str(record.instance["sop_instance_uid"]))
    if current is None:  # the caller has just seen it: it was moved in this moment
        raise TransactionLost("the instance is being changed")
    if current["sha256"] == record.location.sha256:
        return WriteOutcome.ALREADY_THERE
    first_seen = record_other_content(connection, record, current)
    if record.on_conflict is ConflictPolicy.REFUSE:
        if not first_seen:
            return WriteOutcome.REFUSED_AGAIN
        settle_row(connection, content_subject(record.location.key), "first", POLICY, record.received_at)
        return WriteOutcome.REFUSED
    if record.on_conflict is ConflictPolicy.REPLACE and _same_place(record, current):
        make_current(connection, _at_known_key(connection, record), current)
        key, former = record.location.key, str(current["object_key"])
        settle_content_rows(connection, key, former, POLICY, record.received_at)
        tell_where_alone(connection, record)
        return WriteOutcome.REPLACED
    return WriteOutcome.CONFLICT if first_seen else WriteOutcome.KNOWN_CONFLICT


def _at_known_key(connection: Connection, record: InstanceRecord) -> InstanceRecord:
    """Take the object that the archive has of a content, where it has one; what came now is a second copy."""
    key = known_content_key(connection, record)
    return record if key is None else replace(record, location=replace(record.location, key=key))


def _same_place(record: InstanceRecord, current: Mapping[str, Any]) -> bool:
    """Only a person may move an instance to another study or patient; a device that reuses UIDs may not."""
    return current["study_instance_uid"] == record.study["study_instance_uid"] and not differing_identity(
        current, record.study
    )
