"""Conflicts: what a person has to decide, seen and settled on the command line."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.list_numbers import LARGEST_NUMBER
from pacs.cli.running import opened_archive

if TYPE_CHECKING:
    from pacs.index.records import Conflict, Content

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="List and settle conflicts: other content under a known SOP Instance UID, and instances that name "
    "another patient than their study. Both contents stay in the store, however a conflict is settled.",
    no_args_is_help=True,
)

_MOST_LISTED = 1000

StudyUid = Annotated[
    str | None, typer.Option("--study", metavar="UID", help="Only those of this Study Instance UID.")
]


class _Keep(StrEnum):
    FIRST = "first"
    NEW = "new"


@app.command("list")
def list_conflicts(
    settled: Annotated[bool, typer.Option("--settled", help="Also those that are settled.")] = False,
    study: StudyUid = None,
) -> None:
    """List conflicts, oldest first: number, time, kind, sender, study, what differs (no patient is named)."""
    with opened_archive() as archive:
        found = archive.index.list_conflicts(
            open_only=not settled, study_instance_uid=study, limit=_MOST_LISTED
        )
    for conflict in found:
        what = f"{conflict.kind.value:7}  {conflict.new.calling_ae_title or '-':16}  {_state(conflict):8}"
        typer.echo(
            f"{conflict.conflict_id:>6}  {conflict.new.received_at:%Y-%m-%d %H:%M:%S}  {what}  "
            f"{conflict.study_instance_uid}  {conflict.differs}"
        )
    if not found:
        typer.echo("there are no conflicts" if settled else "there are no open conflicts")
    elif len(found) == _MOST_LISTED:
        typer.echo(f"only the first {_MOST_LISTED} are shown")


@app.command()
def show(
    conflict_id: Annotated[int, typer.Argument(metavar="ID", max=LARGEST_NUMBER, help="Number in the list.")],
) -> None:
    """Show a conflict, attribute by attribute, with what each content says. Patients are named here."""
    from pacs.conflicts import compare_contents, find_conflict

    with opened_archive() as archive:
        conflict = find_conflict(archive, conflict_id)
        differences = compare_contents(archive, conflict)
    typer.echo(f"conflict {conflict.conflict_id} about the {conflict.kind.value}, {_state(conflict)}")
    typer.echo(f"study    {conflict.study_instance_uid}")
    typer.echo(f"instance {conflict.sop_instance_uid}")
    if conflict.first is not None:
        typer.echo(f"first    {_told(conflict.first)}")
    typer.echo(f"new      {_told(conflict.new)}")
    typer.echo(f"differs  {conflict.differs}")
    for difference in differences:
        typer.echo(f"  {difference.keyword}: {difference.first or '(none)'} -> {difference.new or '(none)'}")


@app.command()
def settle(
    conflict_ids: Annotated[
        list[int] | None, typer.Argument(metavar="ID...", max=LARGEST_NUMBER, help="Numbers in the list.")
    ] = None,
    keep: Annotated[
        _Keep,
        typer.Option(
            help="first: what was there stays, or is current again. new: what came with the conflict is what "
            "readers get; of a conflict about the patient, the study is that patient's."
        ),
    ] = ...,  # type: ignore[assignment]
    study: StudyUid = None,
) -> None:
    """Settle conflicts: those with these numbers, or all open ones of a study.

    What is settled may be settled otherwise later.
    """
    from pacs.conflicts import find_conflict
    from pacs.conflicts import settle as settle_one

    if bool(conflict_ids) == (study is not None):
        raise typer.BadParameter("give the numbers of conflicts, or --study UID")
    with opened_archive() as archive:
        found = (
            archive.index.list_conflicts(study_instance_uid=study)
            if study is not None
            else [find_conflict(archive, conflict_id) for conflict_id in conflict_ids or ()]
        )
        for conflict in found:
            settle_one(archive, conflict, keep.value)
            typer.echo(f"conflict {conflict.conflict_id}: kept {keep.value}")


def _state(conflict: Conflict) -> str:
    return "open" if conflict.kept is None else f"{conflict.kept}, {conflict.settled_by}"


def _told(content: Content) -> str:
    sender = content.calling_ae_title or "unknown sender"
    return f"{content.received_at:%Y-%m-%d %H:%M:%S} UTC from {sender}: {content.object_key}"
