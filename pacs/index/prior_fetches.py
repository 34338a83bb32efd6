"""Previous studies that are to be fetched from other archives: one job for each order and archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Engine, case, delete, select, update

from pacs.errors import NotFound
from pacs.index import due_rows
from pacs.index.engine import reading, writing
from pacs.index.inserts import insert_if_new
from pacs.index.models import prior_fetch
from pacs.index.moments import utc


class FetchState(StrEnum):
    """How far a job is."""

    WAITING = "waiting"  # for its turn, or being done
    DONE = "done"
    FAILED = "failed"  # the order's time is over
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class FetchWish:
    """That the newest previous studies of an order's patient be fetched from a peer."""

    ae_title: str
    accession_number: str
    patient_id: str  # of the order when it was placed: after a correction it is another job
    priors: int
    origin: str
    until: datetime  # then nobody needs them any more


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """What was found at the peer: instances are those that are here now."""

    studies: int = 0
    instances: int = 0
    differing: int = 0  # studies under the Patient ID that contradict the order: not fetched


@dataclass(frozen=True, slots=True)
class PriorFetch:
    """A job."""

    job_id: int
    wish: FetchWish
    state: FetchState
    progress: FetchProgress
    wishes: int
    attempts: int  # this one included
    last_error: str | None


_OVER: Final = (FetchState.DONE.value, FetchState.FAILED.value)


class PriorFetches:
    """The table of jobs. Safe for use by several threads and processes.

    All methods raise :class:`~pacs.errors.IndexUnavailable`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_jobs(self, limit: int = 1000) -> list[PriorFetch]:
        """List jobs, the newest first."""
        wanted = select(prior_fetch).order_by(prior_fetch.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [_job(row) for row in connection.execute(wanted)]

    def claim(self, now: datetime, lease: timedelta) -> PriorFetch | None:
        """Take the job that is due longest, for as long as the lease runs."""
        rows = due_rows.claim_due(self._engine, prior_fetch, 1, now, lease)
        return _job(rows[0]) if rows else None

    def postpone(self, job_id: int, until: datetime, error: str | None = None) -> bool:
        """Have a job done later, or prolong a lease; tell whether it is still to be done."""
        values = {"next_attempt_at": until} | ({} if error is None else {"last_error": error})
        return self._update(job_id, values)

    def postpone_all(self, ae_title: str, until: datetime, attempts: int) -> None:
        """Have what is fetched from a peer tried no earlier than then, after so many attempts or more."""
        due_rows.postpone_all(self._engine, prior_fetch, ae_title, until, attempts)

    def finish(self, job: PriorFetch, progress: FetchProgress) -> None:
        """Note what was done. What was wished for again meanwhile is done when the lease is over."""
        values = {
            **_ended(FetchState.DONE, None),
            "studies": progress.studies,
            "instances": progress.instances,
            "differing": progress.differing,
        }
        self._update(job.job_id, values, prior_fetch.c.wishes == job.wishes)

    def give_up(self, job_id: int, error: str) -> None:
        """Try a job no more."""
        self._update(job_id, _ended(FetchState.FAILED, error))

    def cancel(self, job_id: int) -> PriorFetch:
        """Fetch no more for a job; one that is over stays as it is. Raises NotFound."""
        self._update(job_id, _ended(FetchState.CANCELLED, None))
        with reading(self._engine) as connection:
            row = connection.execute(select(prior_fetch).where(prior_fetch.c.id == job_id)).first()
        if row is None:
            raise NotFound(f"there is no fetch {job_id}")
        return _job(row)

    def forget(self, until_before: datetime) -> None:
        """Remove what is over, and was for orders of before that time."""
        old = prior_fetch.c.next_attempt_at.is_(None), prior_fetch.c.until < until_before
        with writing(self._engine) as connection:
            connection.execute(delete(prior_fetch).where(*old))

    def _update(self, job_id: int, values: Mapping[str, Any], *conditions: Any) -> bool:
        """Change a job that is still to be done; tell whether there was one."""
        to_do = prior_fetch.c.id == job_id, prior_fetch.c.next_attempt_at.is_not(None)
        change = update(prior_fetch).where(*to_do, *conditions).values(values).returning(prior_fetch.c.id)
        with writing(self._engine) as connection:
            return connection.scalar(change) is not None


def wish_fetch(connection: Connection, wish: FetchWish, due: datetime) -> None:
    """Have priors fetched, not before they are due.

    For an order that was changed it is done once more, unless somebody has cancelled it: the correction may
    be of the name that was in the way, and what is here is not fetched again.
    """
    of_wish = {
        "ae_title": wish.ae_title,
        "accession_number": wish.accession_number,
        "patient_id": wish.patient_id,
    }
    row = {**of_wish, "priors": wish.priors, "origin": wish.origin, "until": wish.until}
    row |= {"state": FetchState.WAITING.value, "next_attempt_at": due}
    if insert_if_new(connection, prior_fetch, row):
        return
    table = prior_fetch
    is_over = table.c.state.in_(_OVER)
    again = {
        "wishes": table.c.wishes + 1,
        "until": wish.until,
        "attempts": case((is_over, 0), else_=table.c.attempts),
        "state": case((is_over, FetchState.WAITING.value), else_=table.c.state),
        "next_attempt_at": case((is_over, due), else_=table.c.next_attempt_at),
    }
    connection.execute(
        update(table).where(*(table.c[name] == value for name, value in of_wish.items())).values(again)
    )


def _ended(state: FetchState, error: str | None) -> dict[str, Any]:
    return {"state": state.value, "next_attempt_at": None, "last_error": error}


def _job(row: Any) -> PriorFetch:
    wish = FetchWish(
        row.ae_title, row.accession_number, row.patient_id, row.priors, row.origin, utc(row.until)
    )
    progress = FetchProgress(row.studies, row.instances, row.differing)
    state = FetchState(row.state)
    return PriorFetch(row.id, wish, state, progress, row.wishes, row.attempts, row.last_error)
