"""The last results of a process, in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

_LARGEST_SHARE = 4  # what is larger than a quarter of everything would push out too much


class ByteCache:
    """The last results by key, bounded by their size in bytes. Safe for use by several threads."""

    def __init__(self, max_size_bytes: int) -> None:
        self._max_size_bytes = max_size_bytes
        self._size_bytes = 0
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return an entry, or None; it counts as used."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: str, data: bytes) -> None:
        """Keep an entry, and drop those that were not used for the longest time; none that is very large."""
        if len(data) > self._max_size_bytes // _LARGEST_SHARE:
            return
        with self._lock:
            self._size_bytes += len(data) - len(self._entries.pop(key, b""))
            self._entries[key] = data
            while self._size_bytes > self._max_size_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._size_bytes -= len(dropped)
