"""A plain port of this machine behind which TLS begins, for programs that speak none: stunnel's work."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator

_HOST = "127.0.0.1"
_TIMEOUT_S, _LOOK_S = 60.0, 0.02


@contextlib.contextmanager
def tls_tunnel(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Listen on a free port; what comes there goes to ``port`` over TLS, and back."""
    with socket.create_server((_HOST, 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, port, context), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _serve(listening: socket.socket, port: int, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return
        secure = context.wrap_socket(socket.create_connection((_HOST, port)))
        with plain, secure, contextlib.suppress(OSError):
            _relay(plain, secure)


def _relay(plain: socket.socket, secure: ssl.SSLSocket) -> None:
    """Carry bytes to and fro until one side ends. One thread does both, as TLS of one socket asks for."""
    while True:
        waiting = [] if secure.pending() else select.select([plain, secure], [], [], _TIMEOUT_S)[0]
        if secure.pending() or secure in waiting:
            if (data := _receive(secure)) == b"":
                return
            plain.sendall(data or b"")
        if plain in waiting:
            if not (sent := plain.recv(65536)):
                return
            secure.sendall(sent)


def _receive(secure: ssl.SSLSocket) -> bytes | None:
    """Receive what is there; None where it was no data, such as a session ticket."""
    secure.settimeout(_LOOK_S)
    try:
        return secure.recv(65536)
    except TimeoutError:
        return None
    finally:
        secure.settimeout(_TIMEOUT_S)
