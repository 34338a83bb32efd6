"""A gate in front of a real server: its clients see it come and go while the server itself runs on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE_BYTES = 256 * 1024


@dataclass(slots=True)
class TcpGate:
    """Passes connections on to ``server`` while it is open; breaks them all when it is closed."""

    server: tuple[str, int]
    listening: socket.socket
    is_open: bool = True
    received_bytes: int = 0  # from the server, by all clients
    _connections: set[socket.socket] = field(default_factory=set)

    @property
    def port(self) -> int:
        """The port of 127.0.0.1 on which clients come."""
        return int(self.listening.getsockname()[1])

    def open(self) -> None:
        """Let everybody through."""
        self.is_open = True

    def close(self) -> None:
        """Break what is connected, and let nobody through: the server is away."""
        self.is_open = False
        for connection in list(self._connections):
            _shut(connection)

    def serve(self) -> None:
        """Accept until the listening socket is closed."""
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        if not self.is_open:
            client.close()
            return
        with suppress(OSError), client, socket.create_connection(self.server) as upstream:
            self._connections |= {client, upstream}
            back = threading.Thread(target=self._copy_back, args=(upstream, client), daemon=True)
            back.start()
            _copy(client, upstream)
            back.join()
            self._connections -= {client, upstream}

    def _copy_back(self, upstream: socket.socket, client: socket.socket) -> None:
        for size_bytes in _copied(upstream, client):
            self.received_bytes += size_bytes


def _copy(source: socket.socket, target: socket.socket) -> None:
    for _ in _copied(source, target):
        pass


def _copied(source: socket.socket, target: socket.socket) -> Iterator[int]:
    """Pass everything on, telling of each piece how large it was."""
    with suppress(OSError):
        while piece := source.recv(_PIECE_BYTES):
            target.sendall(piece)
            yield len(piece)
    for end in (source, target):
        _shut(end)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def gate_before(host: str, port: int) -> Iterator[TcpGate]:
    """Open a gate in front of a server until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gate = TcpGate((host, port), listening)
        threading.Thread(target=gate.serve, daemon=True).start()
        yield gate
        gate.close()
        _shut(listening)
