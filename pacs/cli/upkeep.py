"""Commands with which an operator fills an archive and looks after it.

Their exit codes: 0 all is well, 1 something is not (and is told), 2 could not run, or could not go on.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.progress import Progress, showing_progress, told_size
from pacs.cli.running import opened_archive, stopped_by_signals

if TYPE_CHECKING:
    from pacs.jobs.importing.report import ImportReport
    from pacs.jobs.importing.run import FileImport

# ruff: noqa: PLC0415 - as in pacs.cli.processes

FOUND_WRONG, COULD_NOT_RUN = 1, 2
_TOLD_REASONS = 20
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
