"""The contract that every object store keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeAlias

from storage.errors import ObjectNotFound, StoreUnavailable
from storage.stored_file import StoredFile

Buffer: TypeAlias = bytes | bytearray | memoryview

_COPY_SIZE_BYTES = 1024**2
_CONCURRENT_STATS = 16


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What the store knows of an object without reading it."""

    key: str
    size_bytes: int
    modified_at: datetime  # timezone-aware, UTC


class StagedObject(Protocol):
    """An object on its way in: written piece by piece, then committed under a key or discarded.

    Memory stays bounded: small contents are held in a buffer, larger ones spill to a temporary file. Leaving
    the ``with`` block without a commit discards it. Once committed or discarded it takes no further call but
    ``flush``, ``discard`` and ``size_bytes``. Not safe for use by several threads at once.
    """

    @property
    def size_bytes(self) -> int:
        """How many bytes have been written so far."""

    def write(self, data: Buffer) -> None:
        """Append ``data``; the caller may reuse its buffer afterwards.

        Raises
        ------
        StoreFull, StoreUnavailable
            The temporary could not grow; what was staged is discarded.
        """

    def sha256(self) -> str:
        """Return the hexadecimal SHA-256 of everything written so far."""

    def view(self) -> memoryview:
        """Return a read-only view of everything written so far, without copying it into memory.

        Call ``release()`` on it, or use it as a context manager, so that its memory can be used again.

        Raises
        ------
        StoreUnavailable
            The temporary cannot be read.
        """

    def commit(self, key: str, *, flush: bool = True) -> ObjectStat:
        """Make the content durable under ``key``; when this returns, a power cut loses nothing.

        Without ``flush`` that is promised only when `flush` has returned: several objects may share one.

        (``FORMAT.md`` tells how far an S3 server keeps that promise.) Committing the same content to the
        same key again is success and changes nothing.

        Raises
        ------
        InvalidKey
            ``key`` is no safe key. The content is still staged.
        ObjectExists
            Another content has this key and stays as it was, or an object has a folder of this key as its
            key. The content is still staged and may be committed under another key.
        StoreFull, StoreUnavailable
            The content is discarded and nobody was promised anything. Nothing is visible under ``key``,
            save that a failed flush or a lost answer may leave the whole object there.
        """

    def flush(self) -> None:
        """Make durable what was committed without, and what other objects wait for the same flush.

        Raises
        ------
        StoreFull, StoreUnavailable
            As from ``commit``: nobody was promised anything.
        """

    def discard(self) -> None:
        """Drop what has been written. Harmless after a commit or a discard."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ObjectStore(Protocol):
    """Immutable objects by key. Safe for use by several threads and several processes at once.

    A key is a relative path: segments of ``[A-Za-z0-9._-]``, none of them starting with a dot, joined by
    ``/``, at most 255 characters each and 900 in all; no key is a folder of another. Every method that takes
    a key raises InvalidKey for anything else. A reader sees a whole object or none.
    """

    def stage(self, *, packed: bool = False) -> StagedObject:
        """Begin a new object.

        Parameters
        ----------
        packed
            The store may lay a small object together with others, which is faster, and choose its key: that
            of the committed object's stat, which ends with the key that was asked for. Then the same content
            is kept again if it is committed again.

        Raises
        ------
        StoreFull, StoreUnavailable
        """

    def put(self, key: str, data: Buffer) -> ObjectStat:
        """Stage, write and commit in one call; raises what these raise."""
        with self.stage() as staged:
            staged.write(data)
            return staged.commit(key)

    def put_file(self, key: str, source: BinaryIO, size_bytes: int, sha256: str) -> ObjectStat:
        """Keep the content of an open file, whose size and digest the caller knows; raises as ``commit``.

        Raises
        ------
        StoreUnavailable
            Also where the file has another content than the caller says.
        """
        with self.stage() as staged:
            source.seek(0)
            while piece := source.read(_COPY_SIZE_BYTES):
                staged.write(piece)
            if (staged.size_bytes, staged.sha256()) != (size_bytes, sha256):
                raise StoreUnavailable(f"{key}: the file has another content than was said")
            return staged.commit(key)

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading: a seekable stream that fetches what is read, not the whole object.

        Reading from it raises what opening it raises.

        Raises
        ------
        ObjectNotFound, StoreUnavailable
        """

    def open_file(self, key: str) -> StoredFile | None:
        """Open the file of this machine in which an object lies as it is; None where it lies in none.

        Raises
        ------
        ObjectNotFound, StoreUnavailable
        """
        return None

    def read_range(self, key: str, offset: int, size_bytes: int) -> bytes:
        """Read ``size_bytes`` bytes from ``offset``; fewer where the object ends before.

        Memory is taken for what is there, not for what is asked.

        Raises
        ------
        ValueError
            ``offset`` or ``size_bytes`` is negative.
        ObjectNotFound, StoreUnavailable
        """

    def stat(self, key: str) -> ObjectStat:
        """Tell size and time of an object.

        Raises
        ------
        ObjectNotFound, StoreUnavailable
        """

    def find_missing(self, keys: Iterable[str]) -> set[str]:
        """Tell which of several objects are not there.

        Raises
        ------
        StoreUnavailable
        """
        listed = list(keys)
        if len(listed) == 1:
            return {key for key in listed if not self._has(key)}
        with ThreadPoolExecutor(_CONCURRENT_STATS) as pool:  # a remote store takes a millisecond for each
            return {key for key, there in zip(listed, pool.map(self._has, listed), strict=True) if not there}

    def _has(self, key: str) -> bool:
        try:
            self.stat(key)
        except ObjectNotFound:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Iterate over the committed objects whose keys start with ``prefix``, in no particular order.

        Raises
        ------
        InvalidKey
            No key can start with ``prefix``.
        StoreUnavailable
        """

    def delete(self, key: str) -> None:
        """Remove an object, durably. Removing what is not there is success.

        Raises
        ------
        StoreUnavailable
        """

    def drop_copy(self, key: str) -> None:
        """Remove one of two copies of a content, the other of which lies under another key.

        Raises
        ------
        StoreUnavailable
        """
        self.delete(key)

    def remove_abandoned(self, older_than_s: float) -> int:
        """Remove temporaries that a dead process left, last touched ``older_than_s`` ago; return how many.

        Raises
        ------
        StoreUnavailable
        """

    def check(self) -> None:
        """Prove that the store can be reached and written to.

        Raises
        ------
        StoreFull, StoreUnavailable
        """

    def close(self) -> None:
        """Release connections. The store is not used afterwards."""


def check_range(offset: int, size_bytes: int) -> None:
    """Refuse a range that would mean something else to each backend: none counts from the end.

    Raises
    ------
    ValueError
    """
    if offset < 0 or size_bytes < 0:
        raise ValueError(f"a range has no negative offset or size: {offset}, {size_bytes}")
