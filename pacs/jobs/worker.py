"""The worker process: what runs later, and again and again."""

from __future__ import annotations

import logging
from threading import Event

from pacs.archive import Archive
from pacs.errors import ArchiveError
from pacs.jobs.sweep import sweep
from storage.errors import StoreError

_log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 3600.0
_RETRY_AFTER_S = 30.0


def run_worker(archive: Archive, stop: Event) -> None:
    """Sweep now and then every hour until ``stop`` is set; what is away is tried again."""
    while not stop.is_set():
        stop.wait(_SWEEP_EVERY_S if _sweep_once(archive, stop) else _RETRY_AFTER_S)


def _sweep_once(archive: Archive, stop: Event) -> bool:
    try:
        report = sweep(archive, stop)
    except (ArchiveError, StoreError) as error:
        _log.warning("the sweep could not finish and will be tried again: %s", error)
        return False
    _log.info(
        "sweep: %d objects examined, %d indexed, %d unreadable, %d postponed, %d temporaries removed",
        report.examined,
        report.adopted,
        report.unreadable,
        report.postponed,
        report.temporaries_removed,
    )
    return report.postponed == 0
