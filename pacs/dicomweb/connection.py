"""One HTTP connection at a time to another archive, kept open between requests, made anew if lost."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.index.known_peers import KnownPeer
from pacs.settings import Settings
from storage.store import Buffer

MAX_ANSWER_SIZE_BYTES: Final = 16 * 1024 * 1024


class WebConnection:
    """Speaks HTTP/1.1 with the DICOMweb service of a peer. One thread uses it, but for `break_off`.

    Raises
    ------
    PeerUnreachable, PeerRejected
        From its methods: there is no answer, or another than was asked for. Redirections are not followed.
    """

    def __init__(self, peer: KnownPeer, settings: Settings) -> None:
        url = urlsplit(peer.dicomweb_url or "")
        self.ae_title = peer.ae_title
        self._path = url.path.rstrip("/")
        self._host, self._port = url.hostname or "", url.port
        self._tls = _client_context(settings) if url.scheme == "https" else None
        self._certificate_sha256 = peer.certificate_sha256
        self._timeout_s = settings.network_timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Iterable[Buffer] | None = None,
    ) -> http.client.HTTPResponse:
        """Send a request and return the answer, of which only the header fields are read."""
        is_kept = self._connection is not None
        try:
            return self._ask(method, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not is_kept or body is not None:
                raise self._unreachable(error) from error
        try:  # the peer may have closed what was kept open
            return self._ask(method, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unreachable(error) from error

    def read(self, response: http.client.HTTPResponse, size_bytes: int) -> bytes:
        """Read so much of an answer, or less; nothing at its end."""
        try:
            return response.read(size_bytes)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unreachable(error) from error

    def read_all(self, response: http.client.HTTPResponse) -> bytes:
        """Read an answer of at most 16 MiB."""
        data = self.read(response, MAX_ANSWER_SIZE_BYTES + 1)
        if len(data) > MAX_ANSWER_SIZE_BYTES:
            self.close()
            raise PeerRejected(f"{self.ae_title} answers without end")
        return data

    def read_json(self, response: http.client.HTTPResponse) -> Any:
        """Read an answer in JSON, of at most 16 MiB; None where it is none."""
        try:
            return json.loads(self.read_all(response))
        except (ValueError, RecursionError):
            return None

    def break_off(self) -> None:
        """Have the thread that uses it lose the connection at once. Called from any thread."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: Iterable[Buffer] | None
    ) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request(method, self._path + path, body=body, headers=dict(headers))
        return self._connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout_s, context=self._tls
        )
        connection.connect()
        if self._certificate_sha256 is not None:
            shown = connection.sock.getpeercert(binary_form=True) or b""
            if hashlib.sha256(shown).hexdigest() != self._certificate_sha256:
                connection.close()
                raise PeerRejected(f"{self.ae_title} does not show the certificate that is known of it")
        return connection

    def _unreachable(self, error: Exception) -> PeerUnreachable:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return PeerUnreachable(f"{self.ae_title} does not answer over HTTP: {reason}")


def _client_context(settings: Settings) -> ssl.SSLContext:
    """Trust the authorities of the system, and those that are set for DICOM over TLS."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.dicom_tls_authorities is not None:
        with contextlib.suppress(OSError, ssl.SSLError):  # the system's may be enough
            context.load_verify_locations(settings.dicom_tls_authorities)
    return context
