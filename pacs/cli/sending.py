"""Sending studies to peers, on the command line: wished for here, done by the worker."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.list_numbers import LARGEST_NUMBER
from pacs.cli.running import opened_archive

if TYPE_CHECKING:
    from collections.abc import Callable

    from pacs.archive import Archive
    from pacs.index.send_jobs import SendJob

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="List and steer send jobs: studies on their way to peers. A running worker does them, and heeds a "
    "change within two seconds.",
    no_args_is_help=True,
)


class _State(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    CONFIRMING = "confirming"
    DONE = "done"
    FAILED = "failed"
    PAUSED = "paused"
    CANCELLED = "cancelled"


JobId = Annotated[int, typer.Argument(metavar="JOB", max=LARGEST_NUMBER, help="Number in the list.")]
JobIds = Annotated[
    list[int] | None,
    typer.Argument(metavar="JOB...", max=LARGEST_NUMBER, help="Numbers in the list; or give --to."),
]
To = Annotated[str | None, typer.Option(metavar="AET", help="Jobs to this peer.")]


def send(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY_UID...", help="Study Instance UIDs.")],
    to: Annotated[str, typer.Option("--to", metavar="AET", help="The peer; 'filmless peers' lists them.")],
    priority: Annotated[int, typer.Option(min=-9, max=9, help="The highest goes first.")] = 0,
    again: Annotated[bool, typer.Option("--again", help="Also what the peer has got already.")] = False,
) -> None:
    """Send studies to a peer: a running worker does it, and goes on whatever happens meanwhile.

    'filmless jobs' tells how far it is. Where a study was sent to this peer before, only what is new goes.
    """
    from pacs.sending import send_studies

    with opened_archive() as archive:
        jobs = send_studies(archive, studies, to.strip(), origin="operator", priority=priority, again=again)
    for job in jobs:
        typer.echo(_line(job))


@app.command("list")
def list_jobs(
    state: Annotated[list[_State] | None, typer.Option(help="Only these.")] = None,
    to: To = None,
    study: Annotated[str | None, typer.Option(metavar="UID", help="Only those of this study.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, at most.")] = 100,
) -> None:
    """List jobs, the newest first: number, state, instances sent, peer, study, and what went wrong last."""
    from pacs.index.send_jobs import SendState

    states = [SendState(one.value) for one in state or ()]
    with opened_archive() as archive:
        jobs = archive.index.send_jobs.list_jobs(
            states=states, ae_title=to, study_instance_uid=study, limit=limit
        )
    for job in jobs:
        typer.echo(_line(job))
    if not jobs:
        typer.echo("there are no such jobs")


@app.command()
def show(job_id: JobId) -> None:
    """Tell all of a job, and which instances its peer refused."""
    with opened_archive() as archive:
        job = archive.index.send_jobs.find(job_id)
        refused = archive.index.send_jobs.list_refused(job_id)
    typer.echo(_line(job))
    typer.echo(f"wished for by {job.origin} {_moment(job.created_at)}, changed {_moment(job.changed_at)}")
    counts = f"{job.warned} with a warning, {job.refused} refused"
    typer.echo(f"{job.sent} of {job.total} instances sent, {counts}")
    if job.next_attempt_at is not None and job.attempts:
        typer.echo(f"{job.attempts} times in vain; again at {_moment(job.next_attempt_at)}")
    for one in refused:
        why = one.error or f"{one.status or 0:04X}"
        typer.echo(f"  refused: {one.sop_instance_uid}  {why}")


@app.command()
def retry(job_ids: JobIds = None, to: To = None) -> None:
    """Try at once what waits for another try, what was refused, and what was cancelled."""
    now = datetime.now(UTC)
    _steer(job_ids, to, (_State.WAITING, _State.FAILED), lambda a, one: a.index.send_jobs.retry(one, now))


@app.command()
def pause(job_ids: JobIds = None, to: To = None) -> None:
    """Let jobs rest until they are resumed."""
    states = (_State.WAITING, _State.SENDING, _State.CONFIRMING)
    _steer(job_ids, to, states, lambda a, one: a.index.send_jobs.pause(one))


@app.command()
def resume(job_ids: JobIds = None, to: To = None) -> None:
    """Let paused jobs go on."""
    now = datetime.now(UTC)
    _steer(job_ids, to, (_State.PAUSED,), lambda a, one: a.index.send_jobs.resume(one, now))


@app.command()
def cancel(job_ids: JobIds = None, to: To = None) -> None:
    """Send no more of these studies. What the peer has got it keeps."""
    states = (_State.WAITING, _State.SENDING, _State.CONFIRMING, _State.PAUSED, _State.FAILED)
    _steer(job_ids, to, states, lambda a, one: a.index.send_jobs.cancel(one))


def _steer(
    job_ids: list[int] | None,
    to: str | None,
    states: tuple[_State, ...],
    change: Callable[[Archive, int], SendJob],
) -> None:
    """Change the jobs of these numbers, or those of a peer that are in one of these states."""
    from pacs.index.send_jobs import SendState

    if bool(job_ids) == (to is not None):
        raise typer.BadParameter("give the numbers of jobs, or --to AET")
    with opened_archive() as archive:
        if to is not None:
            wanted = [SendState(state.value) for state in states]
            found = archive.index.send_jobs.list_jobs(states=wanted, ae_title=to, limit=1_000_000)
            job_ids = [job.job_id for job in found]
        for job_id in job_ids or ():
            typer.echo(_line(change(archive, job_id)))
    if not job_ids:
        typer.echo("there are no such jobs")


def _line(job: SendJob) -> str:
    count = f"{job.sent}/{job.total}" if job.total else "-"
    told = f"{job.job_id:>6}  {job.state.value:10}  {count:>11}  {job.ae_title:16}  {job.study_instance_uid}"
    return told if job.last_error is None else f"{told}  {job.last_error}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
