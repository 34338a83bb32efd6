"""``python -m tests.bench``: the archive beside its peers, on this machine, in one run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, TypeVar

import typer

from tests.bench.find import STUDIES as FOUND_STUDIES
from tests.bench.find import measure_finds
from tests.bench.first_frame import measure_first_frame
from tests.bench.ingest import Workload, measure_ingest, workloads
from tests.bench.latency import measure_latency
from tests.bench.pixels import PICTURE_LOADS, measure_pixels
from tests.bench.recorded_searches import STUDIES, measure_recorded_searches
from tests.bench.report import (
    RESULTS_FILE,
    Circumstances,
    format_finds,
    format_first_frames,
    format_ingest,
    format_latency,
    format_pixels,
    format_retrieval,
    format_run,
    format_searches,
    format_storescu,
    format_upload,
    format_web,
    format_worklists,
    record_run,
)
from tests.bench.retrieval import destination, measure_retrieval, retrieval_contenders
from tests.bench.search import measure_searches
from tests.bench.servers import CONTENDERS, NO_POSTGRESQL, WEB_CONTENDERS, Contender
from tests.bench.storescu import measure_storescu
from tests.bench.upload import measure_upload
from tests.bench.web import STOW_KEY, WEB_LOADS, measure_web
from tests.bench.worklist import ORDERS, measure_worklists
from tests.data import find_program

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Choice = TypeVar("Choice", Contender, Workload)
Record = Annotated[bool, typer.Option(help="Keep the run in tests/bench/RESULTS.md.")]
Repetitions = Annotated[int, typer.Option(min=1, help="Odd numbers have a median.")]

_KEYS = ", ".join(contender.key for contender in CONTENDERS)
_PICTURE_KEYS = ", ".join(one.key for one in PICTURE_LOADS)
_WEB_KEYS = ", ".join([*(one.key for one in WEB_LOADS), STOW_KEY])
_QUICK = "orthanc-sqlite,filmless-sqlite"
_DATABASES = ("SQLite", "PostgreSQL")


@app.callback(invoke_without_command=True)
def everything(context: typer.Context, record: Record = False) -> None:
    """Measure Filmless beside Orthanc and dcmtk's storescp, where they are installed; or a part of it."""
    if sys.platform != "linux":
        raise SystemExit("the accounts of the servers' processes are read from Linux's /proc")
    if context.invoked_subcommand is None:
        circumstances = Circumstances.now()
        sections = [
            _ingest(_installed(CONTENDERS), workloads(quick=False), 3),
            _storescu(3),
            _latency(_DATABASES, 1500),
            _web("", 3, 5.0),
            _pixels("", 3, 5.0),
        ]
        _publish(circumstances, sections, record)


@app.command()
def ingest(
    servers: Annotated[str, typer.Option(help=f"Some of these, with commas between: {_KEYS}.")] = "",
    loads: Annotated[str, typer.Option(help="Some of ct1, ct4, mr1, mr4, dx1, dx4, the same way.")] = "",
    quick: Annotated[bool, typer.Option(help="Send less, once; ct4 and mr4, on SQLite.")] = False,
    repetitions: Repetitions = 3,
    record: Record = False,
) -> None:
    """Measure ingest by C-STORE: rate, CPU time by process, memory."""
    if quick:
        servers, loads, repetitions = servers or _QUICK, loads or "ct4,mr4", 1
    circumstances = Circumstances.now()
    contenders = _installed(_chosen(servers, CONTENDERS))
    to_do = _chosen(loads, workloads(quick=quick))
    _publish(circumstances, [_ingest(contenders, to_do, repetitions)], record)


@app.command()
def storescu(repetitions: Repetitions = 3, record: Record = False) -> None:
    """Measure how fast dcmtk's storescu sends with its defaults."""
    circumstances = Circumstances.now()
    _publish(circumstances, [_storescu(repetitions)], record)


@app.command()
def latency(
    databases: Annotated[str, typer.Option(help="SQLite, PostgreSQL, or both.")] = ",".join(_DATABASES),
    requests: Annotated[int, typer.Option(min=100, help="C-STOREs at each size.")] = 1500,
    record: Record = False,
) -> None:
    """Measure how long a C-STORE takes at an index of 1,000,000 instances, and at 10,000."""
    circumstances = Circumstances.now()
    _publish(circumstances, [_latency(databases.split(","), requests)], record)


@app.command()
def upload(
    concurrency: Annotated[int, typer.Option(min=1, help="Objects at a time.")] = 8,
    repetitions: Repetitions = 3,
    record: Record = False,
) -> None:
    """Measure how fast the spool is emptied to an S3 server, beside bare PUTs at the same concurrency."""
    circumstances = Circumstances.now()
    _publish(circumstances, [format_upload(measure_upload(concurrency, repetitions, _tell))], record)


@app.command()
def web(
    loads: Annotated[str, typer.Option(help=f"Some of these, with commas between: {_WEB_KEYS}.")] = "",
    quick: Annotated[bool, typer.Option(help="Measure once, for a shorter time.")] = False,
    repetitions: Repetitions = 3,
    record: Record = False,
) -> None:
    """Measure DICOMweb: frames, instances, series, metadata, STOW."""
    circumstances = Circumstances.now()
    seconds, repetitions = (1.5, 1) if quick else (5.0, repetitions)
    _publish(circumstances, [_web(loads, repetitions, seconds)], record)


def _web(loads: str, repetitions: int, seconds: float) -> str:
    keys = [key.strip() for key in loads.split(",") if key.strip()]
    contenders = _installed(WEB_CONTENDERS)
    return format_web(measure_web(contenders, keys, repetitions, seconds, _tell), contenders)


@app.command()
def retrieval(repetitions: Repetitions = 5, record: Record = False) -> None:
    """Measure how fast a study is given away by C-GET and C-MOVE."""
    circumstances = Circumstances.now()
    with destination() as peer:
        contenders = _installed(retrieval_contenders(peer))
        results = measure_retrieval(contenders, repetitions, _tell)
    _publish(circumstances, [format_retrieval(results, contenders)], record)


@app.command()
def pixels(
    loads: Annotated[str, typer.Option(help=f"Some of these, with commas between: {_PICTURE_KEYS}.")] = "",
    quick: Annotated[bool, typer.Option(help="Measure once, for a shorter time.")] = False,
    repetitions: Repetitions = 3,
    record: Record = False,
) -> None:
    """Measure rendered images, thumbnails and previews, none of them from a cache but where it says so."""
    circumstances = Circumstances.now()
    seconds, repetitions = (1.5, 1) if quick else (5.0, repetitions)
    sections = [_pixels(loads, repetitions, seconds)]
    if not loads:
        sections.append(format_first_frames(measure_first_frame(repetitions, _tell)))
    _publish(circumstances, sections, record)


def _pixels(loads: str, repetitions: int, seconds: float) -> str:
    keys = [key.strip() for key in loads.split(",") if key.strip()]
    return format_pixels(measure_pixels(_installed(WEB_CONTENDERS), keys, repetitions, seconds, _tell))


@app.command()
def qido(
    quick: Annotated[bool, typer.Option(help="200,000 studies on PostgreSQL, 20,000 on SQLite.")] = False,
    databases: Annotated[str, typer.Option(help="SQLite, PostgreSQL, or both.")] = ",".join(_DATABASES),
    repetitions: Annotated[int, typer.Option(min=20, help="Of each search.")] = 100,
    record: Record = False,
) -> None:
    """Measure searches: 2,000,000 studies on PostgreSQL, 200,000 on SQLite, 5 instances each."""
    circumstances = Circumstances.now()
    sizes = {"SQLite": 200_000, "PostgreSQL": 2_000_000}
    results = [
        measure_searches(one, sizes[one] // (10 if quick else 1), repetitions, _tell)
        for one in databases.split(",")
    ]
    _publish(circumstances, [format_searches(results)], record)


@app.command()
def searches(
    studies: Annotated[int, typer.Option(min=100, help="In each server.")] = STUDIES,
    seconds: Annotated[float, typer.Option(min=0.5, help="For each search.")] = 3.0,
    repetitions: Repetitions = 1,
    record: Record = False,
) -> None:
    """Measure the searches that OHIF sends, beside Orthanc, at 10,000 studies."""
    circumstances = Circumstances.now()
    contenders = _installed(WEB_CONTENDERS)
    results = measure_recorded_searches(contenders, studies, repetitions, seconds, _tell)
    _publish(circumstances, [format_web(results, contenders)], record)


@app.command()
def find(
    servers: Annotated[str, typer.Option(help=f"Some of these, with commas between: {_KEYS}.")] = _QUICK,
    studies: Annotated[int, typer.Option(min=100, help="In each server.")] = FOUND_STUDIES,
    seconds: Annotated[float, typer.Option(min=0.5, help="For each query.")] = 5.0,
    repetitions: Repetitions = 3,
    record: Record = False,
) -> None:
    """Measure C-FIND beside Orthanc, over one association: 833 answers of 10,000 studies, one ID, all."""
    circumstances = Circumstances.now()
    contenders = _installed(_chosen(servers, CONTENDERS))
    results = measure_finds(contenders, studies, repetitions, seconds, _tell)
    _publish(circumstances, [format_finds(results, contenders)], record)


@app.command()
def worklist(
    orders: Annotated[int, typer.Option(min=100, help="In each server.")] = ORDERS,
    seconds: Annotated[float, typer.Option(min=0.5, help="For each query.")] = 5.0,
    record: Record = False,
) -> None:
    """Measure queries of the worklist beside dcmtk's wlmscpfs and Orthanc's sample plugin."""
    circumstances = Circumstances.now()
    results = measure_worklists(orders, seconds, _tell)
    _publish(circumstances, [format_worklists(results, orders)], record)


def _ingest(contenders: Sequence[Contender], to_do: Sequence[Workload], repetitions: int) -> str:
    return format_ingest(measure_ingest(contenders, to_do, repetitions, _tell), contenders)


def _storescu(repetitions: int) -> str:
    if find_program("storescu") is None:
        return "storescu is left out: the Debian package dcmtk is not installed"
    contenders = _installed(_chosen(_QUICK, CONTENDERS))
    return format_storescu(measure_storescu(contenders, repetitions, _tell), contenders)


def _latency(databases: Sequence[str], requests: int) -> str:
    if NO_POSTGRESQL and "PostgreSQL" in databases:
        _tell(f"latency on PostgreSQL is left out: {NO_POSTGRESQL} is not installed")
        databases = [database for database in databases if database != "PostgreSQL"]
    return format_latency(measure_latency(databases, requests, _tell))


def _publish(circumstances: Circumstances, sections: Sequence[str], record: bool) -> None:
    run = format_run(circumstances, sections)
    typer.echo(run)
    if record:
        record_run(run)
        _tell(f"recorded in {RESULTS_FILE}")


def _tell(line: str) -> None:
    typer.echo(line, err=True)


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
            _tell(f"{contender.name} is left out: {contender.missing} is not installed")
    return [contender for contender in contenders if contender.missing is None]


if __name__ == "__main__":
    app()
