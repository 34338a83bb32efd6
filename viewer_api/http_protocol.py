"""What comes before there is a request: malformed ones, endless header fields, senders that never finish."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from viewer_api.problems import PROBLEM_JSON

MAX_HEAD_SIZE_BYTES: Final = 64 * 1024  # of request line and header fields; the application allows less
HEAD_TIMEOUT_S: Final = 30.0


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds on the head of a request, and problem details for what is none."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._came_on = False  # to the end of a head, or to more of a body
        self._unread_size_bytes = 0  # since then
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take what came, and no more of a head, or of trailer fields, than is allowed."""
        self._came_on = False
        super().data_received(data)
        self._unread_size_bytes = 0 if self._came_on else self._unread_size_bytes + len(data)
        if self._unread_size_bytes <= MAX_HEAD_SIZE_BYTES or self.transport.is_closing():
            return
        if self._in_head:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            self.transport.close()  # its answer may have begun

    def on_message_begin(self) -> None:
        """Begin with a head."""
        super().on_message_begin()
        self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; trailer fields, behind a body, are wanted nowhere."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request on."""
        self._in_head, self._came_on = False, True
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._came_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Know the end of a request."""
        self._in_head = self._came_on = True  # what comes next is another request
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _should_upgrade_to_ws(self) -> bool:
        """Serve a request for a WebSocket as any other: we have none, whatever library is installed."""
        return False

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST)

    def _await_head(self) -> None:
        self._in_head, self._unread_size_bytes = True, 0
        self._stop_waiting()
        self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._end_waiting)

    def _end_waiting(self) -> None:
        """Refuse a head that is not finished in time; its sender may be kept from that by an answer."""
        if self._is_next_to_be_answered():
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._deadline = self.loop.call_later(HEAD_TIMEOUT_S, self._end_waiting)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: HTTPStatus) -> None:
        """Close the connection, with an answer if it is taken for that to what is being read."""
        if self.transport.is_closing():
            return
        if self._is_next_to_be_answered():
            self._answer(status)
        self.transport.close()

    def _is_next_to_be_answered(self) -> bool:
        """Tell whether all requests before the one that is being read have been answered, and it has not."""
        if self.cycle is None or self.pipeline:
            return not self.pipeline
        return self.cycle.response_complete if self._in_head else not self.cycle.response_started

    def _answer(self, status: HTTPStatus) -> None:
        body = orjson.dumps({"title": status.phrase, "status": status.value})
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {PROBLEM_JSON}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
