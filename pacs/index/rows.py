"""From a record to the row of its instance."""

from __future__ import annotations

from typing import Any, Final

from pacs.index.models import instance
from pacs.index.parents import Parents
from pacs.index.records import InstanceRecord

INSTANCE_COLUMNS: Final = [column for column in instance.columns if column is not instance.c.id]
_NO_INSTANCE = dict.fromkeys(column.name for column in INSTANCE_COLUMNS)


def instance_row(record: InstanceRecord, parents: Parents) -> dict[str, Any]:
    """Make the row of an instance; its ``study_ref`` is no column, and is there to count by."""
    location = record.location
    return {
        **_NO_INSTANCE,
        **record.instance,
        "series_ref": parents.series_ref,
        "study_ref": parents.study_ref,
        "transfer_syntax_uid": record.transfer_syntax_uid,
        "object_key": location.key,
        "size_bytes": location.size_bytes,
        "sha256": location.sha256,
        "dataset_offset": location.dataset_offset,
        "pixel_data_offset": location.pixel_data_offset,
        "pixel_data_size_bytes": location.pixel_data_size_bytes,
        "calling_ae_title": record.calling_ae_title,
        "received_at": record.received_at,
    }
