"""Matches of studies and orders: what waits for a person, decided on the command line."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.list_numbers import LARGEST_NUMBER
from pacs.cli.running import opened_archive

if TYPE_CHECKING:
    from pacs.index.order_matches import OrderMatch

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="See which studies are of which orders, and decide where that is not certain: the same accession "
    "number and another name, two orders that may be meant, a study without an accession number ...",
    no_args_is_help=True,
)

_MOST_LISTED = 1000

Numbers = Annotated[
    list[int], typer.Argument(metavar="ID...", max=LARGEST_NUMBER, help="Numbers in the list.")
]


class _State(StrEnum):
    OPEN = "open"
    LINKED = "linked"
    REJECTED = "rejected"
    ALL = "all"


@app.command("list")
def list_matches(
    state: Annotated[_State, typer.Option(help="open: a person has to decide.")] = _State.OPEN,
    study: Annotated[str | None, typer.Option(metavar="UID", help="Only those of this study.")] = None,
    accession: Annotated[str | None, typer.Option(metavar="NUMBER", help="Only those of this order.")] = None,
) -> None:
    """List matches, oldest first: number, state, accession number, study, and why (no patient is named)."""
    from pacs.index.order_matches import MatchState

    wanted = None if state is _State.ALL else MatchState(state.value)
    with opened_archive() as archive:
        found = archive.index.matches.list_matches(
            wanted, study_instance_uid=study, accession_number=accession, limit=_MOST_LISTED
        )
    for match in found:
        typer.echo(_line(match))
    if not found:
        typer.echo("there are no such matches")
    elif len(found) == _MOST_LISTED:
        typer.echo(f"only the first {_MOST_LISTED} are shown")


@app.command()
def show(
    match_id: Annotated[int, typer.Argument(metavar="ID", max=LARGEST_NUMBER, help="Number in the list.")],
) -> None:
    """Show what the study and the order say, side by side. The patient is named here."""
    from pacs.order_matching import compare

    with opened_archive() as archive:
        match = archive.index.matches.find(match_id)
        compared = compare(archive, match)
    typer.echo(_line(match))
    for one in compared:
        sign = "=" if one.agrees else " " if one.agrees is None else "≠"
        typer.echo(f"{one.name:24}{sign} {one.study or '-':40}  {one.order or '-'}")


@app.command()
def accept(match_ids: Numbers) -> None:
    """Say that studies are of these orders. Other open matches of the studies are rejected by that."""
    _decide(match_ids, "accepted")


@app.command()
def reject(match_ids: Numbers) -> None:
    """Say that studies are not of these orders."""
    _decide(match_ids, "rejected")


@app.command()
def link(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Study Instance UID.")],
    accession: Annotated[str, typer.Argument(metavar="NUMBER", help="Accession number of the order.")],
) -> None:
    """Say that a study is of an order to which nothing led from it."""
    from pacs.index.order_matches import Decision
    from pacs.order_matching import decide

    with opened_archive() as archive:
        decide(archive, study, accession, Decision.ACCEPTED)
    typer.echo(f"study {study} is of order {accession}")


def _decide(match_ids: list[int], decision: str) -> None:
    from pacs.index.order_matches import Decision
    from pacs.order_matching import decide_match

    with opened_archive() as archive:
        for match_id in match_ids:
            typer.echo(_line(decide_match(archive, match_id, Decision(decision))))


def _line(match: OrderMatch) -> str:
    why = ", ".join(match.reasons) or "a person said so"
    return (
        f"{match.match_id:>6}  {match.state:8}  {match.accession_number:16}  {match.study_instance_uid}  "
        f"{match.certainty}: {why}"
    )
