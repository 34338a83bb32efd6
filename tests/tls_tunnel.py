"""A plain port of this machine behind which TLS begins, for programs that speak none: stunnel's work."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

_HOST = "127.0.0.1"


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
        with plain, secure:
            back = threading.Thread(target=_pump, args=(secure, plain), daemon=True)
            back.start()
            _pump(plain, secure)
            back.join(10)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        socket.socket.shutdown(target, socket.SHUT_WR)
