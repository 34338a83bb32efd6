"""The results as text: tables to read in a terminal and in Markdown, and the file that keeps them."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tests.bench.find import FindResults
from tests.bench.first_frame import FRAMES, FirstFrames, summarize
from tests.bench.ingest import Measurement, Results, Workload
from tests.bench.latency import SIZES, Latencies
from tests.bench.measure import describe_machine
from tests.bench.pixels import DOORS, ORTHANC, PICTURE_LOADS, PictureResults
from tests.bench.retrieval import SLICES as RETRIEVED
from tests.bench.retrieval import RetrievalResults
from tests.bench.search import SearchTimes
from tests.bench.servers import Contender
from tests.bench.storescu import SLICES, Rates
from tests.bench.upload import BARE_PUTS, FOLDER, PUTS_READ_BACK, UPLOADER, UploadResults
from tests.bench.web import CONNECTIONS, WebResults
from tests.bench.worklist import WorklistTimes
from tests.data import PROJECT

RESULTS_FILE = Path(__file__).with_name("RESULTS.md")
_NEWEST_FIRST = "<!-- newest run first -->\n"

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What was true when a run began."""

    began_at: datetime
    load: float  # the load average of the last minute

    @classmethod
    def now(cls) -> Circumstances:
        """Note date and load."""
        return cls(datetime.now(UTC), os.getloadavg()[0])


def format_run(circumstances: Circumstances, sections: Sequence[str]) -> str:
    """Format a whole run as Markdown that is as plain to read in a terminal."""
    head = f"## {circumstances.began_at:%Y-%m-%d %H:%M} UTC"
    return "\n\n".join([head, _format_circumstances(circumstances), *sections]) + "\n"


def format_ingest(results: Results, contenders: Sequence[Contender]) -> str:
    """Format rates, CPU time and memory."""
    every = [one for several in results.measurements.values() for one in several]
    others = sum(one.other_cpu_s for one in every) / sum(one.elapsed_s for one in every)
    parts = [
        "### Ingest by C-STORE",
        "\n".join(f"- {one.name} ({results.versions[one.name]}): {one.meaning}" for one in contenders),
        f"While measuring, the kernel's threads and other users took {others:.2f} processors on average.",
        _format_table(_measurement_rows(results, contenders)),
        _format_table(_part_rows(results)),
        _format_table(_memory_rows(results, contenders)),
    ]
    return "\n\n".join(parts)


def format_storescu(rates: Sequence[Rates], contenders: Sequence[Contender]) -> str:
    """Format how fast storescu was."""
    baselines = {contender.name: contender.baseline for contender in contenders}
    of = {one.server: one.per_s for one in rates}
    rows: list[Row] = [("Server", "Instances/s", "lowest-highest", "Rate ratio")]
    for server, per_s in of.items():
        base = of.get(baselines[server])
        ratio = f"{median(per_s) / median(base):.1f}" if base else "-"
        rows.append((server, f"{median(per_s):.0f}", f"{min(per_s):.0f}-{max(per_s):.0f}", ratio))
    title = f"### {SLICES} MR slices of 22 KB from dcmtk's storescu with its defaults, its start included"
    return f"{title}\n\n{_format_table(rows)}"


def format_latency(latencies: Sequence[Latencies]) -> str:
    """Format how long a C-STORE takes with a small and with a large index."""
    sizes = [f"{size:,} instances, ms" for size in SIZES]
    rows: list[Row] = [("Database", "C-STORE", *sizes, "Ratio")]
    for one in latencies:
        for name, value in ("p50", one.p50_ms), ("p99", one.p99_ms):
            small, large = value(0), value(1)
            rows.append((one.database, name, f"{small:.2f}", f"{large:.2f}", f"{large / small:.2f}"))
    title = f"### C-STORE of 22 KB by the size of the index, {len(latencies[0].by_size[0])} of each in turn"
    return f"{title}\n\n{_format_table(rows)}"


def format_upload(results: UploadResults) -> str:
    """Format uploads beside bare PUTs, and ingest into a spool beside ingest into a folder."""
    head = (
        "Objects",
        "What",
        "Objects/s",
        "lowest-highest",
        "CPU ms each",
        "S3's CPU ms",
        "Rate ratio",
        "to",
    )
    rows: list[Row] = [head]
    for (kind, name), timings in results.items():
        baseline = BARE_PUTS if name in (BARE_PUTS, PUTS_READ_BACK, UPLOADER) else FOLDER
        rates = [timing.objects_per_s for timing in timings]
        ratio = median(rates) / median(timing.objects_per_s for timing in results[kind, baseline])
        rows.append(
            (
                f"{kind.name} x {timings[0].objects}",
                name,
                f"{median(rates):.0f}",
                f"{min(rates):.0f}-{max(rates):.0f}",
                f"{median(timing.cpu_ms for timing in timings):.2f}",
                f"{median(timing.server_cpu_ms for timing in timings):.2f}",
                f"{ratio:.2f}",
                baseline,
            )
        )
    return _format_table(rows)


def format_finds(results: FindResults, contenders: Sequence[Contender]) -> str:
    """Format what was answered to C-FINDs."""
    rows: list[Row] = [
        ("Asked for", "Server", "Finds/s", "lowest-highest", "Answers each", "CPU ms each", "Rate ratio")
    ]
    baselines = {contender.name: contender.baseline for contender in contenders}
    for (name, server), measured in sorted(results.items(), key=lambda result: result[0][0]):
        rates, base = [one.per_s for one in measured], results.get((name, baselines[server]))
        rows.append(
            (
                name,
                server,
                f"{median(rates):.1f}",
                f"{min(rates):.1f}-{max(rates):.1f}",
                f"{median(one.answers / one.finds for one in measured):.0f}",
                f"{median(1000 * one.cpu_s / one.finds for one in measured):.2f}",
                f"{median(rates) / median(one.per_s for one in base):.1f}" if base else "-",
            )
        )
    meanings = "\n".join(f"- {one.name}: {one.meaning}" for one in contenders)
    return f"### C-FIND at the STUDY level, over one association\n\n{meanings}\n\n{_format_table(rows)}"


def format_worklists(results: WorklistTimes, orders: int) -> str:
    """Format how long queries of the worklist took."""
    rows: list[Row] = [("Asked for", "Server", "p50 ms", "p95 ms", "Queries", "Answers each")]
    for (name, server), times in sorted(results.items(), key=lambda result: result[0][0]):
        taken = sorted(times.taken_ms)
        if not taken:
            rows.append((name, server, "broke off", "-", "0", "-"))
            continue
        p95_ms = taken[min(len(taken) - 1, round(0.95 * len(taken)))]
        each = f"{times.answers / len(taken):.0f}"
        rows.append((name, server, f"{median(taken):.1f}", f"{p95_ms:.1f}", str(len(taken)), each))
    return f"### Modality Worklist among {orders:,} orders, over one association\n\n{_format_table(rows)}"


def format_web(results: WebResults, contenders: Sequence[Contender]) -> str:
    """Format what was answered over HTTP."""
    head = (
        *("Asked for", "Server", "Answers/s", "lowest-highest", "MB/s", "Median ms"),
        *("CPU ms each", "Client ms each", "Rate ratio", "Peak memory, MB"),
    )
    rows: list[Row] = [head]
    baselines = {contender.name: contender.baseline for contender in contenders}
    for name in dict.fromkeys(name for name, _ in results):
        for server, baseline in baselines.items():
            measured = results[name, server]
            rates, base = [one.per_s for one in measured], results.get((name, baseline))
            rows.append(
                (
                    name,
                    server,
                    f"{median(rates):.1f}",
                    f"{min(rates):.1f}-{max(rates):.1f}",
                    f"{median(one.megabytes_per_s for one in measured):.1f}",
                    f"{median(one.latency_ms for one in measured):.1f}",
                    f"{median(one.cpu_ms() for one in measured):.2f}",
                    f"{median(one.client_cpu_ms() for one in measured):.2f}",
                    f"{median(rates) / median(one.per_s for one in base):.1f}" if base else "-",
                    f"{max(one.peak_memory_bytes for one in measured) / 1e6:.0f}",
                )
            )
    title = f"### DICOMweb over {CONNECTIONS} connections, unless it says alone; STOW in as many requests"
    meanings = "\n".join(f"- {one.name}: {one.meaning}" for one in contenders)
    return f"{title}\n\n{meanings}\n\n{_format_table(rows)}"


def format_retrieval(results: RetrievalResults, contenders: Sequence[Contender]) -> str:
    """Format how fast a study was given away by DIMSE."""
    rows: list[Row] = [("Operation", "Server", "MB/s", "lowest-highest", "Server CPU s", "Rate ratio")]
    baselines = {contender.name: contender.baseline for contender in contenders}
    for (name, server), measured in results.items():
        rates, base = [one.megabytes_per_s for one in measured], results.get((name, baselines[server]))
        ratio = f"{median(rates) / median(one.megabytes_per_s for one in base):.2f}" if base else "-"
        cpu_s = median(one.server_cpu_s for one in measured)
        rows.append(
            (
                name,
                server,
                f"{median(rates):.0f}",
                f"{min(rates):.0f}-{max(rates):.0f}",
                f"{cpu_s:.2f}",
                ratio,
            )
        )
    title = f"### {RETRIEVED} CT slices of 530 KB given to dcmtk's getscu and storescp, which throw them away"
    meanings = "\n".join(f"- {one.name}: {one.meaning}" for one in contenders)
    return f"{title}\n\n{meanings}\n\n{_format_table(rows)}"


def format_pixels(results: PictureResults) -> str:
    """Format how pictures were made; ratios are to the faster of Orthanc's two doors."""
    head = (
        *("Picture", "Server", "Answers/s", "lowest-highest", "Median ms", "CPU ms each"),
        *("Rate ratio", "Web process, MB", "To reach"),
    )
    rows: list[Row] = [head]
    peers = [door.name for door in DOORS if door.contender == ORTHANC]
    for load in PICTURE_LOADS:
        rates = {
            door.name: [one.web.per_s for one in results[load.key, door.name]]
            for door in DOORS
            if (load.key, door.name) in results
        }
        base = max((median(rates[peer]) for peer in peers if peer in rates), default=None)
        for name, per_s in rates.items():
            measured = results[load.key, name]
            web_process = max(one.web_process_bytes for one in measured)
            rows.append(
                (
                    load.name,
                    name,
                    f"{median(per_s):.1f}",
                    f"{min(per_s):.1f}-{max(per_s):.1f}",
                    f"{median(one.web.latency_ms for one in measured):.1f}",
                    f"{median(one.web.cpu_ms() for one in measured):.2f}",
                    f"{median(per_s) / base:.1f}" if base else "-",
                    f"{web_process / 1e6:.0f}" if web_process else "-",
                    "" if name in peers else load.goal,
                )
            )
    title = (
        f"### Pictures as JPEG over {CONNECTIONS} connections, unless it says alone; each of another window"
    )
    return f"{title}\n\n{_format_table(rows)}"


def format_first_frames(measured: FirstFrames) -> str:
    """Format how long the first picture of a large object takes."""
    rows: list[Row] = [
        ("Picture", "Median (longest) ms", "Most read from S3, MB", "To reach"),
        ("first frame", *summarize(measured.first_ms, measured.first_read_bytes), "150 ms, 20 MB"),
        ("another frame", *summarize(measured.next_ms, measured.next_read_bytes), ""),
    ]
    size = f"{measured.object_size_bytes / 1e6:.0f} MB"
    title = (
        f"### A frame of an enhanced CT of {FRAMES:,} frames, {size}, on S3 (SeaweedFS), never read before"
    )
    return f"{title}\n\n{_format_table(rows)}"


def format_searches(results: Sequence[SearchTimes]) -> str:
    """Format how long searches take."""
    sizes = [f"{one.database}, {one.studies:,} studies" for one in results]
    rows: list[Row] = [("Search", *(f"{size}: p50, p95 ms" for size in sizes))]
    for name in results[0].taken_ms:
        rows.append((name, *(f"{one.p50_ms(name):.1f}, {one.p95_ms(name):.1f}" for one in results)))
    rows.append(("index bytes an instance", *(f"{one.bytes_of_an_instance:.0f}" for one in results)))
    title = "### Searches of the index, 101 studies a page, 5 instances a study; without HTTP"
    return f"{title}\n\n{_format_table(rows)}"


def record_run(run: str) -> None:
    """Put a run at the top of the results file."""
    before, mark, after = RESULTS_FILE.read_text("utf-8").partition(_NEWEST_FIRST)
    assert mark, f"{RESULTS_FILE.name} has lost its mark"
    RESULTS_FILE.write_text(f"{before}{mark}\n{run}{after}", "utf-8")


def _format_circumstances(circumstances: Circumstances) -> str:
    command = shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])
    took_s = (datetime.now(UTC) - circumstances.began_at).total_seconds()
    lines = [
        f"Command: `{command}`; commit {_commit()}; Python {platform.python_version()}",
        f"Machine: {describe_machine(Path(tempfile.gettempdir()))}",
        f"Load average: {circumstances.load:.2f} before, {os.getloadavg()[0]:.2f} after {took_s:.0f} s",
        "Figures are medians, with the lowest and highest; MB = 10^6 bytes; ratios are to Orthanc with the "
        "same database in the same run (more instances/s and less CPU are better)",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _measurement_rows(results: Results, contenders: Sequence[Contender]) -> list[Row]:
    head = (
        *("Instances", "Associations", "Server", "Instances/s", "lowest-highest", "MB/s"),
        *("CPU ms each", "Sender ms each", "Rate ratio", "CPU ratio"),
    )
    rows: list[Row] = [head]
    baselines = {contender.name: contender.baseline for contender in contenders}
    for workload, server in _in_order(results):
        measured = results.measurements[workload, server]
        base = results.measurements.get((workload, baselines[server]))
        rates = [one.instances_per_s for one in measured]
        rows.append(
            (
                f"{workload.kind.name} x {measured[0].instances}",
                str(workload.associations),
                server,
                f"{median(rates):.0f}",
                f"{min(rates):.0f}-{max(rates):.0f}",
                f"{_median(measured, lambda one: one.megabytes_per_s):.0f}",
                f"{_median(measured, lambda one: one.server_cpu_ms):.2f}",
                f"{_median(measured, lambda one: one.sender_cpu_ms):.2f}",
                _ratio(measured, base, lambda one: one.instances_per_s),
                _ratio(measured, base, lambda one: one.server_cpu_ms),
            )
        )
    return rows


def _part_rows(results: Results) -> list[Row]:
    """Split the CPU time of servers that are several processes."""
    rows: list[Row] = [("Instances", "Associations", "Server", "CPU ms each, by part")]
    for workload, server in _in_order(results):
        measured = results.measurements[workload, server]
        parts = list(measured[0].cpu_s_by_part)
        if len(parts) > 1:
            cpu = [f"{part} {median(one.part_cpu_ms(part) for one in measured):.2f}" for part in parts]
            rows.append((workload.kind.name, str(workload.associations), server, ", ".join(cpu)))
    return rows


def _memory_rows(results: Results, contenders: Sequence[Contender]) -> list[Row]:
    rows: list[Row] = [("Server", "Peak memory, MB", "Ratio")]
    peaks = {
        server: max(
            _median(measured, lambda one: one.peak_memory_bytes)
            for (_, name), measured in results.measurements.items()
            if name == server
        )
        for server in results.versions
    }
    for contender in contenders:
        base = peaks.get(contender.baseline)
        ratio = f"{peaks[contender.name] / base:.2f}" if base else "-"
        rows.append((contender.name, f"{peaks[contender.name] / 1e6:.0f}", ratio))
    return rows


def _in_order(results: Results) -> list[tuple[Workload, str]]:
    """List what was measured in one order, though each workload met the servers in another."""
    servers = list(results.versions)
    return sorted(results.measurements, key=lambda key: (key[0].number, servers.index(key[1])))


def _median(measured: Sequence[Measurement], value: Callable[[Measurement], float]) -> float:
    return median(value(one) for one in measured)


def _ratio(
    measured: Sequence[Measurement],
    base: Sequence[Measurement] | None,
    value: Callable[[Measurement], float],
) -> str:
    return f"{_median(measured, value) / _median(base, value):.2f}" if base else "-"


def _format_table(rows: Sequence[Row]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _commit() -> str:
    """Name the commit; one with uncommitted changes says so."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    described = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"
