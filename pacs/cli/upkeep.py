"""Commands with which an operator fills an archive and looks after it.

Their exit codes: 0 all is well, 1 something is not (and is told), 2 could not run, or could not go on.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.progress import Progress, showing_progress, told_size
from pacs.cli.running import opened_archive, stopped_by_signals

if TYPE_CHECKING:
    from pacs.jobs.importing.report import ImportReport
    from pacs.jobs.importing.run import FileImport
    from pacs.jobs.sweep import Fault

# ruff: noqa: PLC0415 - as in pacs.cli.processes

FOUND_WRONG, COULD_NOT_RUN = 1, 2
_TOLD_REASONS = _TOLD_FAULTS = 20
_GO_ON = "run the same command again: it goes on where it stopped"

ReportPath = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE", help="Append a line (JSON) for each file or object to this file."
    ),
]


def import_files(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", exists=True, help="Files and folders.")],
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Files at a time. Default: twice the processors.")
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Keeps note of what is finished. Default: import.journal in DATA_DIR."
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Read also what an earlier run has finished.")
    ] = False,
    report: ReportPath = None,
) -> None:
    """Take in files: folders, ZIPs, CDs with a DICOMDIR, a whole old archive.

    May run beside 'up'. May be stopped at any time, by Ctrl-C or a power cut: run it again, and it goes on.
    A file is finished when its image is on the disk and in the index; the files themselves are not touched.
    """
    from pacs.jobs.importing.journal import Journal
    from pacs.jobs.importing.report import ReportFile
    from pacs.jobs.importing.run import FileImport, ImportStopped, default_workers

    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(opened_archive())
        journal = journal or archive.settings.data_dir / "import.journal"
        run = FileImport(
            archive,
            [path.absolute() for path in paths],
            stack.enter_context(Journal(journal, archive.settings)),
            stack.enter_context(ReportFile(report)) if report else None,
            again=again,
        )
        try:
            with stopped_by_signals(run.stop.set), showing_progress(lambda: _progress(run), "files"):
                run.run(workers or default_workers())
            stopped = "stopped" if run.stop.is_set() else None
        except ImportStopped as error:
            stopped = str(error)
        _tell_import(run.report)
        if stopped is not None:
            typer.echo(f"filmless: {stopped}; {_GO_ON}", err=True)
            raise typer.Exit(COULD_NOT_RUN)
        if run.report.reasons:
            raise typer.Exit(FOUND_WRONG)


def sweep_now(
    settled_after: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Leave objects to their ingest that are younger.")
    ] = 60.0,
    report: ReportPath = None,
) -> None:
    """Compare store and index now, as the worker does every hour.

    Objects that the index lacks are indexed; images of the index that the store has lost are told. Nothing
    is deleted but what a crash left behind: temporary files, and second copies of what is intact.
    """
    from pacs.jobs.sweep import SweepReport, sweep

    stop, found = threading.Event(), SweepReport()
    with opened_archive() as archive:
        total = archive.index.count_objects()

        def measure() -> Progress:
            total_bytes = max(total.size_bytes, found.examined_bytes)
            return Progress(found.examined, found.examined_bytes, total_bytes=total_bytes)

        with stopped_by_signals(stop.set), showing_progress(measure, "objects"):
            sweep(archive, stop, timedelta(seconds=settled_after), found)
    _tell_counts(
        ("objects examined", found.examined),
        ("were not in the index: indexed", found.adopted),
        ("cannot be read just now", found.postponed),
        ("unreadable: damaged, or no images of ours", found.unreadable),
        ("missing: in the index, and not in the store", found.missing),
        ("second copies removed", found.copies_removed),
        ("abandoned temporaries removed", found.temporaries_removed),
    )
    _end(found.faults, report, stop, wrong=found.unreadable + found.missing + found.postponed)


def verify(
    rate: Annotated[
        float | None, typer.Option(min=0.001, metavar="MB/S", help="Read no faster. Default: at full speed.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Objects at a time.")] = 2,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, not where it was stopped.")] = False,
    report: ReportPath = None,
) -> None:
    """Read every object again and compare it with its size and SHA-256 in the index.

    May run beside 'up'; --rate leaves the disk to others. May be stopped at any time: run it again, and it
    goes on.
    """
    from pacs.jobs.verify import Verification

    with opened_archive() as archive:
        bytes_per_s = None if rate is None else rate * 1e6
        run = Verification(archive, archive.settings.data_dir / "verify.state", bytes_per_s)

        def measure() -> Progress:
            done = run.report
            return Progress(done.objects, done.size_bytes, run.totals.objects, run.totals.size_bytes)

        with stopped_by_signals(run.stop.set), showing_progress(measure, "objects"):
            found = run.run(workers, restart=restart)
    if run.gone_on_from:
        typer.echo(f"went on behind {run.gone_on_from:,} objects of an earlier run")
    _tell_counts(
        (f"objects verified, {told_size(found.size_bytes)}", found.objects),
        ("damaged: not the bytes that were stored", found.damaged),
        ("missing: in the index, and not in the store", found.missing),
        ("unreadable: the store gives an error", found.unreadable),
    )
    _end(found.faults, report, run.stop, wrong=found.faulty)


def _tell_counts(*counts: tuple[str, int]) -> None:
    for text, count in counts:
        typer.echo(f"{count:>12,}  {text}")


def _end(faults: Sequence[Fault], report: Path | None, stop: threading.Event, wrong: int) -> None:
    """Name what is wrong, on the console and in the report, and end with the exit code for it."""
    for one in faults[:_TOLD_FAULTS]:
        typer.echo(f"{one.fault}: {one.key}")
    if len(faults) > _TOLD_FAULTS:
        typer.echo(f"and {len(faults) - _TOLD_FAULTS:,} more; --report FILE has them")
    if report is not None:
        with report.open("a", encoding="utf-8") as lines:
            lines.writelines(json.dumps({"key": one.key, "fault": one.fault}) + "\n" for one in faults)
    if stop.is_set():
        typer.echo(f"filmless: stopped; {_GO_ON}", err=True)
        raise typer.Exit(COULD_NOT_RUN)
    if wrong:
        raise typer.Exit(FOUND_WRONG)


def _progress(run: FileImport) -> Progress:
    total_bytes = max(run.total.size_bytes, run.report.done_bytes) if run.total.complete else None
    return Progress(run.report.done_files, run.report.done_bytes, total_bytes=total_bytes)


def _tell_import(report: ImportReport) -> None:
    typer.echo(f"{report.done_files:,} files, {told_size(report.done_bytes)}:")
    for outcome, count in sorted(report.outcomes.items(), key=lambda item: -item[1]):
        typer.echo(f"{count:>12,}  {outcome.value}")
    if report.corrected:
        typer.echo(f"{report.corrected:>12,}  of these: File Meta Information corrected")
    if report.reasons:
        typer.echo("Refused:")
    for reason, count in report.reasons.most_common(_TOLD_REASONS):
        typer.echo(f"{count:>12,}  {reason}")
