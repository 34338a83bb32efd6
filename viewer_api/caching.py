"""What a client may keep, and what this process keeps: entity tags and rendered images."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response

MAX_CACHED_SIZE_BYTES: Final = 64 * 1024 * 1024

# What lies under a SOP Instance UID never changes, so a frame and what is made of it do not either. Private:
# for this user's browser only, not for a cache on the way (RFC 9111 5.2.2.7).
IMMUTABLE: Final = "private, max-age=31536000, immutable"
# How a frame is rendered changes with the software; then the tag does too, which names its version.
RENDERED: Final = "private, max-age=86400"
# A picture that stands for a study or a series changes while instances arrive.
REVALIDATED: Final = "private, no-cache"


def make_etag(*facts: object) -> str:
    """Make an entity tag of all that an answer depends on, which is told before anything is read."""
    digest = hashlib.sha256("\n".join(map(str, facts)).encode())
    return f'"{digest.hexdigest()[:32]}"'


def not_modified(request: Request, etag: str, cache_control: str) -> Response | None:
    """Answer 304 where the client has what it asks for already (RFC 9110 13.1.2)."""
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag not in known and known != ["*"]:
        return None
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=cache_headers(etag, cache_control))


def cache_headers(etag: str, cache_control: str) -> dict[str, str]:
    """Return the headers of an answer that may be kept; it depends on what the client accepts."""
    return {"ETag": etag, "Cache-Control": cache_control, "Vary": "Accept"}


class ByteCache:
    """The last answers by entity tag, bounded by their size in bytes. Safe for use by several threads."""

    def __init__(self, max_size_bytes: int = MAX_CACHED_SIZE_BYTES) -> None:
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
        """Keep an entry, and drop those that were not used for the longest time."""
        with self._lock:
            self._size_bytes += len(data) - len(self._entries.pop(key, b""))
            self._entries[key] = data
            while self._size_bytes > self._max_size_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._size_bytes -= len(dropped)
