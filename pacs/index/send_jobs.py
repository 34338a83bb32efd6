"""Send jobs, as who wishes for them sees them: one for each study and peer, going on when the study grows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, and_, case, delete, or_, select, update

from pacs.errors import NotFound
from pacs.index.engine import reading, writing
from pacs.index.inserts import insert_if_new
from pacs.index.models import send_job, send_job_instance
from pacs.index.moments import utc


class SendState(StrEnum):
    """How far a job is."""

    WAITING = "waiting"  # for its turn, or until it is tried again
    SENDING = "sending"
    CONFIRMING = "confirming"  # all is sent; the peer has to say that it is safe there
    DONE = "done"  # the peer has all that there is; it goes on when the study grows
    FAILED = "failed"  # the peer refused some of it for good, or was away for too long
    PAUSED = "paused"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class SendJob:
    """A study on its way to a peer. Counts are of instances; ``sent`` includes ``warned``."""

    job_id: int
    study_instance_uid: str
    ae_title: str  # of the peer
    state: SendState
    priority: int  # the highest first
    origin: str  # who wished for it first
    spares_sender: bool  # what came from the peer is not sent back to it
    created_at: datetime
    changed_at: datetime
    next_attempt_at: datetime | None
    attempts: int  # in vain, since something went through
    claims: int
    wishes: int
    total: int
    sent: int
    warned: int
    refused: int
    sent_before: datetime | None  # what came earlier is known to be sent
    last_error: str | None
    rounds: int  # of asking whether all is safe there


class SentInstance(NamedTuple):
    """What the peer answered, or why it could not be asked: then it counts as refused."""

    sop_instance_uid: str
    refused: bool
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class SendWish:
    """That a study be sent to a peer."""

    study_instance_uid: str
    ae_title: str
    origin: str
    priority: int = 0
    spares_sender: bool = False


_OPEN: Final = (SendState.WAITING, SendState.SENDING, SendState.CONFIRMING)
_FENCED_OFF: Final = {"claims": send_job.c.claims + 1}  # who is at it finds that it is his no more


class SendJobs:
    """The table of jobs. Safe for use by several threads and processes.

    All methods raise :class:`~pacs.errors.IndexUnavailable`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def wish(self, wish: SendWish, now: datetime, *, again: bool = False) -> SendJob:
        """Have a study sent as soon as may be: what the peer has not got yet, or everything ``again``.

        What it refused is tried once more. What was paused or cancelled goes on.
        """
        with writing(self._engine) as connection:
            if not insert_if_new(connection, send_job, _new_row(wish, now)):
                job = send_job_of(connection.execute(_of_wish(wish)).one())
                values = {"priority": _highest(wish.priority), "spares_sender": wish.spares_sender}
                _go_on(connection, job, now, values, everything=again)
            return send_job_of(connection.execute(_of_wish(wish)).one())

    def list_jobs(
        self,
        *,
        states: Collection[SendState] = (),
        ae_title: str | None = None,
        study_instance_uid: str | None = None,
        before: int | None = None,
        limit: int = 1000,
    ) -> list[SendJob]:
        """List jobs, the newest first; ``before`` is the number of the last one of the page before."""
        wanted = select(send_job).order_by(send_job.c.id.desc()).limit(limit)
        if states:
            wanted = wanted.where(send_job.c.state.in_([state.value for state in states]))
        if ae_title is not None:
            wanted = wanted.where(send_job.c.ae_title == ae_title)
        if study_instance_uid is not None:
            wanted = wanted.where(send_job.c.study_instance_uid == study_instance_uid)
        if before is not None:
            wanted = wanted.where(send_job.c.id < before)
        with reading(self._engine) as connection:
            return [send_job_of(row) for row in connection.execute(wanted)]

    def find(self, job_id: int) -> SendJob:
        """Find a job.

        Raises
        ------
        NotFound
        """
        with reading(self._engine) as connection:
            return _find(connection, job_id)

    def list_refused(self, job_id: int, limit: int = 1000) -> list[SentInstance]:
        """List what the peer of a job refused for good."""
        table = send_job_instance
        wanted = select(table).where(table.c.job_ref == job_id, table.c.refused).limit(limit)
        with reading(self._engine) as connection:
            return [
                SentInstance(row.sop_instance_uid, row.refused, row.status, row.error)
                for row in connection.execute(wanted.order_by(table.c.sop_instance_uid))
            ]

    def retry(self, job_id: int, now: datetime) -> SendJob:
        """Try at once what is to be tried later, what the peer refused, and what was cancelled or paused.

        Raises
        ------
        NotFound
        """
        with writing(self._engine) as connection:
            _go_on(connection, _find(connection, job_id), now, {})
            return _find(connection, job_id)

    def resume(self, job_id: int, now: datetime) -> SendJob:
        """Let a paused job go on; another one stays as it is. Raises NotFound."""
        return self._change(job_id, (SendState.PAUSED,), {"state": SendState.WAITING, "next_attempt_at": now})

    def pause(self, job_id: int) -> SendJob:
        """Let a job rest until it is resumed; one that is over stays as it is. Raises NotFound."""
        values = {"state": SendState.PAUSED, "next_attempt_at": None, **_FENCED_OFF}
        return self._change(job_id, _OPEN, values)

    def cancel(self, job_id: int) -> SendJob:
        """Send no more of a study; a job that is done stays as it is. Raises NotFound."""
        values = {"state": SendState.CANCELLED, "next_attempt_at": None, **_FENCED_OFF}
        return self._change(job_id, (*_OPEN, SendState.PAUSED, SendState.FAILED), values)

    def _change(self, job_id: int, states: Sequence[SendState], values: dict[str, Any]) -> SendJob:
        change = (
            update(send_job)
            .where(send_job.c.id == job_id, send_job.c.state.in_([state.value for state in states]))
            .values(values)
        )
        with writing(self._engine) as connection:
            connection.execute(change)
            return _find(connection, job_id)


def _go_on(
    connection: Connection, job: SendJob, now: datetime, values: dict[str, Any], *, everything: bool = False
) -> None:
    """Have a job due now, without what it knows of refusals, or without anything that it knows."""
    wished = {**values, "wishes": send_job.c.wishes + 1}
    if job.state is not SendState.SENDING or everything:
        known = send_job_instance.c.job_ref == job.job_id
        dropped = [known] if everything else [known, send_job_instance.c.refused]
        connection.execute(delete(send_job_instance).where(*dropped))
        wished |= {"state": SendState.WAITING, "next_attempt_at": now, "changed_at": now, "attempts": 0}
        wished |= {"refused": 0, "last_error": None, "rounds": 0}
    if everything:
        wished |= {"sent": 0, "warned": 0, "sent_before": None, **_FENCED_OFF}
    connection.execute(update(send_job).where(send_job.c.id == job.job_id).values(wished))


def wake(connection: Connection, wish: SendWish, due: datetime, now: datetime) -> None:
    """Have a study sent that a route leads to a peer, not before it is due.

    A job that was over goes on then; one that waits for its first turn waits until then; one that was paused
    or cancelled stays so.
    """
    if insert_if_new(connection, send_job, _new_row(wish, now) | {"next_attempt_at": due}):
        return
    table = send_job
    over = (SendState.DONE, SendState.FAILED, SendState.CONFIRMING)
    is_over = table.c.state.in_([state.value for state in over])
    comes_later = and_(
        table.c.state == SendState.WAITING, table.c.attempts == 0, table.c.next_attempt_at < due
    )
    values = {
        "wishes": table.c.wishes + 1,
        "priority": _highest(wish.priority),
        "state": case((is_over, SendState.WAITING.value), else_=table.c.state),
        "next_attempt_at": case((or_(is_over, comes_later), due), else_=table.c.next_attempt_at),
        "changed_at": case((is_over, now), else_=table.c.changed_at),
    }
    of_wish = (table.c.study_instance_uid == wish.study_instance_uid, table.c.ae_title == wish.ae_title)
    connection.execute(update(table).where(*of_wish).values(values))


def _highest(priority: int) -> Any:
    return case((send_job.c.priority > priority, send_job.c.priority), else_=priority)


def _of_wish(wish: SendWish) -> Any:
    return select(send_job).where(
        send_job.c.study_instance_uid == wish.study_instance_uid, send_job.c.ae_title == wish.ae_title
    )


def _new_row(wish: SendWish, due: datetime) -> dict[str, Any]:
    return {
        "study_instance_uid": wish.study_instance_uid,
        "ae_title": wish.ae_title,
        "state": SendState.WAITING,
        "priority": wish.priority,
        "origin": wish.origin,
        "spares_sender": wish.spares_sender,
        "created_at": due,
        "changed_at": due,
        "next_attempt_at": due,
    }


def _find(connection: Connection, job_id: int) -> SendJob:
    row = connection.execute(select(send_job).where(send_job.c.id == job_id)).first()
    if row is None:
        raise NotFound(f"there is no send job {job_id}")
    return send_job_of(row)


def send_job_of(row: Any) -> SendJob:
    """Make a job of its row."""
    return SendJob(
        job_id=row.id,
        study_instance_uid=row.study_instance_uid,
        ae_title=row.ae_title,
        state=SendState(row.state),
        priority=row.priority,
        origin=row.origin,
        spares_sender=row.spares_sender,
        created_at=utc(row.created_at),
        changed_at=utc(row.changed_at),
        next_attempt_at=row.next_attempt_at and utc(row.next_attempt_at),
        attempts=row.attempts,
        claims=row.claims,
        wishes=row.wishes,
        total=row.total,
        sent=row.sent,
        warned=row.warned,
        refused=row.refused,
        sent_before=row.sent_before and utc(row.sent_before),
        last_error=row.last_error,
        rounds=row.rounds,
    )
