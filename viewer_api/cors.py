"""Letting the pages of other sites, named in the settings, use the API (Fetch Standard, CORS protocol)."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from fastapi import Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from viewer_api.header_fields import header_field

_KEPT_S: Final = 600
_METHODS: Final = "GET, POST, DELETE, OPTIONS"
_TAKEN: Final = "Accept, Content-Type, If-None-Match, Range"
_EXPOSED: Final = "Content-Disposition, Content-Location, Content-Range, ETag, Location, Retry-After, Warning"


class CrossOrigin:
    """Adds the header fields that let a page of another origin read an answer, and answers preflights.

    Origins are compared as a whole; there is no wildcard, and no credentials are allowed. What comes from
    another origin is answered as if it came from none: the browser keeps it from the page.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self.app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        origin = header_field(scope, b"origin") if scope["type"] == "http" else None
        if origin is None or origin not in self._origins:
            await self.app(scope, receive, send)
        elif (
            scope["method"] == "OPTIONS" and header_field(scope, b"access-control-request-method") is not None
        ):
            await _preflight(origin)(scope, receive, send)
        else:
            await self.app(scope, receive, _sending(send, origin))


def _preflight(origin: str) -> Response:
    return Response(
        status_code=HTTPStatus.NO_CONTENT,
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _TAKEN,
            "Access-Control-Max-Age": str(_KEPT_S),
            "Vary": "Origin",
        },
    )


def _sending(send: Send, origin: str) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _EXPOSED
            headers.add_vary_header("Origin")
        await send(message)

    return send_with_headers
