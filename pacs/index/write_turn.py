"""Taking turns at SQLite's one write lock, among the processes of a machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from sqlalchemy import URL

_SUFFIX: Final = "-turn"
_LOOK_EVERY_S: Final = 0.0001
_PATIENCE_S: Final = 5.0


class WriteTurn:
    """A turn to write, held by one writer at a time, and no longer than its process lives.

    SQLite looks whether its lock is free after 1, 2, 5, 10 ... ms, which is longer than a transaction takes.
    Here it is looked ten times a millisecond. The turn is a courtesy: it is not needed to be safe, and who
    does not get it in time goes on to SQLite's own lock. With another database there are no turns.
    """

    def __init__(self, url: URL) -> None:
        is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
        self._path = Path(f"{url.database}{_SUFFIX}") if is_file else None
        self._descriptor: int | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the turn while the block runs; one thread at a time."""
        descriptor = self._open()
        if descriptor is None:
            yield
            return
        _take(descriptor)
        try:
            yield
        finally:
            with suppress(OSError):  # what was written is committed
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int | None:
        if self._descriptor is None and self._path is not None:
            try:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            except OSError:
                return None
        return self._descriptor


def _take(descriptor: int) -> None:
    deadline = monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > deadline:
                return
            sleep(_LOOK_EVERY_S)
        except OSError:  # a file system without locks
            return
        else:
            return
