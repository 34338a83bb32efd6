"""The ledger: checked, and made into an index again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.progress import Progress, showing_progress
from pacs.cli.running import opened_archive, stopped_by_signals
from pacs.cli.upkeep import COULD_NOT_RUN, FOUND_WRONG

if TYPE_CHECKING:
    from pacs.jobs.rebuild import RebuildReport

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="The ledger in the store: what is true of the archive and stands in no image (storage/FORMAT.md).",
    no_args_is_help=True,
)


@app.command()
def verify() -> None:
    """Walk the ledger from its first segment on, and tell where it breaks."""
    from pacs.ledger.chain import verify_chain

    with opened_archive() as archive:
        report = verify_chain(archive.store, archive.index.ledger.head())
    typer.echo(f"{report.segments:,} segments, {report.entries:,} entries")
    for fault in report.faults:
        typer.echo(fault, err=True)
    if report.faults:
        raise typer.Exit(FOUND_WRONG)
    typer.echo("every segment is whole and follows the one before")


def rebuild_index(
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="Empty the index first. What waits for the ledger is written before."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the index is emptied.")] = False,
) -> None:
    """Make the index again from the store alone, or bring one that was restored from a backup up to it.

    Stop 'up' first. Safe to run again: it begins where the index ends, so one that was killed goes on, and on
    an index that lacks nothing it changes nothing.
    """
    from pacs.jobs.rebuild import RebuildReport
    from pacs.jobs.rebuild import rebuild_index as rebuild

    if from_scratch and not yes:
        typer.confirm("Empty the index and make it again from the store?", abort=True)
    report, stop = RebuildReport(), threading.Event()
    with (
        opened_archive() as archive,
        stopped_by_signals(stop.set),
        showing_progress(lambda: _progress(report), "entries and objects"),
    ):
        rebuild(archive, stop, report, from_scratch=from_scratch)
    _tell_rebuild(report)
    if stop.is_set():
        typer.echo("filmless: stopped; run the same command without --from-scratch, and it goes on", err=True)
        raise typer.Exit(COULD_NOT_RUN)
    if report.faults:
        raise typer.Exit(FOUND_WRONG)


def _progress(report: RebuildReport) -> Progress:
    return Progress(report.done, 0, total_items=report.total)


def _tell_rebuild(report: RebuildReport) -> None:
    ledger = report.ledger
    typer.echo(f"{ledger.segments:,} segments of the ledger, {ledger.entries:,} entries:")
    typer.echo(f"{ledger.instances:>12,}  instances with their receipts")
    typer.echo(f"{report.objects:,} objects of the store:")
    typer.echo(f"{report.without_receipt:>12,}  without a receipt, indexed with the time of their file")
    for line in report.faults:
        typer.echo(line, err=True)
