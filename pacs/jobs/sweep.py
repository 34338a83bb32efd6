"""Finding what a crash left behind: abandoned temporaries, and objects that no row points to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event

from pacs.archive import Archive
from pacs.dicom.object_keys import ObjectName, parse_key
from pacs.errors import ArchiveError, IndexUnavailable
from pacs.ingest import adopt_object
from storage.errors import ObjectNotFound, StoreError

_log = logging.getLogger(__name__)

_BATCH_SIZE = 500
_SETTLED_AFTER = timedelta(seconds=60)  # a younger object may just be on its way into the index
_ABANDONED_AFTER_S = 3600.0


@dataclass(slots=True)
class SweepReport:
    """What one sweep did."""

    examined: int = 0
    adopted: int = 0
    unreadable: int = 0
    postponed: int = 0  # not to be had from the store just now
    temporaries_removed: int = 0


def sweep(archive: Archive, stop: Event, settled_after: timedelta = _SETTLED_AFTER) -> SweepReport:
    """Index every settled object that the index lacks; deletes nothing but abandoned temporaries.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    report = SweepReport(temporaries_removed=archive.store.remove_abandoned(_ABANDONED_AFTER_S))
    for batch in _batches(_settled_objects(archive, settled_after)):
        if stop.is_set():
            break
        report.examined += len(batch)
        known = archive.index.known_object_keys([name.sop_instance_uid for name in batch])
        for name in batch:
            if name.key() not in known:
                _adopt(archive, name, report)
    return report


def _settled_objects(archive: Archive, settled_after: timedelta) -> Iterator[ObjectName]:
    newest = datetime.now(UTC) - settled_after
    for stat in archive.store.list():
        name = parse_key(stat.key)
        if name is not None and stat.modified_at <= newest:
            yield name


def _batches(names: Iterable[ObjectName]) -> Iterator[list[ObjectName]]:
    source = iter(names)
    while batch := list(islice(source, _BATCH_SIZE)):
        yield batch


def _adopt(archive: Archive, name: ObjectName, report: SweepReport) -> None:
    try:
        adopt_object(archive, name.key())
    except ObjectNotFound:
        return
    except IndexUnavailable:
        raise
    except StoreError as error:
        report.postponed += 1
        _log.warning("object of instance %s cannot be read now: %s", name.sop_instance_uid, error)
        return
    except ArchiveError as error:
        report.unreadable += 1
        _log.warning("object of instance %s cannot be indexed: %s", name.sop_instance_uid, error)
        return
    report.adopted += 1
    _log.info("instance %s was in the store and not in the index: indexed", name.sop_instance_uid)
