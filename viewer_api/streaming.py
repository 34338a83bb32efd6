"""Answers that are longer than memory: how their pieces go out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

GATHERED_SIZE_BYTES: Final = 1 << 20


def primed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Make the first piece now, so that what fails at once is told with a status and not by a cut answer."""
    return _behind(next(chunks, b""), chunks)


async def primed_async(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Make the first piece now; see :func:`primed`."""
    first = await anext(chunks, b"")
    return _chained(first, chunks)


def gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces to about a mebibyte: each piece that goes out costs a change of threads."""
    waiting: list[bytes] = []
    size_bytes = 0
    for chunk in chunks:
        waiting.append(chunk)
        size_bytes += len(chunk)
        if size_bytes >= GATHERED_SIZE_BYTES:
            yield b"".join(waiting)
            waiting, size_bytes = [], 0
    if waiting:
        yield b"".join(waiting)


def _behind(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
