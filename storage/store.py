"""The contract that every object store keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What the store knows of an object without reading it."""

    key: str
    size_bytes: int
    modified_at: datetime  # timezone-aware, UTC


class StagedObject(Protocol):
    """An object on its way in: written piece by piece, then committed under a key or discarded.

    Memory stays bounded: small contents are held in a buffer, larger ones spill to a temporary file. Leaving
    the ``with`` block without a commit discards it. Not safe for use by several threads at once.
    """

    @property
    def size_bytes(self) -> int:
        """How many bytes have been written so far."""

    def write(self, data: Buffer) -> None:
        """Append ``data``; the caller may reuse its buffer afterwards.

        Raises
        ------
        StoreFull
            The temporary could not grow.
        """

    def sha256(self) -> str:
        """Return the hexadecimal SHA-256 of everything written so far."""

    def view(self) -> memoryview:
        """Return a read-only view of everything written so far, without copying it into memory.

        Call ``release()`` on it (or use it as a context manager) before writing on.
        """

    def commit(self, key: str) -> ObjectStat:
        """Make the content durable under ``key``; when this returns, a power cut loses nothing.

        Committing the same content to the same key again is success and changes nothing.

        Raises
        ------
        InvalidKey
            ``key`` is no safe key.
        ObjectExists
            Another content has this key; it stays as it was.
        StoreFull, StoreUnavailable
            Nothing is visible under ``key`` (or, after a crash, an object that nobody was promised).
        """

    def discard(self) -> None:
        """Drop what has been written. Harmless after a commit or a discard."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ObjectStore(Protocol):
    """Immutable objects by key. Safe for use by several threads and several processes at once.

    A key is a relative path: segments of ``[A-Za-z0-9._-]``, none of them ``.`` or ``..`` or starting with
    a dot, joined by ``/``, at most 255 characters each and 900 in all. A reader sees a whole object or none.
    """

    def stage(self) -> StagedObject:
        """Begin a new object.

        Raises
        ------
        StoreFull, StoreUnavailable
        """

    def put(self, key: str, data: Buffer) -> ObjectStat:
        """Stage, write and commit in one call; raises what these raise."""

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading: a seekable stream that fetches what is read, not the whole object.

        Raises
        ------
        ObjectNotFound, StoreUnavailable
        """

    def read_range(self, key: str, offset: int, size_bytes: int) -> bytes:
        """Read ``size_bytes`` bytes from ``offset``; fewer where the object ends before.

        Raises
        ------
        ObjectNotFound, StoreUnavailable
        """

    def stat(self, key: str) -> ObjectStat:
        """Tell size and time of an object.

        Raises
        ------
        ObjectNotFound, StoreUnavailable
        """

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Iterate over the committed objects whose keys start with ``prefix``, in no particular order."""

    def delete(self, key: str) -> None:
        """Remove an object, durably. Removing what is not there is success."""

    def remove_abandoned(self, older_than_s: float) -> int:
        """Remove temporaries that a dead process left, last touched ``older_than_s`` ago; return how many."""

    def check(self) -> None:
        """Prove that the store can be reached and written to.

        Raises
        ------
        StoreFull, StoreUnavailable
        """

    def close(self) -> None:
        """Release connections. The store is not used afterwards."""
