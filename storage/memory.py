"""Objects in memory, for unit tests. Keeps every promise of the contract but the one about power cuts."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from storage.errors import ObjectExists, ObjectNotFound
from storage.keys import check_key, check_prefix
from storage.staging import SPILL_SIZE_BYTES, SpillingStage, Temporary
from storage.store import ObjectStat, ObjectStore, StagedObject, check_range


@dataclass(frozen=True, slots=True)
class _Kept:
    content: bytes
    stat: ObjectStat


class MemoryStore(ObjectStore):
    """An :class:`~storage.store.ObjectStore` that lives as long as this process."""

    def __init__(self, spill_size_bytes: int = SPILL_SIZE_BYTES) -> None:
        self._spill_size_bytes = spill_size_bytes
        self._objects: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def stage(self, *, packed: bool = False) -> StagedObject:
        """Begin a new object."""
        return _MemoryStage(self, self._spill_size_bytes)

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        return io.BytesIO(self._kept(key).content)

    def read_range(self, key: str, offset: int, size_bytes: int) -> bytes:
        """Read a part of an object."""
        check_range(offset, size_bytes)
        return self._kept(key).content[offset : offset + size_bytes]

    def stat(self, key: str) -> ObjectStat:
        """Tell size and time of an object."""
        return self._kept(key).stat

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Iterate over the objects that were there when the iteration began."""
        check_prefix(prefix)
        with self._lock:
            return iter([kept.stat for key, kept in self._objects.items() if key.startswith(prefix)])

    def delete(self, key: str) -> None:
        """Remove an object."""
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def remove_abandoned(self, older_than_s: float) -> int:
        """Remove nothing: temporaries have no name that could outlive their process."""
        return 0

    def check(self) -> None:
        """Succeed: memory can always be reached."""

    def close(self) -> None:
        """Keep the objects, so that a test may look at them."""

    def keep(self, key: str, content: bytes) -> ObjectStat:
        """Take in ``content`` under a checked key, or find it there."""
        with self._lock:
            kept = self._objects.get(key)
            if kept is None:
                kept = _Kept(content, ObjectStat(key, len(content), datetime.now(UTC)))
                self._objects[key] = kept
            elif kept.content != content:
                raise ObjectExists(key)
            return kept.stat

    def _kept(self, key: str) -> _Kept:
        check_key(key)
        with self._lock:
            if key not in self._objects:
                raise ObjectNotFound(key)
            return self._objects[key]


class _MemoryStage(SpillingStage[Temporary]):
    def __init__(self, store: MemoryStore, spill_size_bytes: int) -> None:
        super().__init__(Temporary, spill_size_bytes)
        self._store = store

    def _keep(self, key: str) -> ObjectStat:
        with self.view() as content:
            return self._store.keep(key, bytes(content))
