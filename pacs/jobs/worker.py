"""The worker process: what runs later, and again and again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread

from pacs.archive import Archive
from pacs.errors import ArchiveError
from pacs.jobs.committing import keep_committing
from pacs.jobs.ledger_replay import catch_up
from pacs.jobs.ledger_sealing import keep_sealing
from pacs.jobs.notices.finding import keep_finding_notices
from pacs.jobs.notices.telling import keep_telling
from pacs.jobs.order_keeping import keep_orders
from pacs.jobs.prefetching import keep_prefetching
from pacs.jobs.removal import keep_removing
from pacs.jobs.rereading import keep_rereading
from pacs.jobs.routing import keep_routing
from pacs.jobs.sending.sender import keep_sending
from pacs.jobs.series_keeping import drop_orphaned, keep_series_ready
from pacs.jobs.spool import SpoolKeeper
from pacs.jobs.sweep import sweep
from pacs.jobs.upload import Uploader
from storage.errors import StoreError

_log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 3600.0
_RETRY_AFTER_S = 30.0


def run_worker(archive: Archive, stop: Event) -> None:
    """Upload what is spooled, write the ledger, keep series ready, send, and sweep now and then every hour.

    It ends when ``stop`` is set.
    """
    with _beside(archive, stop):
        while not stop.is_set():
            done = _catch_up_once(archive, stop) and _sweep_once(archive, stop)
            stop.wait(_SWEEP_EVERY_S if done else _RETRY_AFTER_S)


def _catch_up_once(archive: Archive, stop: Event) -> bool:
    """Replay what the ledger has and the index lacks, as after a restore, before the sweep sees objects."""
    try:
        report = catch_up(archive, stop)
    except (ArchiveError, StoreError) as error:
        _log.warning("the ledger could not be read and will be tried again: %s", error)
        return False
    if report.segments:
        _log.info("ledger: %d entries of %d segments replayed", report.entries, report.segments)
    return True


@contextmanager
def _beside(archive: Archive, stop: Event) -> Iterator[None]:
    """Do beside the sweep what must not wait for it; the block ends when ``stop`` is set."""
    beside = (
        *(keep_sealing, keep_series_ready, keep_removing, keep_committing),
        *(keep_routing, keep_sending, keep_rereading, keep_orders),
        *(keep_finding_notices, keep_telling, keep_prefetching),
    )
    jobs: list[Callable[[], None]] = [partial(job, archive, stop) for job in beside]
    if archive.spool is not None:
        jobs += [job(archive, archive.spool, stop).run for job in (Uploader, SpoolKeeper)]
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
        drop_orphaned(archive, stop)
    except (ArchiveError, StoreError) as error:
        _log.warning("the sweep could not finish and will be tried again: %s", error)
        return False
    _log.info(
        "sweep: %d objects examined, %d indexed, %d unreadable, %d postponed, %d missing, "
        "%d second copies and %d temporaries removed",
        report.examined,
        report.adopted,
        report.unreadable,
        report.postponed,
        report.missing,
        report.copies_removed,
        report.temporaries_removed,
    )
    return report.postponed == 0
