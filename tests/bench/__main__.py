"""``python -m tests.bench``: the archive beside its peers, on this machine, in one run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, TypeVar

import typer

from tests.bench.ingest import Workload, measure_ingest, workloads
from tests.bench.report import RESULTS_FILE, Circumstances, format_run, record_run
from tests.bench.servers import CONTENDERS, Contender

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Choice = TypeVar("Choice", Contender, Workload)

_KEYS = ", ".join(contender.key for contender in CONTENDERS)


@app.callback(invoke_without_command=True)
def everything(
    context: typer.Context,
    record: Annotated[bool, typer.Option(help="Keep the run in tests/bench/RESULTS.md.")] = False,
) -> None:
    """Measure Filmless beside Orthanc and dcmtk's storescp, where they are installed; or a part of it."""
    if sys.platform != "linux":
        raise SystemExit("the accounts of the servers' processes are read from Linux's /proc")
    if context.invoked_subcommand is None:
        ingest(record=record)


@app.command()
def ingest(
    servers: Annotated[str, typer.Option(help=f"Some of these, with commas between: {_KEYS}.")] = "",
    loads: Annotated[str, typer.Option(help="Some of ct1, ct4, mr1, mr4, dx1, dx4, the same way.")] = "",
    quick: Annotated[bool, typer.Option(help="Once, ct4 and mr4, on SQLite; see a change at once.")] = False,
    full: Annotated[bool, typer.Option(help="Send more: fewer surprises, about ten minutes.")] = False,
    repetitions: Annotated[int, typer.Option(min=1, help="Odd numbers have a median.")] = 3,
    record: Annotated[bool, typer.Option(help="Keep the run in tests/bench/RESULTS.md.")] = False,
) -> None:
    """Measure ingest by C-STORE: rate, CPU time by process, memory."""
    if quick:
        servers, loads = servers or "orthanc-sqlite,filmless-sqlite", loads or "ct4,mr4"
        repetitions = 1
    present = _installed(_chosen(servers, CONTENDERS))
    circumstances = Circumstances.now()
    to_do = _chosen(loads, workloads(full=full))
    results = measure_ingest(present, to_do, repetitions, lambda line: typer.echo(line, err=True))
    run = format_run(results, present, circumstances)
    typer.echo(run)
    if record:
        record_run(run)
        typer.echo(f"recorded in {RESULTS_FILE}", err=True)


def _chosen(keys: str, choices: Sequence[Choice]) -> list[Choice]:
    """Pick by key; all without one."""
    wanted = [key.strip() for key in keys.split(",") if key.strip()]
    unknown = set(wanted) - {choice.key for choice in choices}
    if unknown:
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}")
    return [choice for choice in choices if not wanted or choice.key in wanted]


def _installed(contenders: Sequence[Contender]) -> list[Contender]:
    for contender in contenders:
        if contender.missing:
            typer.echo(f"{contender.name} is left out: {contender.missing} is not installed", err=True)
    return [contender for contender in contenders if contender.missing is None]


if __name__ == "__main__":
    app()
