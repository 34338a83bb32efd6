"""Send jobs, as the workers see them that do them: taken for a while, done piece by piece, given back.

A worker has a job as long as its lease runs, and prolongs it. Each time that a job is taken it has a new
number of claims, and what is written under an older one is not heeded: who was thought dead, or whose job was
paused meanwhile, finds out at the next word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, case, delete, exists, func, insert, or_, select, update

from pacs.index.engine import reading, writing
from pacs.index.models import instance, known_peer, send_job, send_job_instance, series, study
from pacs.index.queries import READ, stored_instance
from pacs.index.reading_order import in_reading_order
from pacs.index.records import StoredInstance
from pacs.index.send_jobs import SendJob, SendState, SentInstance, send_job_of

_OPEN: Final = (SendState.WAITING.value, SendState.SENDING.value, SendState.CONFIRMING.value)
_SUCCESS: Final = 0x0000  # all other statuses of what was not refused are warnings


class SendWork:
    """The jobs that are due. Safe for use by several threads and processes.

    All methods raise :class:`~pacs.errors.IndexUnavailable`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due_peers(self, now: datetime) -> list[str]:
        """List the peers to which something is to be sent, the one first that has waited longest."""
        waiting = select(send_job.c.ae_title).where(*_due(now)).group_by(send_job.c.ae_title)
        with reading(self._engine) as connection:
            return list(connection.scalars(waiting.order_by(func.min(send_job.c.next_attempt_at))))

    def claim(self, ae_title: str, at_a_time: int, now: datetime, lease: timedelta) -> SendJob | None:
        """Take a job of a peer that is due, unless so many of its jobs are being done already.

        Who counts them holds the peer's row meanwhile, so that two who count at a time do not both take one.
        """
        of_peer = send_job.c.ae_title == ae_title
        under_way = select(func.count()).where(
            of_peer, send_job.c.state == SendState.SENDING, send_job.c.next_attempt_at > now
        )
        first = select(send_job.c.id).where(of_peer, *_due(now)).limit(1).with_for_update(skip_locked=True)
        first = first.order_by(send_job.c.priority.desc(), send_job.c.next_attempt_at)
        taken = {"state": SendState.SENDING, "next_attempt_at": now + lease, "claims": send_job.c.claims + 1}
        claim = update(send_job).where(send_job.c.id.in_(first)).values(taken).returning(*send_job.c)
        with writing(self._engine) as connection:
            held = select(known_peer.c.id).where(known_peer.c.ae_title == ae_title).with_for_update()
            connection.execute(held)
            if (connection.scalar(under_way) or 0) >= at_a_time:
                return None
            row = connection.execute(claim).first()
            return None if row is None else send_job_of(row)

    def renew(self, jobs: Iterable[SendJob], until: datetime) -> set[int]:
        """Prolong the leases of jobs; return the numbers of those that are still one's own."""
        with writing(self._engine) as connection:
            return {
                job.job_id
                for job in jobs
                if connection.scalar(
                    update(send_job).where(*_own(job)).values(next_attempt_at=until).returning(send_job.c.id)
                )
            }

    def begin(self, job: SendJob) -> int:
        """Count what a job has to send yet, and note how much there is in all."""
        left = select(func.count()).select_from(study).join(series).join(instance).where(*_left(job))
        with reading(self._engine) as connection:
            number = connection.scalar(left) or 0
        total = number + send_job.c.sent + send_job.c.refused
        with writing(self._engine) as connection:
            connection.execute(update(send_job).where(*_own(job)).values(total=total))
        return number

    def list_left(self, job: SendJob, without: Collection[str], limit: int) -> list[StoredInstance]:
        """List what a job has to send yet, as readers get it, but for some SOP Instance UIDs."""
        wanted = in_reading_order(select(*READ)).where(*_left(job)).limit(limit)
        if without:
            wanted = wanted.where(instance.c.sop_instance_uid.not_in(without))
        with reading(self._engine) as connection:
            return [stored_instance(row) for row in connection.execute(wanted)]

    def record(self, job: SendJob, sent: Sequence[SentInstance], now: datetime) -> bool:
        """Note what the peer has answered; tell whether the job is still one's own.

        It is noted also where it is not: the peer has it.
        """
        rows = [{"job_ref": job.job_id, **one._asdict()} for one in sent]
        with writing(self._engine) as connection:
            mine = connection.execute(
                select(send_job.c.claims, send_job.c.state).where(send_job.c.id == job.job_id)
                .with_for_update()
            ).one()  # fmt: skip
            known = set(connection.scalars(_known(job, [one.sop_instance_uid for one in sent])))
            new = [row for row in rows if row["sop_instance_uid"] not in known]
            if new:
                connection.execute(insert(send_job_instance), new)
                connection.execute(
                    update(send_job).where(send_job.c.id == job.job_id).values(_counted(new, now))
                )
        return (mine.claims, mine.state) == (job.claims, SendState.SENDING)

    def finish(self, job: SendJob, state: SendState, error: str | None, now: datetime) -> None:
        """Say that nothing is left to be done; where it was wished for again meanwhile, it goes on."""
        over = send_job.c.wishes == job.wishes
        values = {
            "state": case((over, state.value), else_=SendState.WAITING.value),
            "next_attempt_at": case((over, None), else_=now),
            "changed_at": now,
            "last_error": error,
        }
        self._update(job, values)

    def postpone(self, job: SendJob, until: datetime, error: str | None = None) -> None:
        """Give a job back, to be tried later; with an error this attempt was in vain."""
        values: dict[str, Any] = {"state": SendState.WAITING, "next_attempt_at": until}
        if error is not None:
            values |= {"attempts": send_job.c.attempts + 1, "last_error": error}
        self._update(job, values)

    def forget(self, done_before: datetime) -> None:
        """Drop the list of what was sent by jobs that are done for so long; the time of it is enough then."""
        done = (send_job.c.state == SendState.DONE, send_job.c.changed_at < done_before)
        listed = exists().where(send_job_instance.c.job_ref == send_job.c.id)
        with writing(self._engine) as connection:
            old = list(connection.scalars(select(send_job.c.id).where(*done, listed).limit(_FORGOTTEN)))
            connection.execute(
                update(send_job).where(send_job.c.id.in_(old)).values(sent_before=send_job.c.changed_at)
            )
            connection.execute(delete(send_job_instance).where(send_job_instance.c.job_ref.in_(old)))

    def _update(self, job: SendJob, values: dict[str, Any]) -> None:
        with writing(self._engine) as connection:
            connection.execute(update(send_job).where(*_own(job)).values(values))


_FORGOTTEN: Final = 500  # jobs at a time


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return send_job.c.state.in_(_OPEN), send_job.c.next_attempt_at <= now


def _own(job: SendJob) -> tuple[ColumnElement[bool], ...]:
    return (
        send_job.c.id == job.job_id,
        send_job.c.claims == job.claims,
        send_job.c.state == SendState.SENDING,
    )


def _left(job: SendJob) -> list[ColumnElement[bool]]:
    """Return the conditions of what the peer of a job has not answered yet."""
    answered = exists().where(
        send_job_instance.c.job_ref == job.job_id,
        send_job_instance.c.sop_instance_uid == instance.c.sop_instance_uid,
    )
    conditions = [study.c.study_instance_uid == job.study_instance_uid, ~answered]
    if job.spares_sender:
        sender = instance.c.calling_ae_title
        conditions.append(or_(sender.is_(None), sender != job.ae_title))
    if job.sent_before is not None:
        conditions.append(instance.c.received_at > job.sent_before)
    return conditions


def _known(job: SendJob, sop_instance_uids: Sequence[str]) -> Any:
    table = send_job_instance
    return select(table.c.sop_instance_uid).where(
        table.c.job_ref == job.job_id, table.c.sop_instance_uid.in_(sop_instance_uids)
    )


def _counted(rows: Sequence[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """Return what the answers add to the counts; a job of which something went through is in good hope."""
    refused = sum(row["refused"] for row in rows)
    warned = sum(not row["refused"] and row["status"] != _SUCCESS for row in rows)
    counted: dict[str, Any] = {
        "sent": send_job.c.sent + len(rows) - refused,
        "warned": send_job.c.warned + warned,
        "refused": send_job.c.refused + refused,
    }
    return counted | ({"attempts": 0, "changed_at": now} if refused < len(rows) else {})
