"""Where on this machine an object lies, for who can send it without reading it."""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

READ_AHEAD_BYTES: Final = 128 * 1024  # what the system reads ahead of who reads on and on


class StoredFile:
    """A file in which an object lies as it is, open for reading; closed with the last reference to it.

    An object of a pack that is removed meanwhile reads as zeros from then on. The archive removes only what
    was deleted hours ago (``DELETE_KEEP_HOURS``), longer than an answer lasts.

    Parameters
    ----------
    descriptor
        Taken over: nobody else closes it.
    offset, size_bytes
        Where in the file the object lies.
    """

    __slots__ = ("_descriptor", "offset", "size_bytes")

    def __init__(self, descriptor: int, offset: int, size_bytes: int) -> None:
        self._descriptor = descriptor
        self.offset = offset
        self.size_bytes = size_bytes

    def fileno(self) -> int:
        """Return the descriptor of the file."""
        return self._descriptor

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Read a part of the object, which may be shorter than asked for. Raises ``OSError``."""
        size_bytes = min(size_bytes, self.size_bytes - offset)
        return os.pread(self._descriptor, size_bytes, self.offset + offset) if size_bytes > 0 else b""

    def read_at_once(self, offset: int, size_bytes: int) -> bytes | None:
        """Read a part of the object in no time; None where it is on a disk, or not there.

        Raises ``OSError``.
        """
        if not lies_in_memory(self._descriptor, self.offset + offset, size_bytes):
            return None
        data = self.read(offset, size_bytes)
        return data if len(data) == size_bytes else None

    def __del__(self) -> None:
        os.close(self._descriptor)


def lies_in_memory(descriptor: int, offset: int, size_bytes: int) -> bool:
    """Tell whether the system has a part of a file in its memory: to read it holds up nobody.

    False too where a system or a file system cannot tell. Raises ``OSError``.
    """
    if sys.platform != "linux":
        return False
    byte = [bytearray(1)]
    places = (*range(offset, offset + size_bytes, READ_AHEAD_BYTES), offset + size_bytes - 1)
    try:
        return all(os.preadv(descriptor, byte, place, os.RWF_NOWAIT) for place in places)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP):
            return False
        raise
