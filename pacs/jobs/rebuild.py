"""Making the index again from the bare store: the ledger, then the objects that it does not know."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from threading import Event
from typing import Final, TypeAlias

from pacs.adoption import scan_object
from pacs.archive import Archive
from pacs.dicom.object_keys import ObjectName, parse_key
from pacs.dicom.performed_step_keys import KEY_PREFIX as STEP_PREFIX
from pacs.errors import ArchiveError, IndexUnavailable
from pacs.index.records import InstanceRecord
from pacs.ingest import Origin
from pacs.jobs.ledger_replay import SCANNERS, ReplayReport, catch_up, write_records
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.jobs.step_replay import take_over_message
from pacs.ledger.entries import Door, StepMessage
from storage.errors import ObjectNotFound
from storage.store import ObjectStat

_log = logging.getLogger(__name__)

_BATCH_SIZE: Final = 500
_ORIGIN: Final = Origin(Door.REBUILD)

_Found: TypeAlias = tuple[ObjectName, ObjectStat]


@dataclass(slots=True)
class RebuildReport:
    """What a rebuild has done so far."""

    ledger: ReplayReport = field(default_factory=ReplayReport)
    objects: int = 0
    without_receipt: int = 0  # indexed, with the object's own time as that of its receipt
    unreadable: int = 0

    @property
    def done(self) -> int:
        """Segments, entries and objects that are behind us."""
        return self.ledger.done + self.objects

    @property
    def total(self) -> int | None:
        """What there is to do, as far as it can be guessed: an object for each entry of the ledger."""
        return self.ledger.total + max(self.ledger.entries, self.objects) if self.ledger.total else None

    @property
    def faults(self) -> list[str]:
        """What is not as it should be."""
        counted = (
            (self.ledger.missing, "receipts of objects that are not in the store"),
            (self.ledger.unreadable + self.unreadable, "objects that cannot be indexed"),
            (self.ledger.not_understood, "entries of the ledger that are damaged or of a newer version"),
        )
        return [*self.ledger.faults, *(f"{number:,} {what}" for number, what in counted if number)]


def rebuild_index(
    archive: Archive, stop: Event, report: RebuildReport, *, from_scratch: bool = False
) -> None:
    """Bring the index to what the store says.

    It begins where the index ends: an empty one gets everything, one that was restored from a backup gets
    what came since, one that was being rebuilt when the process died goes on. Safe to run again at any time.

    Parameters
    ----------
    report
        Filled while it runs, so that another thread can tell the progress.
    from_scratch
        Seal what waits for the ledger, then empty the index first.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    if from_scratch:
        seal_ledger(archive)
        archive.index.clear()
    catch_up(archive, stop, report.ledger)
    _take_over_messages(archive, stop)
    with ThreadPoolExecutor(SCANNERS, "header") as pool:
        for batch in _batches(archive):
            if stop.is_set():
                break
            _index_unknown(archive, pool, batch, report)
            report.objects += len(batch)


def _take_over_messages(archive: Archive, stop: Event) -> None:
    """Take over what devices said last of their work, before it stood in the ledger."""
    for stat in sorted(archive.store.list(STEP_PREFIX), key=lambda one: one.key):
        if stop.is_set():
            break
        try:
            take_over_message(archive, StepMessage(stat.modified_at, stat.key, None), moves_orders=True)
        except IndexUnavailable:
            raise
        except (ArchiveError, ObjectNotFound) as error:
            _log.warning("a message of a procedure step is passed over (%s): %s", error, stat.key)


def _batches(archive: Archive) -> Iterator[list[_Found]]:
    """Give the objects that are instances, those of a study in the order of their times."""
    found = ((name, stat) for stat in archive.store.list() if (name := parse_key(stat.key)) is not None)
    studies = groupby(found, key=lambda one: one[0].study_instance_uid)
    source = (
        one for _, study in studies for one in sorted(study, key=lambda one: (one[1].modified_at, one[1].key))
    )
    while batch := list(islice(source, _BATCH_SIZE)):
        yield batch


def _index_unknown(
    archive: Archive, pool: ThreadPoolExecutor, batch: Sequence[_Found], report: RebuildReport
) -> None:
    known = archive.index.known_object_keys([name.sop_instance_uid for name, _ in batch])
    known_names = {parse_key(key) for key in known}
    unknown = {name: stat for name, stat in batch if name not in known_names}  # one of several copies
    scanned = list(pool.map(lambda stat: _scan(archive, stat), unknown.values()))
    records = [record for record in scanned if record is not None]
    report.unreadable += len(scanned) - len(records)
    if records:
        failed = write_records(archive, records)
        report.unreadable += failed
        report.without_receipt += len(records) - failed


def _scan(archive: Archive, stat: ObjectStat) -> InstanceRecord | None:
    try:
        record = scan_object(archive, stat.key, stat.size_bytes, _ORIGIN)
    except IndexUnavailable:
        raise
    except (ArchiveError, ObjectNotFound) as error:
        _log.warning("an object cannot be indexed (%s): %s", error, stat.key)
        return None
    return replace(record, received_at=stat.modified_at)
