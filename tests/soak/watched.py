"""A process of the archive as the kernel sees it: what it holds, and what it costs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_POOLED = 8  # descriptors of pooled connections that may have been opened meanwhile
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at a moment."""

    threads: int
    descriptors: int

    def within(self, base: Held) -> bool:
        """Tell whether it holds no more than before, but for connections to the index that are kept open.

        The table of peers is read every few seconds by whichever thread needs it next.
        """
        return self.threads <= base.threads and self.descriptors <= base.descriptors + _POOLED


@dataclass(frozen=True, slots=True)
class Watched:
    """A living process."""

    pid: int

    @property
    def held(self) -> Held:
        return Held(len(self._list("task")), len(self._list("fd")))

    @property
    def cpu_s(self) -> float:
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    @property
    def resident_bytes(self) -> int:
        return self._status("VmRSS")

    @property
    def peak_resident_bytes(self) -> int:
        return self._status("VmHWM")

    @property
    def is_alive(self) -> bool:
        return self._proc.exists()

    @property
    def _proc(self) -> Path:
        return Path("/proc", str(self.pid))

    def _list(self, name: str) -> list[Path]:
        return list((self._proc / name).iterdir())

    def _status(self, name: str) -> int:
        found = re.search(rf"^{name}:\s*(\d+) kB$", (self._proc / "status").read_text(), re.MULTILINE)
        assert found is not None, name
        return int(found[1]) * 1024

    def wait_until_held(self, acceptable: Callable[[Held], bool], within_s: float = 30.0) -> Held:
        """Wait until it has let go of what it need not hold any more; return what it then holds."""
        deadline = time.monotonic() + within_s
        while not acceptable(held := self.held):
            assert time.monotonic() < deadline, f"it still holds {held}"
            time.sleep(0.05)
        return held
