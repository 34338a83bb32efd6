"""How fast a peer is sent to: the pieces of data sets are given out when it is their time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Final

from storage.store import Buffer

_PIECE_SIZE_BYTES: Final = 32 * 1024
_LATE_S: Final = 0.5  # what was not used up of this time is made up for


class Pacemaker:
    """Lets so many bytes pass in a second, all that use it taken together. Safe for use by several threads.

    Parameters
    ----------
    wait
        Waits for so many seconds.
    """

    def __init__(
        self, bytes_per_s: int, wait: Callable[[float], object], clock: Callable[[], float] = monotonic
    ) -> None:
        self.bytes_per_s = bytes_per_s
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    def pace(self, pieces: Iterable[Buffer]) -> Iterator[Buffer]:
        """Give out pieces, cut smaller, each when its time has come."""
        for piece in pieces:
            with memoryview(piece) as view:
                for begin in range(0, len(view), _PIECE_SIZE_BYTES):
                    part = bytes(view[begin : begin + _PIECE_SIZE_BYTES])
                    self._take(len(part))
                    yield part

    def _take(self, size_bytes: int) -> None:
        with self._lock:
            now = self._clock()
            begin = max(self._free_at, now - _LATE_S)
            self._free_at = begin + size_bytes / self.bytes_per_s
        if begin > now:
            self._wait(begin - now)
