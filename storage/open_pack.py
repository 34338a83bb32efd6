"""The pack that a process writes: objects are appended, and flushed together. ``FORMAT.md`` specifies it."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from storage.packed_keys import FOLDER
from storage.posix import FILE_MODE, make_folders, sync_folder
from storage.store import Buffer
from storage.tar import END


class OpenPack:
    """A pack that is being written; locked (flock) as long as its process lives."""

    def __init__(self, root: Path) -> None:
        self.name, self._descriptor = _create(root)
        try:
            for folder in ((root / FOLDER / self.name).parent, root / FOLDER, root):
                sync_folder(folder)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.size_bytes = 0
        self.failed = False
        self._flushed = 0
        self._flushing = threading.Lock()

    def append(self, parts: Sequence[Buffer]) -> int:
        """Write at the end, not durably yet; return where. One thread at a time."""
        begin = self.size_bytes
        try:
            self._write(parts, begin)
        except OSError:
            self._undo(begin)
            raise
        self.size_bytes = begin + sum(len(part) for part in parts)
        return begin

    def _write(self, parts: Sequence[Buffer], offset: int) -> None:
        written = os.pwritev(self._descriptor, parts, offset)
        if written < sum(len(part) for part in parts):  # no space, or interrupted
            rest = b"".join(parts)[written:]
            while rest:
                step = os.pwrite(self._descriptor, rest, offset + written)
                written, rest = written + step, rest[step:]

    def _undo(self, begin: int) -> None:
        try:
            os.ftruncate(self._descriptor, begin)
        except OSError:
            self.failed = True

    def flush_to(self, end: int) -> None:
        """Make everything up to ``end`` durable, with one flush for all who wait.

        A flush that fails is not tried again: the system may have dropped what it could not write.
        """
        with self._flushing:
            if self._flushed >= end:
                return
            if self.failed:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            reached = self.size_bytes
            try:
                os.fdatasync(self._descriptor)
            except BaseException:
                self.failed = True
                raise
            self._flushed = reached

    def close(self) -> None:
        """Finish the archive, as far as the disk lets us, and let go of it."""
        with suppress(OSError):
            self.flush_to(self.size_bytes)  # somebody may still wait for that
            os.pwrite(self._descriptor, END, self.size_bytes)
        os.close(self._descriptor)


def _create(root: Path) -> tuple[str, int]:
    """Make a new pack and lock it; return its name and descriptor.

    Until it is locked it looks like one that a dead process left empty, which `remove_empty` may remove: what
    were written to it then would be gone with the descriptor. So a name that is gone is given up.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        name = f"{datetime.now(UTC):%Y%m%d}/{secrets.token_hex(8)}.tar"
        path = root / FOLDER / name
        make_folders(path.parent)
        descriptor = os.open(path, flags, FILE_MODE)
        with suppress(OSError):  # a file system without locks: then none is ever removed, either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return name, descriptor
        os.close(descriptor)
