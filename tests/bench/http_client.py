"""An HTTP/1.1 client that costs next to nothing: prepared requests out, answers counted and thrown away."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from threading import Barrier, Thread
from time import monotonic, process_time

_BUFFER_SIZE_BYTES = 1 << 20
_TIMEOUT_S = 120
_HEAD_SIZE_BYTES = 4096
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[^\r\n]*\r\n")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it goes out: its head and, for a POST, its body in pieces."""

    head: bytes
    body: Sequence[bytes | memoryview] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """How a load went: one entry in ``latencies_s`` for each answer."""

    elapsed_s: float
    latencies_s: list[float]
    received_bytes: int
    client_cpu_s: float


def get(path: str, host: str, accept: str, accept_encoding: str) -> Request:
    """Prepare a GET."""
    fields = f"Host: {host}\r\nAccept: {accept}\r\nAccept-Encoding: {accept_encoding}\r\n"
    return Request(f"GET {path} HTTP/1.1\r\n{fields}\r\n".encode())


def post(path: str, host: str, content_type: str, body: Sequence[bytes | memoryview]) -> Request:
    """Prepare a POST of a body whose length is told."""
    size_bytes = sum(len(piece) for piece in body)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/dicom+json\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {size_bytes}\r\n\r\n"
    )
    return Request(head.encode(), body)


def load(port: int, requests: Sequence[Request], connections: int, at_least_s: float) -> Load:
    """Send requests over several connections, each one after the other, until the time is over.

    With ``at_least_s`` 0 every request is sent once; otherwise they are gone through again and again, and
    what has begun is finished. An answer that is not 200 ends the measurement.
    """
    barrier = Barrier(connections + 1)
    workers = [
        _Worker(port, requests[number::connections] or requests, at_least_s, barrier)
        for number in range(connections)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    begin_s, cpu_s = monotonic(), process_time()
    for worker in workers:
        worker.join()
    elapsed_s, cpu_s = monotonic() - begin_s, process_time() - cpu_s
    for worker in workers:
        if worker.error is not None:
            raise worker.error
    latencies_s = [one for worker in workers for one in worker.latencies_s]
    return Load(elapsed_s, latencies_s, sum(worker.received_bytes for worker in workers), cpu_s)


class _Worker(Thread):
    """One connection's requests."""

    def __init__(self, port: int, requests: Sequence[Request], at_least_s: float, barrier: Barrier) -> None:
        super().__init__(daemon=True)
        self._connection = Connection(port)
        self._requests = requests
        self._at_least_s = at_least_s
        self._barrier = barrier
        self.latencies_s: list[float] = []
        self.received_bytes = 0
        self.error: Exception | None = None

    def run(self) -> None:
        self._barrier.wait()
        deadline_s = monotonic() + self._at_least_s
        try:
            for request in cycle(self._requests) if self._at_least_s else self._requests:
                begin_s = monotonic()
                self.received_bytes += self._connection.exchange(request)
                end_s = monotonic()
                self.latencies_s.append(end_s - begin_s)
                if self._at_least_s and end_s >= deadline_s:
                    break
        except (OSError, RuntimeError) as error:
            self.error = error
        finally:
            self._connection.close()


@dataclass(slots=True)
class Connection:
    """A connection to 127.0.0.1 that is opened when it is needed, and again where the server closes it."""

    port: int
    _socket: socket.socket | None = None
    _buffer: bytearray = field(default_factory=lambda: bytearray(_BUFFER_SIZE_BYTES))

    def exchange(self, request: Request) -> int:
        """Send a request and receive its answer; return the number of bytes of the answer's content."""
        connected = self._open()
        connected.sendall(request.head)
        for piece in request.body:
            connected.sendall(piece)
        received = connected.recv_into(self._buffer, _HEAD_SIZE_BYTES)
        while (end := self._buffer.find(b"\r\n\r\n", 0, received)) < 0:
            more = connected.recv_into(memoryview(self._buffer)[received:])
            if not more:
                raise RuntimeError("the server closed the connection before it answered")
            received += more
        head = bytes(self._buffer[:end]).lower()
        if b" 200 " not in head[:16]:
            raise RuntimeError(f"not 200: {bytes(self._buffer[:received][:500])!r}")
        size_bytes = self._receive_content(connected, head, end + 4, received)
        if b"\r\nconnection: close" in head:
            self.close()
        return size_bytes

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), _TIMEOUT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(None)  # the kernel's own costs nothing: Python's is a call before each
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _TIMEOUT_S, 0))
        return self._socket

    def _receive_content(self, connected: socket.socket, head: bytes, begin: int, received: int) -> int:
        length = re.search(rb"\r\ncontent-length: *(\d+)", head)
        if length is not None:
            self._skip(connected, int(length[1]) - (received - begin))
            return int(length[1])
        if b"\r\ntransfer-encoding: chunked" in head:
            return self._receive_chunks(connected, bytes(self._buffer[begin:received]))
        size_bytes = received - begin
        while more := connected.recv_into(self._buffer):  # until the server closes, as HTTP/1.0 had it
            size_bytes += more
        self.close()
        return size_bytes

    def _receive_chunks(self, connected: socket.socket, waiting: bytes) -> int:
        """Receive chunks (RFC 9112 7.1); of ``waiting`` they begin."""
        size_bytes = 0
        while True:
            while (head := _CHUNK_SIZE.match(waiting)) is None:
                waiting += self._receive(connected)
            chunk = int(head[1], 16)
            size_bytes += chunk
            missing = chunk + 2 - (len(waiting) - head.end())
            if missing > 0:
                self._skip(connected, missing)
                waiting = b""
            else:
                waiting = waiting[head.end() + chunk + 2 :]
            if chunk == 0:
                return size_bytes

    def _receive(self, connected: socket.socket) -> bytes:
        received = connected.recv(65536)
        if not received:
            raise RuntimeError("the server closed the connection within its answer")
        return received

    def _skip(self, connected: socket.socket, size_bytes: int) -> None:
        """Throw bytes away in the kernel: tests look at them, and a client elsewhere costs nothing here."""
        while size_bytes > 0:
            most = min(size_bytes, len(self._buffer))
            received = connected.recv_into(self._buffer, most, socket.MSG_TRUNC | socket.MSG_WAITALL)
            if not received:
                raise RuntimeError("the server closed the connection within its answer")
            size_bytes -= received
