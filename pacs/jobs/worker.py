"""The worker process: what runs later, and again and again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from pacs.archive import Archive
from pacs.errors import ArchiveError
from pacs.jobs.spool import SpoolKeeper
from pacs.jobs.sweep import sweep
from pacs.jobs.upload import Uploader
from storage.errors import StoreError

_log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 3600.0
_RETRY_AFTER_S = 30.0


def run_worker(archive: Archive, stop: Event) -> None:
    """Upload what is spooled, and sweep now and then every hour, until ``stop`` is set."""
    with _uploading(archive, stop):
        while not stop.is_set():
            stop.wait(_SWEEP_EVERY_S if _sweep_once(archive, stop) else _RETRY_AFTER_S)


@contextmanager
def _uploading(archive: Archive, stop: Event) -> Iterator[None]:
    """Empty the spool beside the block, if there is one; the block ends when ``stop`` is set."""
    spool, threads = archive.spool, []
    if spool is not None:
        jobs = (Uploader(archive, spool, stop).run, SpoolKeeper(archive, spool, stop).run)
        threads = [Thread(target=_run_guarded, args=(job, stop)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _run_guarded(job: Callable[[], None], stop: Event) -> None:
    """Run a job until it ends; begin it anew where it meets an error that nobody has thought of."""
    while not stop.is_set():
        try:
            job()
        except Exception:
            _log.exception("a job of the worker failed and begins anew")
            stop.wait(_RETRY_AFTER_S)


def _sweep_once(archive: Archive, stop: Event) -> bool:
    try:
        report = sweep(archive, stop)
    except (ArchiveError, StoreError) as error:
        _log.warning("the sweep could not finish and will be tried again: %s", error)
        return False
    _log.info(
        "sweep: %d objects examined, %d indexed, %d unreadable, %d postponed, %d missing, "
        "%d temporaries removed",
        report.examined,
        report.adopted,
        report.unreadable,
        report.postponed,
        report.missing,
        report.temporaries_removed,
    )
    return report.postponed == 0
