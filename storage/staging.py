"""What the staged objects of all stores share: a buffer that spills to a file, and its digest."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from storage.errors import ObjectExists, StoreError
from storage.keys import check_key
from storage.os_errors import os_errors_translated
from storage.store import Buffer, ObjectStat

# A CT slice has half a MiB. What is larger spills, or 200 associations at once would need gigabytes.
SPILL_SIZE_BYTES = 1024**2


class _BufferPool:
    """Buffers to be used again: the system takes as long to give a new one as we to fill it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free: list[bytearray] = []

    def take(self, size_bytes: int) -> bytearray:
        """Give a buffer of ``size_bytes``, with whatever it held before."""
        try:
            buffer = self._free.pop()
        except IndexError:
            return bytearray(size_bytes)
        return buffer if len(buffer) == size_bytes else bytearray(size_bytes)

    def give_back(self, buffer: bytearray) -> None:
        """Take a buffer back, unless somebody still holds a view of it."""
        if buffer and len(self._free) < self._most:
            with suppress(BufferError):  # no buffer changes its size while there is a view
                buffer.append(buffer.pop())
                self._free.append(buffer)


_POOL = _BufferPool(most=16)
_NOTHING = bytearray()


class Temporary:
    """An open file that goes away when it is closed. This one has no name, so no crash leaves it behind."""

    def __init__(self) -> None:
        self.descriptor, path = tempfile.mkstemp()
        Path(path).unlink()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.descriptor)


_Temporary = TypeVar("_Temporary", bound=Temporary)


class SpillingStage(ABC, Generic[_Temporary]):
    """A :class:`~storage.store.StagedObject` but for the last step, which each store takes in its own way.

    The digest is computed over the buffer in one go, when it is asked for: one long pass without the
    interpreter lock instead of one short pass for each piece. Only what spills is hashed piece by piece, as
    it would have to be read back otherwise.
    """

    def __init__(self, open_temporary: Callable[[], _Temporary], spill_size_bytes: int) -> None:
        self._open_temporary = open_temporary
        self._spill_size_bytes = spill_size_bytes
        self._buffer = _NOTHING
        self._memory = memoryview(_NOTHING)
        self._temporary: _Temporary | None = None  # once it has spilled
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self._digested_bytes = 0
        self._over = False

    @abstractmethod
    def _keep(self, key: str) -> ObjectStat:
        """Keep the content under a key that has been checked; durably, or once `flush` has returned."""

    @property
    def size_bytes(self) -> int:
        """How many bytes have been written so far."""
        return self._size_bytes

    def write(self, data: Buffer) -> None:
        """Append ``data``; discards everything when the temporary cannot grow."""
        self._check_not_over()
        with memoryview(data).cast("B") as piece:
            end = self._size_bytes + len(piece)
            if self._temporary is None and end <= self._spill_size_bytes:
                self._have_buffer()
                self._memory[self._size_bytes : end] = piece
            else:
                self._append(piece)
            self._size_bytes = end

    def sha256(self) -> str:
        """Return the hexadecimal SHA-256 of everything written so far."""
        self._check_not_over()
        if self._digested_bytes < self._size_bytes:
            with self.view() as content, content[self._digested_bytes :] as rest:
                self._digest.update(rest)
            self._digested_bytes = self._size_bytes
        return self._digest.hexdigest()

    def view(self) -> memoryview:
        """Return a read-only view: of the buffer, or of the temporary mapped into memory."""
        self._check_not_over()
        if self._temporary is None or not self._size_bytes:  # nothing can be mapped of an empty file
            return self._memory[: self._size_bytes].toreadonly()
        with os_errors_translated("temporary"):
            mapped = mmap.mmap(self._temporary.descriptor, self._size_bytes, access=mmap.ACCESS_READ)
        return memoryview(mapped)  # the last view to be released unmaps it

    def commit(self, key: str, *, flush: bool = True) -> ObjectStat:
        """Make the content durable under ``key``; whatever else fails than the key discards it."""
        check_key(key)
        self._check_not_over()
        try:
            stat = self._keep(key)
            if flush:
                self.flush()
        except ObjectExists:
            raise
        except BaseException:
            self.discard()
            raise
        self.discard()
        return stat

    def flush(self) -> None:
        """Make durable what `_keep` left to be: nothing, where it makes each content durable by itself."""

    def discard(self) -> None:
        """Drop what has been written."""
        self._over = True
        self._give_buffer_back()
        if self._temporary is not None:
            temporary, self._temporary = self._temporary, None
            temporary.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    @property
    def _has_spilled(self) -> bool:
        return self._temporary is not None

    def _have_buffer(self) -> None:
        if not self._buffer:
            self._buffer = _POOL.take(self._spill_size_bytes)
            self._memory = memoryview(self._buffer)

    def _give_buffer_back(self) -> None:
        self._memory.release()
        _POOL.give_back(self._buffer)
        self._buffer, self._memory = _NOTHING, memoryview(_NOTHING)

    def _spilled(self) -> _Temporary:
        """Return the temporary, after moving the buffer into a new one if there is none yet."""
        if self._temporary is None:
            self._temporary = self._open_temporary()
            with self._memory[: self._size_bytes] as content:
                write_all(self._temporary.descriptor, content)
            self._give_buffer_back()
        return self._temporary

    def _append(self, piece: memoryview) -> None:
        self.sha256()  # up to here; a spilled content is never read again only to hash it
        try:
            with os_errors_translated("temporary"):
                write_all(self._spilled().descriptor, piece)
        except StoreError:
            self.discard()  # half of the piece may be there; and a full disk needs its space back at once
            raise
        self._digest.update(piece)
        self._digested_bytes += len(piece)

    def _check_not_over(self) -> None:
        if self._over:
            raise ValueError("this staged object was committed or discarded")


def write_all(descriptor: int, data: Buffer) -> None:
    """Write ``data`` to a file descriptor, in as many steps as the system needs (2 GiB at most in one)."""
    with memoryview(data) as content:
        written = 0
        while written < len(content):
            with content[written:] as rest:
                written += os.write(descriptor, rest)
