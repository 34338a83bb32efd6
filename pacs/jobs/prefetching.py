"""Fetching a patient's previous studies from another archive, before an examination is read.

A job is of an order and a peer. Where a worker is killed, the job is due again when its lease is over, and
goes on with what is missing: there is no other state.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Thread
from typing import Final

from pacs.archive import Archive
from pacs.dicom.order_matching import StudyFacts, contradicting_patient
from pacs.dicom.orders import Order, StepState
from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.errors import ArchiveError, IndexUnavailable, InvalidRequest, NotFound, SettingsError
from pacs.index.prior_fetches import FetchProgress, PriorFetch
from pacs.jobs.backoff import pause_after
from pacs.jobs.fetching.opening import opened_source
from pacs.jobs.fetching.wanted import Progress, Receiver, Wanted, fetch_studies
from pacs.jobs.working import keep_working

LEASE: Final = timedelta(seconds=10)
_EXTEND_EVERY_S: Final = LEASE.total_seconds() / 4
_LOOK_EVERY_S: Final = 0.2  # whether the worker is to end
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 3600.0
_BEHIND_THE_OTHERS: Final = timedelta(seconds=1)  # so that no job is in the way of all others
_FORGOTTEN_AFTER: Final = timedelta(days=30)

_log = logging.getLogger(__name__)


def keep_prefetching(archive: Archive, stop: Event) -> None:
    """Fetch what is due until ``stop`` is set."""

    def forget() -> None:
        archive.index.prior_fetches.forget(datetime.now(UTC) - _FORGOTTEN_AFTER)

    keep_working(partial(fetch_due, archive, stop), stop, "previous studies will be fetched", forget)


def fetch_due(archive: Archive, stop: Event) -> bool:
    """Do, or postpone, the job that is due longest; tell whether there was one.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
        Nothing can be kept now. The job is due again when its lease is over.
    """
    job = archive.index.prior_fetches.claim(datetime.now(UTC), LEASE)
    if job is None:
        return False
    try:
        _perform(archive, job, stop)
    except (PeerUnreachable, PeerRejected, NotFound, SettingsError, InvalidRequest) as error:
        _postpone(archive, job, error)
    return True


@dataclass(frozen=True, slots=True)
class Priors:
    """Studies of another archive: the newest previous ones, and those of somebody else."""

    studies: tuple[str, ...]
    differing: tuple[str, ...]


def choose_priors(order: Order, found: Iterable[StudyFacts], count: int) -> Priors:
    """Choose the newest studies of an order's patient that are not the order's own.

    The Patient ID is the same, to the letter. Nothing else that both say contradicts: who gave the ID, name,
    birth date, sex. One ID may stand for two people in two archives.
    """
    candidates = [
        study
        for study in found
        if study.patient_id == order.patient_id and study.study_instance_uid != order.study_instance_uid
    ]
    differing = [study for study in candidates if any(contradicting_patient(study, order))]
    fitting = [study for study in candidates if study not in differing]
    newest = sorted(fitting, key=lambda study: study.study_date, reverse=True)[:count]
    return Priors(
        tuple(study.study_instance_uid for study in newest),
        tuple(study.study_instance_uid for study in differing),
    )


def _perform(archive: Archive, job: PriorFetch, stop: Event) -> None:
    jobs, wish = archive.index.prior_fetches, job.wish
    order = _order_of(archive, job)
    if order is None:
        jobs.cancel(job.job_id)
        return
    progress = Progress()
    with (
        _held(archive, job, stop) as ended,
        opened_source(archive, archive.index.peers.find(wish.ae_title)) as source,
    ):
        priors = choose_priors(order, source.find_studies(Wanted(patient_id=order.patient_id)), wish.priors)
        fetch_studies(source, priors.studies, Receiver(archive, wish.ae_title, progress, ended))
    if ended.is_set():
        jobs.postpone(job.job_id, datetime.now(UTC))
        return
    if progress.failed:
        raise PeerRejected(f"{len(progress.failed)} instances were not fetched")
    _tell_differing(wish.ae_title, priors.differing)
    jobs.finish(job, FetchProgress(progress.studies, progress.listed, len(priors.differing)))
    _log.info("%d instances fetched from %s for an order", progress.fetched, wish.ae_title)


def _order_of(archive: Archive, job: PriorFetch) -> Order | None:
    """Find the order as it is now; None where nobody needs these priors any more."""
    try:
        order = archive.index.orders.find(job.wish.accession_number)
    except NotFound:
        return None
    is_canceled = all(step.state is StepState.CANCELED for step in order.steps)
    return None if is_canceled or order.patient_id != job.wish.patient_id else order


def _tell_differing(ae_title: str, studies: Iterable[str]) -> None:
    for uid in studies:
        _log.warning("study %s of %s contradicts the order of its Patient ID: not fetched", uid, ae_title)


@contextmanager
def _held(archive: Archive, job: PriorFetch, stop: Event) -> Iterator[Event]:
    """Prolong the lease of a job meanwhile; the event is set when the worker ends or the job is cancelled."""
    ended, over = Event(), Event()
    thread = Thread(target=_hold, args=(archive, job, stop, ended, over))
    thread.start()
    try:
        yield ended
    finally:
        over.set()
        thread.join()


def _hold(archive: Archive, job: PriorFetch, stop: Event, ended: Event, over: Event) -> None:
    held_at_s = time.monotonic()
    while not over.wait(_LOOK_EVERY_S):
        if stop.is_set():
            ended.set()
        if time.monotonic() - held_at_s < _EXTEND_EVERY_S:
            continue
        held_at_s = time.monotonic()
        try:
            if not archive.index.prior_fetches.postpone(job.job_id, datetime.now(UTC) + LEASE):
                ended.set()
        except IndexUnavailable:
            _log.warning("the lease of a fetch could not be prolonged")


def _postpone(archive: Archive, job: PriorFetch, error: ArchiveError) -> None:
    """Try again later, and what else is fetched from a peer that cannot be reached; this one last."""
    now, jobs, ae_title = datetime.now(UTC), archive.index.prior_fetches, job.wish.ae_title
    if now > job.wish.until:
        jobs.give_up(job.job_id, str(error))
        _log.error("previous studies were never fetched from %s: %s", ae_title, error)
        return
    until = now + pause_after(job.attempts, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
    jobs.postpone(job.job_id, until + _BEHIND_THE_OTHERS, str(error))
    if isinstance(error, PeerUnreachable):
        jobs.postpone_all(ae_title, until, job.attempts)
    _log.warning("previous studies will be fetched from %s later: %s", ae_title, error)
