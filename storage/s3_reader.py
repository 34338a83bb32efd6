"""An S3 object as a seekable stream."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class S3Reader(io.RawIOBase):
    """Reads by range what it is asked for; wrap it in :class:`io.BufferedReader`, as every read is a request.

    Parameters
    ----------
    read_range
        Called with offset and size; returns the bytes.
    size_bytes
        Size of the object.
    start
        The first bytes of the object, which came with its size.
    """

    def __init__(self, read_range: Callable[[int, int], bytes], size_bytes: int, start: bytes) -> None:
        self._read_range = read_range
        self._size_bytes = size_bytes
        self._start = start
        self._position = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be moved in."""
        return True

    def tell(self) -> int:
        """Return the position in bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is fetched until something is read."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        if origin + offset < 0:
            raise ValueError(f"negative position {origin + offset}")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill ``buffer`` as far as the object goes."""
        with memoryview(buffer).cast("B") as room:
            data = self._fetch(len(room))
            room[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Read the rest in one request (the one of the base class makes one for every 8 KiB)."""
        known = self._fetch(len(self._start))
        return known + self._fetch(self._size_bytes - self._position)

    def _fetch(self, size_bytes: int) -> bytes:
        """Read ``size_bytes`` bytes, or what there is of them in the start of the object."""
        size_bytes = max(0, min(size_bytes, self._size_bytes - self._position))
        data = self._start[self._position : self._position + size_bytes]
        if not data and size_bytes:
            data = self._read_range(self._position, size_bytes)
        self._position += len(data)
        return data
