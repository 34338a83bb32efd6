"""The address under which a proxy has made this server known, and the path prefix of that address."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pacs.settings import Settings
from viewer_api.problems import problem_response

PUBLIC_URL: Final = "filmless.public_url"  # in the scope of a request that came by a trusted proxy

_SCHEME: Final = re.compile(r"https?", re.ASCII)
_HOST: Final = re.compile(
    r"([A-Za-z0-9-]+(\.[A-Za-z0-9-]+){0,20}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?", re.ASCII
)
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,62}){0,8}/?", re.ASCII)


class ForwardedAddress:
    """Takes the address of links from the proxy, where the settings trust it and do not name one themselves.

    A prefix of the address may still stand before the paths of requests or not: both are served.

    References
    ----------
    RFC 7239 (which the fields ``X-Forwarded-*`` came before)
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._networks = [ipaddress.ip_network(one) for one in settings.trusted_proxies]
        self._is_named = settings.public_url is not None
        self._prefix = urlsplit(settings.resolved_public_url).path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        prefix = self._prefix
        if not self._is_named and self._is_trusted(scope):
            address = _read_address(Headers(scope=scope), scope["scheme"])
            if address is None:
                refusal = problem_response(
                    HTTPStatus.BAD_REQUEST, "the proxy's X-Forwarded fields are malformed"
                )
                await refusal(scope, receive, send)
                return
            prefix = urlsplit(address).path
            scope = {**scope, PUBLIC_URL: address}
        if prefix and scope["path"].startswith(prefix + "/"):
            scope = {**scope, "root_path": prefix}
        await self.app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        if not self._networks:
            return False
        try:
            peer = ipaddress.ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return any(peer in network for network in self._networks)


def _read_address(headers: Headers, scheme: str) -> str | None:
    """Put the address together; None where a part of it is malformed.

    Of several values the last one counts: it is what the trusted proxy itself has added.
    """
    scheme = _last(headers.getlist("x-forwarded-proto")) or scheme
    host = _last(headers.getlist("x-forwarded-host")) or headers.get("host", "")
    prefix = _last(headers.getlist("x-forwarded-prefix"))
    fits = _SCHEME.fullmatch(scheme) and _HOST.fullmatch(host) and _PREFIX.fullmatch(prefix)
    return f"{scheme}://{host}{prefix.rstrip('/')}" if fits else None


def _last(values: Sequence[str]) -> str:
    return ",".join(values).rpartition(",")[2].strip()
