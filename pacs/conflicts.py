"""Conflicts for an administrator: what differs, and settling them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydicom.datadict import keyword_for_tag

from pacs.adoption import read_object
from pacs.archive import Archive
from pacs.errors import NotFound
from pacs.index.records import Conflict, InstanceRecord, StoredInstance
from pacs.ingest import Origin
from pacs.ledger.entries import Kept
from pacs.retrieve import read_attributes

_MAX_SHOWN_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Difference:
    """An attribute in which two contents differ; its values are for the eyes of the administrator only."""

    keyword: str
    first: str
    new: str


def find_conflict(archive: Archive, conflict_id: int) -> Conflict:
    """Find a conflict by its number. Raises NotFound, IndexUnavailable."""
    found = archive.index.find_conflict(conflict_id=conflict_id)
    if found is None:
        raise NotFound(f"there is no conflict {conflict_id}")
    return found


def settle(
    archive: Archive, conflict: Conflict, kept: Kept, at: datetime | None = None, *, in_ledger: bool = True
) -> None:
    """Settle a conflict: keep what was there ``first``, or what came as ``new``. Nothing leaves the store.

    Raises
    ------
    pacs.errors.NotFound
        The instance is not in the index any more.
    pacs.errors.UnreadableInstance, storage.errors.StoreError
        The content to keep is damaged or cannot be read: nothing has changed.
    pacs.errors.IndexUnavailable
    """
    contents = {content.object_key: content for content in (conflict.new, conflict.first) if content}

    def read(key: str) -> InstanceRecord:
        record = read_object(archive, key, Origin(None))
        content = contents.get(key)
        if content is None:
            return record
        return replace(record, received_at=content.received_at, calling_ae_title=content.calling_ae_title)

    archive.index.settle(conflict, kept, at or datetime.now(UTC), read, in_ledger=in_ledger)


def compare_contents(archive: Archive, conflict: Conflict) -> list[Difference]:
    """List the attributes before the pixel data in which two contents differ; none for a patient conflict.

    Raises
    ------
    pacs.errors.UnreadableInstance, storage.errors.StoreError
    """
    if conflict.first is None:
        return []
    first, new = (
        read_attributes(archive, _as_stored(read_object(archive, content.object_key, Origin(None))))
        for content in (conflict.first, conflict.new)
    )
    differing = [tag for tag in sorted({*first.keys(), *new.keys()}) if first.get(tag) != new.get(tag)]
    return [
        Difference(keyword_for_tag(tag) or str(tag), _shown(first.get(tag)), _shown(new.get(tag)))
        for tag in differing
    ]


def _as_stored(record: InstanceRecord) -> StoredInstance:
    return StoredInstance(
        study_instance_uid=str(record.study["study_instance_uid"]),
        series_instance_uid=str(record.series["series_instance_uid"]),
        sop_instance_uid=str(record.instance["sop_instance_uid"]),
        sop_class_uid=str(record.instance["sop_class_uid"]),
        transfer_syntax_uid=record.transfer_syntax_uid,
        instance_number=None,
        number_of_frames=1,
        location=record.location,
        received_at=record.received_at,
    )


def _shown(element: object) -> str:
    value = getattr(element, "value", None)
    text = "" if value is None else f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= _MAX_SHOWN_LENGTH else text[: _MAX_SHOWN_LENGTH - 1] + "…"
