"""gzip for JSON and for the pages' files. Pixels are never compressed again."""

from __future__ import annotations

import gzip
from typing import Final

from fastapi import Request, Response

_LEVEL: Final = 5
_MIN_SIZE_BYTES: Final = 1024
HEADERS: Final = {"Content-Encoding": "gzip"}


def accepts_gzip(request: Request) -> bool:
    """Tell whether the client takes gzip (RFC 9110 12.5.3)."""
    for coding in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, quality = coding.partition(";")
        if name.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def compress(data: bytes) -> bytes:
    """Compress; the same data gives the same bytes."""
    return gzip.compress(data, _LEVEL, mtime=0)


def compressed_response(
    request: Request, data: bytes, media_type: str, headers: dict[str, str] | None = None
) -> Response:
    """Answer with data that compresses well, compressed where the client takes it and it is worth it."""
    headers = {"Vary": "Accept, Accept-Encoding", **(headers or {})}
    if len(data) >= _MIN_SIZE_BYTES and accepts_gzip(request):
        return Response(compress(data), headers=headers | HEADERS, media_type=media_type)
    return Response(data, headers=headers, media_type=media_type)
