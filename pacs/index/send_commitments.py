"""What peers say of the instances that they were sent: whether they are safe there (Storage Commitment)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, case, delete, select, update

from pacs.index.commitments import Reference
from pacs.index.engine import reading, writing
from pacs.index.models import instance, send_job, send_job_instance
from pacs.index.send_jobs import SendJob, SendState

_AT_A_TIME: Final = 500  # values of a list in one statement
_AGAIN_AFTER: Final = timedelta(seconds=60)  # what is not safe there is sent again


class SendCommitments:
    """Requests for commitment of send jobs. All methods raise :class:`~pacs.errors.IndexUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_unsure(self, job: SendJob, limit: int) -> list[Reference]:
        """List what a job has sent, and the peer has not said to be safe."""
        table = send_job_instance
        wanted = (
            select(instance.c.sop_class_uid, instance.c.sop_instance_uid)
            .join(table, table.c.sop_instance_uid == instance.c.sop_instance_uid)
            .where(table.c.job_ref == job.job_id, ~table.c.refused, ~table.c.committed)
            .order_by(instance.c.id)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [Reference(*row) for row in connection.execute(wanted)]

    def ask(self, job: SendJob, transaction_uid: str, again_at: datetime) -> bool:
        """Have a job wait for the peer's word, before it is asked; tell whether the job is one's own.

        Where none comes, the job is due again at ``again_at``.
        """
        own = (
            send_job.c.id == job.job_id,
            send_job.c.claims == job.claims,
            send_job.c.state == SendState.SENDING,
        )
        waits = {
            "state": SendState.CONFIRMING,
            "transaction_uid": transaction_uid,
            "rounds": send_job.c.rounds + 1,
            "next_attempt_at": again_at,
            "last_error": None,
        }
        with writing(self._engine) as connection:
            asked = update(send_job).where(*own).values(waits).returning(send_job.c.id)
            return connection.scalar(asked) is not None

    def note_refusal(self, transaction_uid: str, error: str, again_at: datetime) -> None:
        """Note that the peer was not to be asked, and when it is tried again."""
        with writing(self._engine) as connection:
            connection.execute(
                update(send_job)
                .where(
                    send_job.c.transaction_uid == transaction_uid, send_job.c.state == SendState.CONFIRMING
                )
                .values(last_error=error, next_attempt_at=again_at)
            )

    def note(
        self,
        ae_title: str,
        transaction_uid: str,
        committed: Sequence[str],
        failed: Mapping[str, int],
        now: datetime,
    ) -> bool:
        """Note what a peer says; tell whether it was asked. What is not safe there is sent again."""
        waits = (send_job.c.transaction_uid == transaction_uid, send_job.c.ae_title == ae_title)
        with writing(self._engine) as connection:
            job_id = connection.scalar(select(send_job.c.id).where(*waits).with_for_update())
            if job_id is None:
                return False
            for uids in _parts(committed):
                connection.execute(update(send_job_instance).where(*_of(job_id, uids)).values(committed=True))
            lost = sum(_forget(connection, job_id, uids) for uids in _parts(list(failed)))
            connection.execute(
                update(send_job).where(send_job.c.id == job_id).values(_heard(lost, failed, now))
            )
            return True


def _heard(lost: int, failed: Mapping[str, int], now: datetime) -> dict[str, Any]:
    waits = send_job.c.state == SendState.CONFIRMING
    due = now + _AGAIN_AFTER if lost else now
    heard: dict[str, Any] = {
        "transaction_uid": None,
        "sent": send_job.c.sent - lost,
        "state": case((waits, SendState.WAITING.value), else_=send_job.c.state),
        "next_attempt_at": case((waits, due), else_=send_job.c.next_attempt_at),
    }
    if lost:
        reason = next(iter(failed.values()))
        heard["last_error"] = f"{lost} instances are not safe there ({reason:04X})"
    else:
        heard["rounds"] = 0
    return heard


def _forget(connection: Connection, job_id: int, uids: Sequence[str]) -> int:
    """Forget that instances were sent; return how many there were."""
    sent = delete(send_job_instance).where(*_of(job_id, uids), ~send_job_instance.c.refused)
    return len(connection.execute(sent.returning(send_job_instance.c.sop_instance_uid)).all())


def _of(job_id: int, uids: Sequence[str]) -> tuple[Any, ...]:
    return send_job_instance.c.job_ref == job_id, send_job_instance.c.sop_instance_uid.in_(uids)


def _parts(uids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(uids), _AT_A_TIME):
        yield uids[begin : begin + _AT_A_TIME]
