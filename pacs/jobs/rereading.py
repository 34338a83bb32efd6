"""Reading studies again that older software has indexed, for the columns that it did not have."""

from __future__ import annotations

import logging
import time
from threading import Event
from typing import Final

from pacs.adoption import scan_object
from pacs.archive import Archive
from pacs.errors import ArchiveError, IndexUnavailable
from pacs.index.records import InstanceRecord
from pacs.index.rereading import StudyToReread
from pacs.ingest import Origin
from storage.errors import ObjectNotFound, StoreError

_log = logging.getLogger(__name__)

_BATCH_SIZE: Final = 50
_SHARE: Final = 0.25  # of the time, so that ingest does not feel it
_RETRY_AFTER_S: Final = 30.0
_LOOK_EVERY_S: Final = 3600.0
_ORIGIN: Final = Origin(None)


def keep_rereading(archive: Archive, stop: Event) -> None:
    """Read again what older software has indexed, until all is done, or ``stop`` is set."""
    while not stop.is_set():
        begin_s = time.monotonic()
        try:
            is_done = reread_studies(archive) == 0
            stop.wait(_LOOK_EVERY_S if is_done else (time.monotonic() - begin_s) * (1 / _SHARE - 1))
        except (IndexUnavailable, StoreError) as error:
            _log.warning("studies could not be read again, which will be tried again: %s", error)
            stop.wait(_RETRY_AFTER_S)


def reread_studies(archive: Archive, limit: int = _BATCH_SIZE) -> int:
    """Read the first object of each of the next studies, and fill what the studies lack; return how many.

    An object that is missing or damaged leaves its study as it is.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    studies = archive.index.list_studies_to_reread(limit)
    if studies:
        records = [_scan(archive, one) for one in studies]
        archive.index.complete_studies(studies, [one for one in records if one is not None])
    return len(studies)


def _scan(archive: Archive, one: StudyToReread) -> InstanceRecord | None:
    try:
        return scan_object(archive, one.object_key, one.size_bytes, _ORIGIN)
    except IndexUnavailable:
        raise
    except (ArchiveError, ObjectNotFound) as error:
        _log.warning("an object cannot be read again (%s): %s", error, one.object_key)
        return None
