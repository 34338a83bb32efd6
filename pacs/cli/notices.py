"""Notices: what peers are told besides images, on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.running import opened_archive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pacs.index.notices import Notice

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="See what peers are not told yet, and what they refused: that studies are here "
    "(filmless peers change AET --notify-available), and what modalities did (--forward-performed).",
    no_args_is_help=True,
)


@app.command("list")
def list_notices(
    to: Annotated[str | None, typer.Option("--to", metavar="AET", help="Only those of this peer.")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only those that are given up.")] = False,
) -> None:
    """List what is not told yet, oldest first: peer, what, UID, when it is tried, why not (no patient).

    The messages of a step go in their order: one that waits for another is tried when that was taken. What
    is given up is tried again by 'retry' only.
    """
    with opened_archive() as archive:
        found = archive.index.notices.list_untold(to, refused_only=refused)
    for notice in found:
        typer.echo(_line(notice, found))
    if not found:
        typer.echo("nothing waits")


@app.command()
def retry(aet: Annotated[str, typer.Argument(metavar="AET", help="AE title of the peer.")]) -> None:
    """Try at once all that a peer is not told yet, also what it refused."""
    with opened_archive() as archive:
        number = archive.index.notices.retry(aet.strip(), datetime.now(UTC))
    typer.echo(f"{number} will be tried at once")


def _line(notice: Notice, untold: Sequence[Notice]) -> str:
    from pacs.index.notices import NoticeKind

    is_of_step = notice.kind is NoticeKind.PERFORMED
    what = f"{_message(notice)} of step" if is_of_step else "study available"
    why = f": {notice.last_error}" if notice.last_error else ""
    return f"{notice.ae_title:16}  {what:16}  {notice.subject_uid}  {_when(notice, untold)}{why}"


def _message(notice: Notice) -> str:
    return "N-CREATE" if notice.number == 1 else f"N-SET {notice.number - 1}"


def _when(notice: Notice, untold: Sequence[Notice]) -> str:
    """Say when it is tried; what waits for another message of its step has a time, and is not tried at it."""
    if notice.next_attempt_at is None:
        return "given up"
    first = next((one for one in untold if one.is_in_the_way_of(notice)), None)
    if first is None:
        return f"next at {notice.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"waits for its {_message(first)}" + (", which is given up" if first.is_refused else "")
