"""``python -m tests.bench``: the archive beside its peers, on this machine, in one run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tests.bench.ingest import measure_ingest, workloads
from tests.bench.report import RESULTS_FILE, Circumstances, format_run, record_run
from tests.bench.servers import CONTENDERS


def main(
    full: Annotated[bool, typer.Option(help="Send more: fewer surprises, about ten minutes.")] = False,
    repetitions: Annotated[int, typer.Option(min=1, help="Odd numbers have a median.")] = 3,
    record: Annotated[bool, typer.Option(help="Keep the run in tests/bench/RESULTS.md.")] = False,
) -> None:
    """Measure ingest by C-STORE: Filmless beside Orthanc and dcmtk's storescp, where they are installed."""
    if sys.platform != "linux":
        raise SystemExit("the accounts of the servers' processes are read from Linux's /proc")
    present = [contender for contender in CONTENDERS if contender.is_installed]
    for contender in CONTENDERS:
        if contender not in present:
            typer.echo(f"{contender.name} is not installed, and is left out", err=True)
    circumstances = Circumstances.now()
    results = measure_ingest(
        present, workloads(full=full), repetitions, lambda line: typer.echo(line, err=True)
    )
    run = format_run(results, present, circumstances)
    typer.echo(run)
    if record:
        record_run(run)
        typer.echo(f"recorded in {RESULTS_FILE}", err=True)


if __name__ == "__main__":
    typer.run(main)
