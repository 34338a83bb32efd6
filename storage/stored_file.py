"""Where on this machine an object lies, for who can send it without reading it."""

from __future__ import annotations

import os


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

    def __del__(self) -> None:
        os.close(self._descriptor)
