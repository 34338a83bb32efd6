"""The body of a request, for a thread that reads it piece by piece while it arrives."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Final

import anyio
from anyio import from_thread
from fastapi import Request

from viewer_api.problems import HttpProblem

MIN_BYTES_PER_S: Final = 1024  # slower than this is no hospital's line but an attack that holds a thread
MAX_DRAINED_SIZE_BYTES: Final = 16 * 1024 * 1024
_MAX_DRAINING_S: Final = 5.0
_GATHERED_SIZE_BYTES: Final = 512 * 1024


class UploadedBody:
    """Pulls a body out of the event loop; no more of it is held than the half mebibyte at hand.

    The sender is slowed down by the reader: nothing is taken from its connection before it is asked for.
    """

    def __init__(self, request: Request, timeout_s: float) -> None:
        self._stream: AsyncIterator[bytes] = request.stream()
        self._timeout_s = timeout_s
        self._received_size_bytes = 0
        self._waited_s = 0.0
        self._is_too_slow = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the body; called in a worker thread.

        Raises
        ------
        HttpProblem
            408: nothing came for ``timeout_s`` seconds, or less than a kilobyte for each second of waiting.
        starlette.requests.ClientDisconnect
        """
        while pieces := from_thread.run(self._receive):
            yield from pieces

    async def drain(self) -> None:
        """Take what is left, within bounds: a client that is still sending does not read our refusal."""
        if self._is_too_slow:
            return
        with anyio.move_on_after(_MAX_DRAINING_S):
            left = MAX_DRAINED_SIZE_BYTES
            async for chunk in self._stream:
                left -= len(chunk)
                if left < 0:
                    return

    async def _receive(self) -> list[bytes]:
        """Return the next pieces, several as each step out of the event loop takes long; none at the end."""
        pieces: list[bytes] = []
        size_bytes = 0
        while size_bytes < _GATHERED_SIZE_BYTES and (piece := await self._receive_piece()):
            pieces.append(piece)
            size_bytes += len(piece)
        return pieces

    async def _receive_piece(self) -> bytes:
        """Return the next piece, empty at the end. The pace counts while we wait, not while we store."""
        began = time.monotonic()
        try:
            with anyio.fail_after(self._timeout_s):
                chunk = b""
                async for chunk in self._stream:
                    if chunk:
                        break
        except TimeoutError:
            raise self._give_up() from None
        self._waited_s += time.monotonic() - began
        self._received_size_bytes += len(chunk)
        too_little = self._received_size_bytes < MIN_BYTES_PER_S * self._waited_s
        if chunk and self._waited_s > self._timeout_s and too_little:
            raise self._give_up()
        return chunk

    def _give_up(self) -> HttpProblem:
        self._is_too_slow = True
        return HttpProblem(HTTPStatus.REQUEST_TIMEOUT, "the body did not come, or came too slowly")
