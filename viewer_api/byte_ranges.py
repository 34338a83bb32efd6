"""Parts of an answer by their bytes (RFC 9110 14): one range of a body whose size is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from typing import Final

from fastapi import Request, Response

from viewer_api.header_fields import header_field
from viewer_api.problems import HttpProblem
from viewer_api.streaming import Chunk, ChunksResponse

# One range only: who asks for several at once gets everything, which RFC 9110 14.2 allows.
_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


ACCEPTED_RANGES: Final = {"Accept-Ranges": "bytes"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a body: how large it is, and how to read a part of it, by offset and size."""

    size_bytes: int
    read: Callable[[int, int], Iterable[Chunk]]


def piece_of(data: bytes) -> Piece:
    """Make a piece of bytes."""
    return Piece(len(data), lambda offset, size_bytes: [data[offset : offset + size_bytes]])


def parse_range(text: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Return offset and size of the one range that a Range header field asks for; None for everything.

    A field that is malformed, has several ranges or other units counts as none.

    Raises
    ------
    HttpProblem
        416: the range begins behind the end.

    References
    ----------
    RFC 9110 14.1.2, 14.2, 15.5.17
    """
    found = _RANGE.fullmatch(text or "")
    if found is None or found.group(1, 2) == ("", ""):
        return None
    first, last = found.group(1, 2)
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(size_bytes - int(last), 0)
    end = min(int(last) + 1, size_bytes) if first and last else size_bytes
    if start >= end:
        raise HttpProblem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "the range begins behind the end",
            headers={"Content-Range": f"bytes */{size_bytes}"},
        )
    return start, end - start


def answer_pieces(
    request: Request,
    pieces: Sequence[Piece],
    media_type: str,
    headers: Mapping[str, str],
    around: tuple[bytes, bytes] = (b"", b""),
) -> Response:
    """Answer with the pieces joined, or with the range of them that the request asks for.

    Parameters
    ----------
    around
        What goes before and behind and is in no range: the range of a bulk data resource is one of its value,
        also where that is the only part of a multipart answer (PS3.18 10.4.1.1.5).
    headers
        With the ETag, which If-Range is compared with: a part of another body is of no use (RFC 9110 13.1.5).

    Raises
    ------
    HttpProblem
        416: the range begins behind the end.
    """
    size_bytes = sum(piece.size_bytes for piece in pieces)
    part = _asked_part(request, size_bytes, headers)
    offset, length = part or (0, size_bytes)
    told = {**headers, **ACCEPTED_RANGES, "Content-Length": str(length + sum(map(len, around)))}
    if part is not None:
        told["Content-Range"] = _content_range(part, size_bytes)
    body: Iterable[Chunk] = chain(around[:1], _read(pieces, offset, length), around[1:])
    status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
    return ChunksResponse(body, status, told, media_type)


def _asked_part(request: Request, size_bytes: int, headers: Mapping[str, str]) -> tuple[int, int] | None:
    if header_field(request.scope, b"if-range") not in (None, headers["ETag"]):
        return None
    return parse_range(header_field(request.scope, b"range"), size_bytes)


def _content_range(part: tuple[int, int], size_bytes: int) -> str:
    offset, length = part
    return f"bytes {offset}-{offset + length - 1}/{size_bytes}"


def _read(pieces: Sequence[Piece], offset: int, length: int) -> Iterator[Chunk]:
    for piece in pieces:
        size_bytes = min(piece.size_bytes - offset, length)
        if size_bytes > 0:
            yield from piece.read(offset, size_bytes)
            length -= size_bytes
        offset = max(offset - piece.size_bytes, 0)
