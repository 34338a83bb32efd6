"""What holds for every request, before and after the routes see it; pure ASGI, so that answers stream."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pacs.dicomweb_urls import DICOM_WEB_PATH
from pacs.settings import Settings
from viewer_api.caching import NOT_STORED
from viewer_api.forwarded import PUBLIC_URL
from viewer_api.problems import HttpProblem, code_location, problem_response

MAX_HEADERS_SIZE_BYTES = 16 * 1024
MAX_URL_LENGTH = 8 * 1024
MAX_BODY_SIZE_BYTES = (
    1024 * 1024
)  # of what is read whole; instances, which are not, come under DICOM_WEB_PATH

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": NOT_STORED,  # a route whose answers may be kept says so itself
}

_SECURITY_FIELDS: Final = [
    (name.lower().encode("ascii"), value.encode("ascii")) for name, value in SECURITY_HEADERS.items()
]
_REMEMBERED: Final = 256

_log = logging.getLogger(__name__)


class SecurityHeaders:
    """Adds the headers that every answer has, where the route has not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": add_security_fields(message.get("headers", ()))}
            await send(message)

        await self.app(scope, receive, send_with_headers)


def add_security_fields(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Add the fields that every answer has to those that it has already."""
    fields = list(headers)
    own = {name for name, _ in fields}
    return [*fields, *(field for field in _SECURITY_FIELDS if field[0] not in own)]


class UnexpectedErrors:
    """Ends a request that raised what nobody foresaw: logged by type and place, told without any detail.

    An error is not passed on to the server, which would log its message: that may hold patient data. Where
    the answer had begun, it stays incomplete and the server closes the connection, so that the client can
    tell.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_and_remember(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_remember)
        except Exception as error:
            if isinstance(_cause_of(error), ClientDisconnect):
                return
            _log.error("%s %s", scope["method"], code_location(_cause_of(error)))
            if not started:
                await problem_response(HTTPStatus.INTERNAL_SERVER_ERROR)(scope, receive, send)


def _cause_of(error: Exception) -> BaseException:
    """Return what was raised: the framework wraps an error that comes after the answer has begun."""
    return error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error


class HeadRequests:
    """Answers HEAD as GET, without the content, which is not read beyond its first piece (RFC 9110 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] != "http.response.start":
                raise _HeadWasSent
            await send(message)

        # A range is for GET only (RFC 9110 14.2).
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        with suppress(_HeadWasSent):
            await self.app({**scope, "method": "GET", "headers": headers}, receive, send_head)
        await send({"type": "http.response.body", "body": b""})


class _HeadWasSent(Exception):
    """Ends what would go on to make the content of an answer that has none."""


class RequestLimits:
    """Refuses what no honest client sends, before anything looks at it.

    The Host header field is checked although no link is made of it: a page of a hostile site that rebinds
    its own name to this server's address would pass for our own pages otherwise. Names of this server are
    those of its settings; an address cannot be rebound.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        public = urlsplit(settings.resolved_public_url).hostname or ""
        self._host_names = frozenset({"localhost", public.lower(), settings.http_host.lower()})
        self._is_ours = lru_cache(_REMEMBERED)(self._is_our_name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except HttpProblem as problem:
                await problem_response(problem.status, problem.detail)(scope, receive, send)
                return
            if not scope["path"].startswith(f"{DICOM_WEB_PATH}/"):
                receive = _bounded(receive)
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"]) > MAX_URL_LENGTH:
            raise HttpProblem(
                HTTPStatus.REQUEST_URI_TOO_LONG, f"the URL is longer than {MAX_URL_LENGTH} characters"
            )
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > MAX_HEADERS_SIZE_BYTES:
            raise HttpProblem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the header fields are too large")
        hosts = [value for name, value in headers if name == b"host"]
        # Behind a trusted proxy the name is the proxy's to check.
        is_ours = PUBLIC_URL in scope or (len(hosts) == 1 and self._is_ours(hosts[0].decode("latin-1")))
        if not is_ours:
            raise HttpProblem(
                HTTPStatus.BAD_REQUEST, "the Host is not a name of this server; PUBLIC_URL of its settings is"
            )

    def _is_our_name(self, host: str) -> bool:
        name = host.lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        return name in self._host_names or _is_address(name)


def _bounded(receive: Receive) -> Receive:
    """Receive a body of at most so many bytes; who sends more is treated as one who has gone."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        return message if received <= MAX_BODY_SIZE_BYTES else {"type": "http.disconnect"}

    return receive_bounded


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
