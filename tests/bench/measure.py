"""What processes and the machine use, as the operating system accounts for it (Linux: proc(5))."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SAMPLE_EVERY_S = 0.2

Parts = Mapping[str, tuple[int, ...]]  # by name of the part, the processes whose trees make it up


@dataclass(frozen=True, slots=True)
class _Stat:
    """The fields of /proc/PID/stat that are needed here."""

    parent: int
    cpu_s: float  # user and system, of the process and of its children that are gone


def cpu_seconds(parts: Parts) -> dict[str, float]:
    """CPU time that each part of a server used so far, its processes and their descendants together.

    A process counts to the part that is nearest above it, so a supervisor's part is what its listeners and
    workers leave over. A child that ends goes over to its parent's account, so differences of two readings
    are right. They are as fine as the kernel's clock tick, mostly 10 ms a process.
    """
    everybody = _everybody()
    part_of = {pid: part for part, pids in parts.items() for pid in pids}
    seconds = dict.fromkeys(parts, 0.0)
    for pid in _family(part_of, everybody):
        ancestor = pid
        while ancestor not in part_of:
            ancestor = everybody[ancestor].parent
        seconds[part_of[ancestor]] += everybody[pid].cpu_s
    return seconds


def memory_bytes(roots: Iterable[int]) -> int:
    """Sum of the proportional set sizes (PSS) of processes and their descendants.

    A page that several of them share counts once, divided among them. One that is shared with processes
    outside the family counts in part only.
    """
    return sum(map(_proportional_memory_bytes, _family(roots, _everybody())))


def own_memory_bytes(roots: Iterable[int]) -> int:
    """Sum up what families of processes have made for themselves, without pages of files such as code.

    Of code they have a part only while others run it too, so that a sum with it grows when the others end.
    """
    return sum(_proportional_memory_bytes(pid, "Pss_Anon:") for pid in _family(roots, _everybody()))


class MemorySampler:
    """Watches the memory of a server's processes while a block runs, five times a second."""

    def __init__(self, parts: Parts) -> None:
        self._roots = [pid for pids in parts.values() for pid in pids]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLE_EVERY_S):
            self._sample()

    def _sample(self) -> None:
        self.peak_bytes = max(self.peak_bytes, memory_bytes(self._roots))

    def __enter__(self) -> Self:
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._sample()


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


def _everybody() -> dict[int, _Stat]:
    """Read the state of every process, by process id."""
    pids = [int(folder.name) for folder in _PROC.iterdir() if folder.name.isdigit()]
    return {pid: stat for pid in pids if (stat := _read_stat(pid))}


def _family(roots: Iterable[int], everybody: Mapping[int, _Stat]) -> set[int]:
    """Find processes and their descendants among all that there are."""
    family: set[int] = set()
    generation = {pid for pid in roots if pid in everybody}
    while generation:
        family |= generation
        generation = {pid for pid, stat in everybody.items() if stat.parent in generation} - family
    return family


def _read_stat(pid: int) -> _Stat | None:
    """Read /proc/PID/stat; None when the process is gone."""
    try:
        line = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = line.rpartition(")")[2].split()  # the name before it may hold anything
    return _Stat(parent=int(fields[1]), cpu_s=sum(map(int, fields[11:15])) / _TICKS_PER_S)


def _proportional_memory_bytes(pid: int, kind: str = "Pss:") -> int:
    try:
        rollup = (_PROC / str(pid) / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    size = re.search(rf"^{kind}\s*(\d+) kB$", rollup, re.MULTILINE)
    return int(size[1]) * 1024 if size else 0  # a zombie has none
