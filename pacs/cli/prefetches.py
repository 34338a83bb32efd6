"""Previous studies on their way from other archives, on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.list_numbers import LARGEST_NUMBER
from pacs.cli.running import opened_archive

if TYPE_CHECKING:
    from pacs.index.prior_fetches import PriorFetch

app = typer.Typer(
    help="List and cancel fetches of previous studies: one for each order and other archive, made by routes "
    "with --fetch-from. A running worker does them.",
    no_args_is_help=True,
)


@app.command("list")
def list_fetches(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, at most.")] = 100,
) -> None:
    """List fetches, the newest first: number, state, archive, order, what is here, what went wrong last."""
    with opened_archive() as archive:
        jobs = archive.index.prior_fetches.list_jobs(limit)
    for job in jobs:
        typer.echo(_line(job))
    if not jobs:
        typer.echo("there are no fetches; 'filmless routes add --fetch-from' makes them as orders come")


@app.command()
def cancel(
    numbers: Annotated[
        list[int], typer.Argument(metavar="NUMBER...", max=LARGEST_NUMBER, help="In the list.")
    ],
) -> None:
    """Fetch no more for these orders. What has come stays here."""
    with opened_archive() as archive:
        for number in numbers:
            typer.echo(_line(archive.index.prior_fetches.cancel(number)))


def _line(job: PriorFetch) -> str:
    wish, progress = job.wish, job.progress
    told = [f"{job.job_id:>6}  {job.state.value:10}  {wish.ae_title:16}  order {wish.accession_number}"]
    told += [f"{progress.studies} studies, {progress.instances} instances"] if progress.studies else []
    told += [f"{progress.differing} studies of this ID are of another person"] if progress.differing else []
    told += [job.last_error] if job.last_error else []
    return "  ".join(told)
