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

from tests.bench.ingest import Measurement, Results, Workload
from tests.bench.measure import describe_machine
from tests.bench.servers import Contender
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


def format_run(results: Results, contenders: Sequence[Contender], circumstances: Circumstances) -> str:
    """Format a whole run as Markdown that is as plain to read in a terminal."""
    parts = [
        f"## {circumstances.began_at:%Y-%m-%d %H:%M} UTC",
        _format_circumstances(results, circumstances),
        _format_contenders(results, contenders),
        _format_table(_measurement_rows(results, contenders)),
        _format_table(_part_rows(results)),
        _format_table(_memory_rows(results, contenders)),
    ]
    return "\n\n".join(parts) + "\n"


def record_run(run: str) -> None:
    """Put a run at the top of the results file."""
    before, mark, after = RESULTS_FILE.read_text("utf-8").partition(_NEWEST_FIRST)
    assert mark, f"{RESULTS_FILE.name} has lost its mark"
    RESULTS_FILE.write_text(f"{before}{mark}\n{run}{after}", "utf-8")


def _format_circumstances(results: Results, circumstances: Circumstances) -> str:
    repetitions = len(next(iter(results.measurements.values())))
    every = [one for several in results.measurements.values() for one in several]
    elapsed_s = sum(one.elapsed_s for one in every)
    others = sum(one.other_cpu_s for one in every) / elapsed_s
    command = shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])
    lines = [
        f"Command: `{command}`; commit {_commit()}; Python {platform.python_version()}",
        f"Machine: {describe_machine(Path(tempfile.gettempdir()))}",
        f"Load average: {circumstances.load:.2f} before, {os.getloadavg()[0]:.2f} after; while measuring, "
        f"the kernel's threads and other users took {others:.2f} processors on average",
        f"Figures are medians of {repetitions}, with the lowest and highest; MB = 10^6 bytes; "
        "ratios are to Orthanc with the same database in the same run "
        "(more instances/s and less CPU are better)",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _format_contenders(results: Results, contenders: Sequence[Contender]) -> str:
    return "\n".join(f"- {one.name} ({results.versions[one.name]}): {one.meaning}" for one in contenders)


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
