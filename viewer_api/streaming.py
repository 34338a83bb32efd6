"""Answers that are longer than memory: how their pieces go out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from storage.stored_file import StoredFile
from viewer_api.zero_copy import ZERO_COPY_SEND

GATHERED_SIZE_BYTES: Final = 1 << 20
_SMALL_BYTES: Final = 4096
_MAX_BATCH: Final = 64  # chunks, each of which may hold a file open


@dataclass(frozen=True, slots=True)
class FilePart:
    """A part of an object that lies in a file; it may leave without being read by this process."""

    file: StoredFile
    offset: int  # in the object
    size_bytes: int

    def read(self) -> Iterator[bytes]:
        """Read it, piece by piece."""
        offset, end = self.offset, self.offset + self.size_bytes
        while offset < end and (data := self.file.read(offset, min(end - offset, GATHERED_SIZE_BYTES))):
            offset += len(data)
            yield data


Chunk: TypeAlias = bytes | FilePart


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


class ChunksResponse(StreamingResponse):
    """An answer of bytes and of parts of files, whose size the headers tell.

    The first of it is made now, see :func:`primed`; the rest, if there is any, in a thread, in batches.
    Parts of files go out as such where the server can send them (`viewer_api.zero_copy`).
    """

    def __init__(
        self, chunks: Iterable[Chunk], status: int, headers: Mapping[str, str], media_type: str
    ) -> None:
        self._batches = _batches(iter(chunks))
        self._made = list(islice(self._batches, 2))
        super().__init__((), status, headers, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a client that goes away is waited for only where there is more to make."""
        self._by_file = ZERO_COPY_SEND in scope.get("extensions", ())
        if len(self._made) < 2:
            await self.stream_response(send)
        else:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send head and body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        made, self._made = self._made, []
        for batch in made:
            await self._send(batch, send, is_last=len(made) == 1)
        if len(made) > 1:
            async for batch in iterate_in_threadpool(self._batches):
                await self._send(batch, send)
        if len(made) != 1:
            await send({"type": "http.response.body", "body": b""})

    async def _send(self, batch: Sequence[Chunk], send: Send, *, is_last: bool = False) -> None:
        for number, chunk in enumerate(batch, 1):
            more = number < len(batch) or not is_last
            if isinstance(chunk, bytes):
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
            elif self._by_file:
                message = {"type": ZERO_COPY_SEND, "file": chunk.file, "count": chunk.size_bytes}
                offset = chunk.file.offset + chunk.offset
                await send({**message, "offset": offset, "more_body": more})
            else:
                async for piece in iterate_in_threadpool(chunk.read()):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                if not more:
                    await send({"type": "http.response.body", "body": b""})


def _batches(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    """Take as many chunks at a time as are worth a change of threads, small ones joined."""
    batch: list[Chunk] = []
    size_bytes = 0
    for chunk in chunks:
        if isinstance(chunk, bytes):
            size_bytes += len(chunk)
            before = batch[-1] if batch else None
            if isinstance(before, bytes) and len(before) + len(chunk) <= _SMALL_BYTES:
                batch[-1] = before + chunk
                continue
        batch.append(chunk)
        if size_bytes >= GATHERED_SIZE_BYTES or len(batch) >= _MAX_BATCH:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _behind(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
