"""HTTP connections to one server, kept and used again.

A request and its answer cost 0.7 ms of CPU by botocore's HTTP session, and 0.2 ms by ``http.client`` alone.
Certificates, proxies and errors are botocore's all the same.
"""

from __future__ import annotations

import base64
import select
import socket
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from typing import IO
from urllib.parse import SplitResult, unquote, urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    InvalidProxiesConfigError,
    ReadTimeoutError,
)
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from storage.store import Buffer

Body = Buffer | IO[bytes]
_SENT_TOGETHER_BYTES = 1024**2  # of a file


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its body, or with as much of it as was wanted."""

    status: int
    headers: Message
    content: bytes


class S3Connections:
    """Makes requests of one server. Safe for use by several threads.

    Parameters
    ----------
    url
        Of the server; its path does not count. The proxy is the one that the environment names for it.
    ca_bundle
        File with the certificates that are trusted, where they are not the usual ones.
    most_kept
        So many connections are kept while nobody uses them.

    Raises
    ------
    InvalidProxiesConfigError
        The proxy for this server is not one of ``http:``.
    """

    def __init__(self, url: str, *, ca_bundle: str | None, most_kept: int, connect_timeout_s: float) -> None:
        self._url = urlsplit(url)
        self._proxy = _proxy_for(url)
        self._ca_bundle = ca_bundle
        self._most_kept = most_kept
        self._connect_timeout_s = connect_timeout_s
        self._kept: deque[HTTPConnection] = deque()
        self._tls: ssl.SSLContext | None = None

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body | None = None,
        *,
        read_timeout_s: float,
        most_bytes: int,
    ) -> Answer:
        """Make a request, once; return the answer, with ``most_bytes`` of its body, whatever its status.

        Parameters
        ----------
        target
            The path, percent-encoded.
        headers
            They have the length of a ``body``.
        read_timeout_s
            So long the server may be silent.

        Raises
        ------
        EndpointConnectionError, ConnectionClosedError, ReadTimeoutError
            Of botocore. After the last two the server may have done what was asked.
        """
        if self._proxy is not None and self._url.scheme == "http":
            target = f"http://{self._url.netloc}{target}"
            headers = {**headers, **_authorization(self._proxy)}
        connection = self._kept_connection() or self._connect()
        try:
            with self._errors_translated():
                connection.sock.settimeout(read_timeout_s)
                answer, is_read = _exchange(connection, method, target, headers, body, most_bytes)
        except BaseException:
            connection.close()
            raise
        if is_read and connection.sock is not None and len(self._kept) < self._most_kept:
            self._kept.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close the connections that are kept."""
        with suppress(IndexError):
            while True:
                self._kept.pop().close()

    def _kept_connection(self) -> HTTPConnection | None:
        """Return the connection that was used last, if the server has not closed it since."""
        with suppress(IndexError):
            while True:
                connection = self._kept.pop()
                if not _is_readable(connection.sock):
                    return connection
                connection.close()
        return None

    def _connect(self) -> HTTPConnection:
        connection = self._new_connection()
        try:
            connection.connect()
        except (OSError, HTTPException) as error:
            connection.close()
            raise EndpointConnectionError(endpoint_url=self._url.geturl(), error=error) from error
        return connection

    def _new_connection(self) -> HTTPConnection:
        """Make one to the server, or to the proxy before it; nothing is sent yet."""
        first = self._proxy or self._url
        host, port = str(first.hostname), first.port
        if self._url.scheme != "https":
            return HTTPConnection(
                host, port or 80, timeout=self._connect_timeout_s, blocksize=_SENT_TOGETHER_BYTES
            )
        connection = HTTPSConnection(
            host,
            port or (443 if self._proxy is None else 80),
            timeout=self._connect_timeout_s,
            blocksize=_SENT_TOGETHER_BYTES,
            context=self._tls_context(),
        )
        if self._proxy is not None:
            connection.set_tunnel(str(self._url.hostname), self._url.port or 443, _authorization(self._proxy))
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        """Read the trusted certificates, once: that takes a while."""
        if self._tls is None:
            self._tls = ssl.create_default_context(cafile=self._ca_bundle or get_cert_path(True))
        return self._tls

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        url = self._url.geturl()
        try:
            yield
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=url, error=error) from error
        except (OSError, HTTPException) as error:
            raise ConnectionClosedError(endpoint_url=url, error=error) from error


def _exchange(
    connection: HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Body | None,
    most_bytes: int,
) -> tuple[Answer, bool]:
    """Send a request and read the answer; tell too whether all of it was read."""
    with suppress(BrokenPipeError):  # the server has answered before it had read all: it may have said why
        connection.request(method, target, body, headers)
    with connection.getresponse() as response:
        content = response.read(most_bytes)
        if len(content) < most_bytes and response.length:
            raise IncompleteRead(content, response.length)
        return Answer(response.status, response.headers, content), response.isclosed()


def _is_readable(connected: socket.socket) -> bool:
    """Tell whether something has come that nobody asked for: the end of the connection, mostly."""
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))


def _proxy_for(url: str) -> SplitResult | None:
    """Find the proxy that the environment names for a server, as boto3 does."""
    scheme = urlsplit(url).scheme
    named = get_environ_proxies(url).get(scheme)
    if not named:
        return None
    proxy = urlsplit(named if "://" in named else f"http://{named.removeprefix('//')}")
    if proxy.scheme != "http":
        raise InvalidProxiesConfigError(error=f"the proxy for {scheme} is none of http:")
    return proxy


def _authorization(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(user.encode()).decode('ascii')}"}
