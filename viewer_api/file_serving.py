"""The protocol of the HTTP door: parts of files leave by sendfile(2), repeated requests without a task."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from viewer_api.http_protocol import BoundedHttpProtocol
from viewer_api.outgoing_answer import OutgoingAnswer
from viewer_api.repeated_requests import RepeatedRequests
from viewer_api.zero_copy import IS_POSSIBLE as ZERO_COPY_IS_POSSIBLE
from viewer_api.zero_copy import ZeroCopy


class FileServingProtocol(BoundedHttpProtocol):
    """Offers the application what `viewer_api.zero_copy` does, and answers repeated requests without it.

    A connection that does not take all of such an answer at once gets the rest from a task, as part of a
    request's cycle: whatever else comes meanwhile waits for its turn, as it always does.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._repeated = RepeatedRequests()
        self._zero_copy: ZeroCopy | None = None
        self._is_within = False  # a request that is being read
        self._began = 0  # requests, in the data that came last

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Find out whether files can be sent."""
        super().connection_made(transport)
        if ZERO_COPY_IS_POSSIBLE and self.scheme == "http":
            self._zero_copy = ZeroCopy(transport, self.flow, self._repeated)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the connection."""
        if self._zero_copy is not None:
            self._zero_copy.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answer what came, if it needs nothing to be found out; hand it on otherwise."""
        answer = self._repeated.find(data) if self._zero_copy is not None and self._is_waiting() else None
        if answer is not None and self._zero_copy is not None:
            self._answer_again(answer, self._zero_copy)
            return
        was_within, self._began = self._is_within, 0
        super().data_received(data)
        if self._began == 1 and not was_within and not self._is_within:
            self._repeated.was_heard(self.cycle, data)

    def on_message_begin(self) -> None:
        """Begin with a request."""
        super().on_message_begin()
        self._is_within = True
        self._began += 1

    def on_message_complete(self) -> None:
        """Know the end of a request."""
        super().on_message_complete()
        self._is_within = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._zero_copy is not None:
            app = self._zero_copy.extended(app, cycle)
        super()._start_asgi_task(cycle, app)

    def _is_waiting(self) -> bool:
        """Tell whether all that came before has been answered."""
        is_answered = self.cycle is not None and self.cycle.response_complete
        return is_answered and not self._is_within and not self.transport.is_closing()

    def _answer_again(self, answer: OutgoingAnswer, zero_copy: ZeroCopy) -> None:
        self._unset_keepalive_if_required()
        answer.complete_head(self.server_state.default_headers)
        if zero_copy.send_at_once(answer):
            self.on_response_complete()
        else:
            self.cycle = cycle = self._make_begun_cycle()
            super()._start_asgi_task(cycle, _sending_rest(zero_copy, cycle, answer))

    def _make_begun_cycle(self) -> RequestResponseCycle:
        cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        cycle.response_started, cycle.more_body = True, False
        return cycle


def _sending_rest(zero_copy: ZeroCopy, cycle: RequestResponseCycle, answer: OutgoingAnswer) -> Any:
    async def send_rest(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(ClientDisconnect):
            await zero_copy.send_rest(cycle, answer)

    return send_rest
