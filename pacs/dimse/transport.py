"""The socket under an association: blocking, bounded in time, and with as few system calls as can be.

Python's own timeouts cost two further system calls for each receive. The kernel's (SO_RCVTIMEO) cost none,
once they are set; that they stand for one call and not for a deadline is made up for here.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from time import monotonic

from pacs.dimse.endings import AbortSource, AssociationAborted, ConnectionLost
from pacs.dimse.limits import Limits
from storage.store import Buffer

_MAX_DISCARDED = 1024 * 1024
_LEAST_TIMEOUT_S = 0.001  # zero would mean for ever
_TIMEVAL = struct.Struct("ll")
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux


class Transport:
    """A connected socket. One thread uses it, but for `interrupt`."""

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self._connection = connection
        self._send_timeout_s = limits.network_timeout_s
        self._close_timeout_s = limits.close_timeout_s
        self._kernel_timeout_s = float("inf")  # of a receive
        self._acknowledges_late = True
        self._interrupted = False
        self._lingers = False
        self.peer_certificate_sha256: str | None = None  # in hexadecimal, where one was shown
        connection.settimeout(None)
        self._set_kernel_timeout(socket.SO_SNDTIMEO, self._send_timeout_s)

    def establish(self) -> None:
        """Make the connection ready for the first byte. A plain one is."""

    def receive(self, buffer: memoryview, patience_s: float) -> int:
        """Receive whatever comes next, at least one byte; return how many.

        Raises
        ------
        AssociationAborted
            Nothing came for ``patience_s`` seconds, or `interrupt` was called.
        ConnectionLost
            The peer is gone.
        """
        if self._acknowledges_late:
            self._acknowledge_at_once()
        if self._kernel_timeout_s > patience_s:
            self._set_receive_timeout(patience_s / 2)  # half: not again for each receive that follows
        count = self._receive_in_time(buffer)
        if count is None:
            count = self._receive_late(buffer, patience_s - self._kernel_timeout_s)
        if self._interrupted:
            raise AssociationAborted("ended from this side", source=AbortSource.SERVICE_USER)
        if count == 0:
            raise ConnectionLost("closed by the peer")
        return count

    def has_arrived(self) -> bool:
        """Tell, without waiting, whether `receive` would return at once, or say that the peer is gone."""
        try:
            self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _receive_in_time(self, buffer: memoryview) -> int | None:
        """Receive; None when the kernel's timeout is over."""
        try:
            return self._connection.recv_into(buffer)
        except BlockingIOError:
            return None
        except OSError as error:
            raise ConnectionLost(error.strerror) from None

    def _receive_late(self, buffer: memoryview, patience_s: float) -> int:
        """Go on waiting after the kernel gave up, which it does sooner than we do."""
        deadline = monotonic() + patience_s
        while (left_s := deadline - monotonic()) > 0:
            self._set_receive_timeout(left_s)
            count = self._receive_in_time(buffer)
            if count is not None:
                return count
        raise AssociationAborted("the peer is silent")

    def _acknowledge_at_once(self) -> None:
        """Have the kernel acknowledge what comes without delay.

        Senders that leave Nagle's algorithm on wait for it with the end of each object, and Linux lets them
        wait 40 ms once it has seen us answer (tcp(7), TCP_QUICKACK): so it is told again after each answer.
        """
        self._acknowledges_late = False
        if _QUICKACK is not None:
            with contextlib.suppress(OSError):
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _set_receive_timeout(self, timeout_s: float) -> None:
        self._kernel_timeout_s = timeout_s
        self._set_kernel_timeout(socket.SO_RCVTIMEO, timeout_s)

    def _set_kernel_timeout(self, option: int, timeout_s: float) -> None:
        microseconds = int(max(timeout_s, _LEAST_TIMEOUT_S) * 1e6)
        with contextlib.suppress(OSError):
            self._connection.setsockopt(
                socket.SOL_SOCKET, option, _TIMEVAL.pack(*divmod(microseconds, 1_000_000))
            )

    def send(self, data: bytes) -> None:
        """Send whole PDUs in one write; two small ones would wait for each other's acknowledgement.

        Raises
        ------
        ConnectionLost
            The peer is gone, or does not read.
        """
        self._acknowledges_late = True
        try:
            sent = self._connection.send(data)
            if sent < len(data):
                self._send_rest(memoryview(data)[sent:])
        except OSError as error:
            raise ConnectionLost(error.strerror or "the peer does not read") from None

    def send_parts(self, parts: Sequence[Buffer]) -> None:
        """Send whole PDUs that lie in several places, as if they were one. Raises what `send` raises."""
        self._acknowledges_late = True
        try:
            sent = self._connection.sendmsg(parts)
            if sent < sum(map(len, parts)):
                self._send_rest(memoryview(b"".join(parts))[sent:])
        except OSError as error:
            raise ConnectionLost(error.strerror or "the peer does not read") from None

    def _send_rest(self, rest: memoryview) -> None:
        deadline = monotonic() + self._send_timeout_s
        while rest:
            if monotonic() > deadline:
                raise ConnectionLost("the peer does not read")
            rest = rest[self._connection.send(rest) :]

    def send_last(self, data: bytes) -> None:
        """Send the last word of ours, if the peer is still there."""
        self._lingers = True
        with contextlib.suppress(ConnectionLost):
            self.send(data)

    def interrupt(self) -> None:
        """Have the thread that receives here give up. Called from any thread."""
        self._interrupted = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def break_off(self) -> None:
        """Have the thread that receives or sends here find the connection lost. Called from any thread."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)  # SSLSocket's would end the encryption

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def close(self, buffer: memoryview) -> None:
        """Close; after a last word of ours, once the peer has closed or a short while has passed."""
        if self._lingers:
            with contextlib.suppress(ConnectionLost):
                self._discard_rest(buffer)
        self._connection.close()

    def _discard_rest(self, buffer: memoryview) -> None:
        """Read a bounded rest and throw it away.

        Closing with unread bytes makes the kernel reset the connection, and the peer loses our last PDU.
        """
        deadline = monotonic() + self._close_timeout_s
        discarded = 0
        while discarded < _MAX_DISCARDED and (left_s := deadline - monotonic()) > 0:
            self._set_receive_timeout(left_s)
            count = self._receive_in_time(buffer)
            if not count:
                return
            discarded += count
