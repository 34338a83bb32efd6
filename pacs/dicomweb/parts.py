"""The first part of a multipart answer, as it comes (RFC 2046 5.1, PS3.18 8.6.1.2). Every byte is hostile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email.message import Message
from typing import Final

from pacs.errors import UnreadableInstance

_PIECE_SIZE_BYTES: Final = 64 * 1024
_MAX_HEAD_SIZE_BYTES: Final = 64 * 1024
_MAX_BOUNDARY_LENGTH: Final = 70
_MOST_PIECES_BEHIND: Final = 64  # behind the first part


def read_first_part(content_type: str, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Read the body of the first part; of an answer that is not multipart, all of it.

    Parameters
    ----------
    content_type
        The header field of the answer.
    read
        Reads so many bytes, or less; none at the end.

    Raises
    ------
    UnreadableInstance
        There is no part, or it has no end.
    """
    boundary = _boundary(content_type)
    if boundary is None:
        while piece := read(_PIECE_SIZE_BYTES):
            yield piece
        return
    yield from _until(boundary, _behind_head(boundary, read), read)


def _boundary(content_type: str) -> bytes | None:
    message = Message()
    message["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
    if message.get_content_maintype() != "multipart":
        return None
    boundary = message.get_boundary() or ""
    if not 0 < len(boundary) <= _MAX_BOUNDARY_LENGTH or not boundary.isascii():
        raise UnreadableInstance("a multipart answer without a boundary")
    return b"--" + boundary.encode("ascii")


def _behind_head(boundary: bytes, read: Callable[[int], bytes]) -> bytes:
    """Read up to the body of the first part; return what was read of it."""
    held = b"\r\n"  # what precedes a boundary, which may be the first there is
    while True:
        begin = held.find(b"\r\n" + boundary)
        end = held.find(b"\r\n\r\n", begin + 2 + len(boundary)) if begin >= 0 else -1
        if end >= 0:
            return held[end + 4 :]
        piece = read(_PIECE_SIZE_BYTES)
        if not piece or len(held) > _MAX_HEAD_SIZE_BYTES:
            raise UnreadableInstance("a multipart answer without a part")
        held += piece


def _until(boundary: bytes, held: bytes, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Give out what comes before the next boundary, holding back what may be its beginning."""
    delimiter = b"\r\n" + boundary
    while (end := held.find(delimiter)) < 0:
        ready = len(held) - len(delimiter)
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
        piece = read(_PIECE_SIZE_BYTES)
        if not piece:
            raise UnreadableInstance("a part of a multipart answer has no end")
        held += piece
    if end:
        yield held[:end]
    for _ in range(_MOST_PIECES_BEHIND):  # so that the connection is free; of more it is closed
        if not read(_PIECE_SIZE_BYTES):
            return
