"""What processes and the machine use, as the operating system accounts for it (Linux: proc(5))."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _Stat:
    """The fields of /proc/PID/stat that are needed here."""

    parent: int
    cpu_s: float  # user and system, of the process and of its children that are gone


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU time that processes and their descendants used so far.

    A child that ends goes over to its parent's account, so differences of two readings are right. They are
    as fine as the kernel's clock tick, mostly 10 ms a process.
    """
    return sum(stat.cpu_s for stat in _family(roots).values())


def peak_memory_bytes(roots: Iterable[int]) -> int:
    """Sum of the largest resident sizes of processes and their living descendants.

    Pages that they share (the program's code, PostgreSQL's buffers) are counted in each.
    """
    return sum(_peak_memory_bytes(pid) for pid in _family(roots))


def machine_busy_seconds() -> float:
    """CPU time that all processes, the kernel and the host's other guests used since the machine started."""
    fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S


def parent_of(pid: int) -> int:
    """Process id of a process's parent."""
    stat = _read_stat(pid)
    if stat is None:
        raise ProcessLookupError(pid)
    return stat.parent


def describe_machine(folder: Path) -> str:
    """Describe processors, system, and the file system on which the servers store."""
    model = re.search(r"^model name\s*:\s*(.+)$", (_PROC / "cpuinfo").read_text(), re.MULTILINE)
    file_system = subprocess.run(
        ["df", "--output=fstype", str(folder)], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{os.cpu_count()} processors ({model[1] if model else platform.machine()}), {memory_gib:.0f} GiB, "
        f"{platform.system()} {platform.release()}, files on {file_system}"
    )


def _family(roots: Iterable[int]) -> dict[int, _Stat]:
    """Read the state of processes and of their descendants, by process id."""
    everybody = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (stat := _read_stat(int(folder.name))):
            everybody[int(folder.name)] = stat
    family: dict[int, _Stat] = {}
    generation = [pid for pid in roots if pid in everybody]
    while generation:
        family.update((pid, everybody[pid]) for pid in generation)
        parents = set(generation)
        generation = [pid for pid, stat in everybody.items() if stat.parent in parents]
    return family


def _read_stat(pid: int) -> _Stat | None:
    """Read /proc/PID/stat; None when the process is gone."""
    try:
        line = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = line.rpartition(")")[2].split()  # the name before it may hold anything
    return _Stat(parent=int(fields[1]), cpu_s=sum(map(int, fields[11:15])) / _TICKS_PER_S)


def _peak_memory_bytes(pid: int) -> int:
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    peak = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return int(peak[1]) * 1024 if peak else 0  # a zombie has none
