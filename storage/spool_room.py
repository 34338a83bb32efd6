"""How much room a spool has left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage.errors import StoreFull
from storage.os_errors import os_errors_translated

_MEASURE_EVERY_S = 2.0
_SHARE_OF_MEASURING = 0.02  # of one processor's time, however long one measurement takes


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """What a spool may take of its disk."""

    quota_bytes: int
    min_free_bytes: int


class SpoolRoom:
    """Says when a spool is full. Safe for use by several threads; each process has its own.

    The disk is asked every time, which costs microseconds; the bytes in the spool are counted every few
    seconds, by one thread while the others go on with the last figure. So the quota may be exceeded by what
    arrives in these seconds, and the free space never falls below its limit by more than what is under way.

    Parameters
    ----------
    folder
        The spool's.
    count_bytes
        Counts the bytes of all objects in the spool; None where that cannot be told now.
    """

    def __init__(self, folder: Path, limits: SpoolLimits, count_bytes: Callable[[], int | None]) -> None:
        self.limits = limits
        self._folder = folder
        self._count_bytes = count_bytes
        self._used_bytes = 0
        self._measure_at = 0.0
        self._measuring = threading.Lock()

    def require(self) -> None:
        """Raise StoreFull where nothing more is taken in."""
        if self.free_bytes() < self.limits.min_free_bytes:
            raise StoreFull("the disk of the spool is nearly full")
        if self.used_bytes() >= self.limits.quota_bytes:
            raise StoreFull("the spool has reached its quota")

    def free_bytes(self) -> int:
        """How many bytes the disk has left for us.

        Raises
        ------
        storage.errors.StoreUnavailable
        """
        with os_errors_translated("spool"):
            disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    def used_bytes(self) -> int:
        """How many bytes the spool holds, as counted last."""
        if time.monotonic() >= self._measure_at and self._measuring.acquire(blocking=False):
            try:
                self._measure()
            finally:
                self._measuring.release()
        return self._used_bytes

    def is_short(self, share: float) -> bool:
        """Tell whether more than a share of the quota is used, or less is left on the disk than fits it."""
        spare = self.limits.min_free_bytes / max(share, 0.01)
        return self.used_bytes() > self.limits.quota_bytes * share or self.free_bytes() < spare

    def _measure(self) -> None:
        begin = time.monotonic()
        counted = self._count_bytes()
        if counted is not None:
            self._used_bytes = counted
        end = time.monotonic()
        self._measure_at = end + max(_MEASURE_EVERY_S, (end - begin) / _SHARE_OF_MEASURING)
