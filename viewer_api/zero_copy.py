"""Parts of files that leave without passing through this process: sendfile(2), as an extension of ASGI.

Most of what goes out are pixels that lie in a file just so. Read and written, they are copied
twice, into memory that the system has to find and clear first: that takes longer than all the rest.

References
----------
https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from typing import Final

from anyio import to_thread
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from storage.stored_file import READ_AHEAD_BYTES, lies_in_memory
from viewer_api.outgoing_answer import STEP_SIZE_BYTES, OutgoingAnswer
from viewer_api.repeated_requests import RepeatedRequests

ZERO_COPY_SEND: Final = "http.response.zerocopysend"
FILE_ANSWER: Final = "filmless.file_answer"  # an extension of our own: a whole answer in one message
IS_POSSIBLE: Final = sys.platform == "linux"

_LARGE_BYTES: Final = 64 * 1024  # more than a segment of any network
_CLOSE: Final = ((b"connection", b"close"),)


class ZeroCopy:
    """Sends parts of files over one connection, in turn with what its transport writes."""

    def __init__(self, transport: asyncio.Transport, flow: FlowControl, repeated: RepeatedRequests) -> None:
        self._transport = transport
        self._flow = flow
        self._repeated = repeated
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None  # our own, as the transport's may not be waited for
        self._is_lost = self._is_corked = False
        self._writable: asyncio.Future[None] | None = None

    def extended(self, app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
        """Return the application with the extension, for the one request of a cycle."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_any(message: Message) -> None:
                if message["type"] == FILE_ANSWER:
                    await self._answer_whole(cycle, message)
                    return
                if message["type"] == "http.response.start":
                    self._cork(dict(message["headers"]).get(b"content-length"))
                elif message["type"] == ZERO_COPY_SEND:
                    await self._answer(cycle, message)
                    message = {"type": "http.response.body", "more_body": message.get("more_body", False)}
                    if message["more_body"]:
                        return
                await send(message)
                if self._is_corked and cycle.response_complete:
                    self._uncork()

            await app({**scope, "extensions": {ZERO_COPY_SEND: {}, FILE_ANSWER: {}}}, receive, send_any)

        return serve

    def close(self) -> None:
        """Let go of the connection, which is lost."""
        self._is_lost = True
        self._stop_waiting()
        if self._socket is not None:
            self._socket.close()

    def send_at_once(self, answer: OutgoingAnswer) -> bool:
        """Send an answer as far as the connection takes it now; tell whether that was all."""
        if self._is_going or self._transport.get_write_buffer_size():
            return False
        is_all = False
        with suppress(OSError):  # what is in the way is met again by who sends the rest
            self._cork(answer.count)
            is_all = answer.send(self._connected())
            if is_all:
                self._uncork()
        return is_all

    async def send_rest(self, cycle: RequestResponseCycle, answer: OutgoingAnswer) -> None:
        """Send what is left of the answer of a cycle, and end that."""
        if not self._is_lost:
            self._transport.write(answer.before)
        await self._send_part(cycle, answer.file.fileno(), answer.offset, answer.count)
        self._transport.write(answer.after)
        self._uncork()
        _end(cycle)

    async def _answer_whole(self, cycle: RequestResponseCycle, message: Message) -> None:
        """Send the answer of a message as :meth:`RequestResponseCycle.send` would have it.

        That takes longer for its head alone than the file does.
        """
        answer: OutgoingAnswer = message["answer"]
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        answer.complete_head([*cycle.default_headers, *(() if cycle.keep_alive else _CLOSE)])
        self._repeated.was_answered(cycle, message["again"])
        if self.send_at_once(answer):
            _end(cycle)
        else:
            await self.send_rest(cycle, answer)

    def _cork(self, size_bytes: bytes | int | None) -> None:
        """Have the head of a large answer, and whatever else is small, travel with what comes behind it."""
        if int(size_bytes or 0) >= _LARGE_BYTES and not self._is_going:
            self._connected().setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            self._is_corked = True

    def _uncork(self) -> None:
        self._is_corked = False
        if self._socket is not None and not self._is_lost:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    async def _answer(self, cycle: RequestResponseCycle, message: Message) -> None:
        size_bytes = message["count"]
        if cycle.disconnected:  # so its head was not sent
            raise ClientDisconnect
        if cycle.chunked_encoding or size_bytes > cycle.expected_content_length:
            raise RuntimeError("only what a Content-Length has room for can be sent from a file")
        cycle.expected_content_length -= size_bytes
        await self._send_part(cycle, message["file"].fileno(), message["offset"], size_bytes)

    async def _send_part(self, cycle: RequestResponseCycle, file: int, offset: int, size_bytes: int) -> None:
        try:
            await self._drain()
            await self._send(file, offset, size_bytes)
        except (ConnectionError, ClientDisconnect):
            cycle.disconnected = True  # or the server takes what is missing for an error of the application
            self._transport.close()
            raise ClientDisconnect from None

    async def _drain(self) -> None:
        """Wait until the transport has written what it was given before; one that is closed refuses all."""
        if self._is_lost or not self._transport.get_write_buffer_size():
            return
        self._transport.set_write_buffer_limits(0)
        try:
            while self._flow.write_paused and not self._is_lost:
                await self._flow.drain()
        finally:
            if not self._is_lost:
                self._transport.set_write_buffer_limits()

    async def _send(self, file: int, offset: int, size_bytes: int) -> None:
        end = offset + size_bytes
        while offset < end:
            step = min(end - offset, STEP_SIZE_BYTES)
            if not lies_in_memory(file, offset, step):
                await to_thread.run_sync(_read, file, offset, step)
            try:
                sent = os.sendfile(self._connected().fileno(), file, offset, step)
            except BlockingIOError:
                await self._wait_until_writable()
                continue
            if not sent:
                raise RuntimeError("a file ends before what was to be sent of it")
            offset += sent
            if offset < end:
                await asyncio.sleep(0)  # a client that reads as fast must not keep the others waiting

    @property
    def _is_going(self) -> bool:
        return self._is_lost or self._transport.is_closing()

    def _connected(self) -> socket.socket:
        if self._is_going:
            raise ClientDisconnect
        if self._socket is None:
            self._socket = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))
        return self._socket

    async def _wait_until_writable(self) -> None:
        self._writable = self._loop.create_future()
        self._loop.add_writer(self._connected(), self._stop_waiting)
        try:
            await self._writable
        finally:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        waiting, self._writable = self._writable, None
        if waiting is not None and self._socket is not None:
            self._loop.remove_writer(self._socket)
            if not waiting.done():
                waiting.set_result(None)


def _end(cycle: RequestResponseCycle) -> None:
    """End a cycle whose answer has been sent."""
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


def _read(file: int, offset: int, size_bytes: int) -> None:
    """Have the system read a part of a file into its memory."""
    for place in range(offset, offset + size_bytes, READ_AHEAD_BYTES):
        os.pread(file, min(READ_AHEAD_BYTES, offset + size_bytes - place), place)
