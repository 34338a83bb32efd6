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

# A flush is twice as fast where the file does not grow, so that small objects are written over zeros. Those
# are written once more than they need be: what is larger would lose more than it wins.
_SMALL_BYTES = 64 * 1024
_OBJECTS_AHEAD = 32
MAX_AHEAD_BYTES = 1024**2


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
        self._zeros_end = 0  # the file is as long, and has zeros behind its last object
        self.failed = False
        self._flushed = 0
        self._flushing = threading.Lock()

    def append(self, header: bytes, content: Buffer, padding: bytes) -> int:
        """Write an object at the end, not durably yet; return where. One thread at a time.

        The header comes last: where it is, the object is whole, wherever a killed process had got to.
        """
        if self.failed:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        begin, content_begin = self.size_bytes, self.size_bytes + len(header)
        end = content_begin + len(content) + len(padding)
        try:
            if end > self._zeros_end and end - begin <= _SMALL_BYTES:
                self._write_zeros(end, min(_OBJECTS_AHEAD * (end - begin), MAX_AHEAD_BYTES))
            self._write((content, padding), content_begin)
            self._write((header,), begin)
        except OSError:
            self._undo(begin)
            raise
        self.size_bytes = end
        self._zeros_end = max(self._zeros_end, end)
        return begin

    def _write_zeros(self, end: int, more: int) -> None:
        begin = self._zeros_end
        self._write((bytes(end + more - begin),), begin)
        self._zeros_end = end + more

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
            self._zeros_end = begin
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
                self._give_up()
                raise
            self._flushed = reached

    def _give_up(self) -> None:
        """Cut off what was promised to nobody.

        It can still be read, from memory: a sweep would take it for an object, and for as good a copy as the
        one that comes when the sender tries again.
        """
        self.failed = True
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._flushed)

    def close(self) -> None:
        """Finish the archive, as far as the disk lets us, and let go of it."""
        with suppress(OSError):
            self.flush_to(self.size_bytes)  # somebody may still wait for that
            os.ftruncate(self._descriptor, self.size_bytes)
            os.pwrite(self._descriptor, END, self.size_bytes)
        if self.failed:
            self._give_up()  # again: something may have been appended just then
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
