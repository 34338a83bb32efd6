"""The upper layer of an association over one socket (PS3.8 9.2), with a limit on everything.

Nothing is allocated on the word of a peer: a PDU's length is judged before its body is received, the buffer
has one of two sizes, every PDU has a deadline and every message a least rate. A thread blocks here for each
association; pynetdicom's reactor polls instead, which costs 1.5 ms of CPU for each object received and 0.7 %
of a core for each idle association.

A state of PS3.8 Table 9-10 is known here by the PDUs that may come in it.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from pacs.dimse import pdu
from pacs.dimse.endings import (
    AbortReason,
    AbortSource,
    AssociationAborted,
    ConnectionLost,
    PeerAborted,
    RejectCause,
    RejectedByPeer,
    invalid_parameter,
)
from pacs.dimse.pdu import AssociateAccept, AssociateRequest, PduType

MAX_PDU_LENGTH = 128 * 1024  # announced for P-DATA-TF
_LENGTH_TOLERANCE = 16  # some senders forget that the PDV headers count (PS3.8 D.1)
_SMALL_BUFFER = 16 * 1024
_LARGE_BUFFER = MAX_PDU_LENGTH + 4096
_MAX_DISCARDED = 1024 * 1024
_MAX_ASSOCIATE_LENGTH = 128 * 1024
_ALLOWED_LENGTHS: dict[int, range] = {
    PduType.ASSOCIATE_RQ: range(_MAX_ASSOCIATE_LENGTH + 1),
    PduType.ASSOCIATE_AC: range(_MAX_ASSOCIATE_LENGTH + 1),
    PduType.ASSOCIATE_RJ: range(4, 5),
    PduType.P_DATA_TF: range(pdu.PDV_HEADER.size, MAX_PDU_LENGTH + _LENGTH_TOLERANCE + 1),
    PduType.RELEASE_RQ: range(4, 5),
    PduType.RELEASE_RP: range(4, 5),
    PduType.ABORT: range(4, 5),
}
_STA2 = frozenset({PduType.ASSOCIATE_RQ, PduType.ABORT})
_STA5 = frozenset({PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ, PduType.ABORT})
_STA6 = frozenset({PduType.P_DATA_TF, PduType.RELEASE_RQ, PduType.ABORT})
_STA7 = frozenset({PduType.RELEASE_RP, PduType.ABORT})
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a peer may take. The defaults suit a hospital; tests are less patient."""

    associate_timeout_s: float = 10.0  # ARTIM until the A-ASSOCIATE-RQ, or its answer, is complete
    network_timeout_s: float = 60.0  # silence between PDUs, or a peer that does not read
    pdu_timeout_s: float = 30.0  # from the first byte of a PDU to its last
    close_timeout_s: float = 2.0  # ARTIM after our last word
    rate_grace_s: float = 30.0  # spent waiting for one message, after which its rate is looked at
    min_rate_bytes_per_s: float = 1024.0


class Pdv(NamedTuple):
    """A presentation data value: one fragment of a command or data set (PS3.8 Annex E.2).

    ``data`` is a view of a buffer that the next call uses again.
    """

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


class UpperLayer:
    """One transport connection, of the acceptor or the requestor. One thread uses it, but for `interrupt`."""

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self._view = memoryview(bytearray(_SMALL_BUFFER))
        self._start = self._end = 0  # of the bytes received and not yet used
        self._pdu_end = 0  # of the P-DATA-TF whose fragments are handed out
        self._state = _STA2
        self._interrupted = False
        self._lingers = False
        self._message_waited_s = 0.0
        self._message_bytes = 0
        self.idle = True  # nothing of a PDU or message has come yet
        self.received_bytes = 0

    def receive_associate_request(self) -> AssociateRequest:
        """Receive the A-ASSOCIATE-RQ with which every association begins.

        Raises
        ------
        AssociationAborted, ConnectionLost, PeerAborted
            Something else came, or nothing in time.
        """
        deadline = monotonic() + self._limits.associate_timeout_s
        _, body = self._receive_pdu(deadline)
        return pdu.parse_associate_request(body)

    def request_association(self, associate_request: bytes) -> AssociateAccept:
        """Send an A-ASSOCIATE-RQ and receive the answer.

        Raises
        ------
        RejectedByPeer
            The peer does not want to, or not now.
        AssociationAborted, ConnectionLost, PeerAborted
            No answer in time, or none that means anything.
        """
        self._state = _STA5
        self.send(associate_request)
        kind, body = self._receive_pdu(monotonic() + self._limits.associate_timeout_s)
        if kind == PduType.ASSOCIATE_RJ:
            raise RejectedByPeer(pdu.explain_associate_reject(body))
        accept = pdu.parse_associate_accept(body)
        self._state = _STA6
        return accept

    def accept(self, associate_accept: bytes) -> None:
        """Send the A-ASSOCIATE-AC; from here on messages are expected."""
        self._state = _STA6
        self.send(associate_accept)

    def receive_pdv(self, *, begins_message: bool = False) -> Pdv | None:
        """Receive the next fragment; None when the peer asks for the release instead, between messages.

        Raises
        ------
        AssociationAborted, ConnectionLost, PeerAborted
            The association is over.
        """
        if begins_message:
            self._message_waited_s, self._message_bytes, self.idle = 0.0, 0, True
        if self._start == self._pdu_end:
            kind, _ = self._receive_pdu(monotonic() + self._limits.network_timeout_s)
            if kind == PduType.RELEASE_RQ and begins_message:
                return None
            if kind == PduType.RELEASE_RQ:
                raise AssociationAborted("a release inside a message", AbortReason.UNEXPECTED_PDU)
        self.idle = False
        return self._next_pdv()

    def _next_pdv(self) -> Pdv:
        if self._start + pdu.PDV_HEADER.size > self._pdu_end:
            raise invalid_parameter("a PDV is cut short")
        length, context_id, control = pdu.PDV_HEADER.unpack_from(self._view, self._start)
        begin, end = self._start + pdu.PDV_HEADER.size, self._start + 4 + length
        if not begin <= end <= self._pdu_end:
            raise invalid_parameter("the length of a PDV is not that of its content")
        self._start = end
        return Pdv(context_id, bool(control & 0b01), bool(control & 0b10), self._view[begin:end])

    def _receive_pdu(self, begins_by: float) -> tuple[PduType, memoryview]:
        """Receive one whole PDU; a P-DATA-TF stays in the buffer until its fragments are taken."""
        if self._start == self._end:
            self._start = self._end = 0
            self._receive(begins_by)
        complete_by = monotonic() + self._limits.pdu_timeout_s if self._state is _STA6 else begins_by
        self._have(pdu.HEADER.size, complete_by)
        kind, length = pdu.HEADER.unpack_from(self._view, self._start)
        self._judge(kind, length)
        self._have(pdu.HEADER.size + length, complete_by)
        self._start += pdu.HEADER.size
        self._pdu_end = self._start + length
        if kind == PduType.ABORT:
            raise PeerAborted("aborted by the peer")
        body = self._view[self._start : self._pdu_end]
        if kind != PduType.P_DATA_TF:
            self._start = self._pdu_end
        return PduType(kind), body

    def _judge(self, kind: int, length: int) -> None:
        """Refuse a PDU by its header, before anything is allocated or received for it.

        A length of zero, text of another protocol and an absurd length all end here.
        """
        if kind not in _ALLOWED_LENGTHS:
            raise AssociationAborted(f"there is no PDU of type {kind:02X}H", AbortReason.UNRECOGNIZED_PDU)
        if kind not in self._state:
            raise AssociationAborted(f"a PDU of type {kind:02X}H now", AbortReason.UNEXPECTED_PDU)
        if length not in _ALLOWED_LENGTHS[kind]:
            raise invalid_parameter(f"a PDU of type {kind:02X}H has a length of {length}")

    def _have(self, size: int, deadline: float) -> None:
        """Have at least ``size`` unused bytes in the buffer, one after the other."""
        if self._start + size > len(self._view):
            self._make_room(size)
        while self._end - self._start < size:
            self._receive(deadline)

    def _make_room(self, size: int) -> None:
        """Move what is unused to the front, of a larger buffer if it must be.

        The old buffer is never resized: somebody may still hold a view of it.
        """
        kept = self._end - self._start
        target = self._view if size <= len(self._view) else memoryview(bytearray(_LARGE_BUFFER))
        target[:kept] = self._view[self._start : self._end]
        self._view, self._start, self._end = target, 0, kept

    def _receive(self, deadline: float) -> None:
        """Receive whatever comes next, at least one byte.

        Linux acknowledges after 40 ms when nothing is sent in return, and senders that leave Nagle's
        algorithm on wait for it with the end of each object. The option lasts until the next receive.
        """
        begin = monotonic()
        if begin >= deadline:
            raise AssociationAborted("a PDU took too long")
        try:
            if _QUICKACK is not None:
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            self._connection.settimeout(deadline - begin)
            count = self._connection.recv_into(self._view[self._end :])
        except TimeoutError:
            raise AssociationAborted("the peer is silent") from None
        except OSError as error:
            raise ConnectionLost(error.strerror) from None
        self._raise_if_interrupted()
        if count == 0:
            raise ConnectionLost("closed by the peer")
        self._end += count
        self.received_bytes += count
        if not self.idle:
            self._judge_rate(count, monotonic() - begin)

    def _judge_rate(self, count: int, waited_s: float) -> None:
        """End a message that trickles in, though each of its PDUs is here in time."""
        self._message_bytes += count
        self._message_waited_s += waited_s  # on the peer, not on our disk
        if (
            self._message_waited_s > self._limits.rate_grace_s
            and self._message_bytes < self._message_waited_s * self._limits.min_rate_bytes_per_s
        ):
            raise AssociationAborted("a message comes too slowly")

    def _raise_if_interrupted(self) -> None:
        if self._interrupted:
            raise AssociationAborted("ended from this side", source=AbortSource.SERVICE_USER)

    def send(self, data: bytes) -> None:
        """Send whole PDUs in one write; two small ones would wait for each other's acknowledgement.

        Raises
        ------
        ConnectionLost
            The peer is gone, or does not read.
        """
        try:
            self._connection.settimeout(self._limits.network_timeout_s)
            self._connection.sendall(data)
        except OSError as error:
            raise ConnectionLost(error.strerror or "the peer does not read") from None

    def interrupt(self) -> None:
        """Have the thread that waits here abort the association. Called from any thread."""
        self._interrupted = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RD)

    def reject(self, cause: RejectCause) -> None:
        """Say no to the A-ASSOCIATE-RQ."""
        self._send_last(pdu.encode_associate_reject(cause))

    def abort(self, cause: AssociationAborted) -> None:
        """Abort; before anything was asked for it is the service user who does (PS3.8 9.2.3, AA-1)."""
        before = (AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
        self._send_last(pdu.encode_abort(*(before if self._state is _STA2 else (cause.source, cause.reason))))

    def _send_last(self, data: bytes) -> None:
        self._lingers = True
        with contextlib.suppress(ConnectionLost, OSError):
            self.send(data)
            self._connection.shutdown(socket.SHUT_WR)

    def release(self) -> None:
        """Ask for the release and wait until it is confirmed.

        Raises
        ------
        AssociationAborted, ConnectionLost, PeerAborted
            It was not.
        """
        self._state = _STA7
        self.send(pdu.encode_release_request())
        self._receive_pdu(monotonic() + self._limits.associate_timeout_s)

    def confirm_release(self) -> None:
        """Answer the A-RELEASE-RQ; the peer closes (PS3.8 9.2.3, AR-4)."""
        self._lingers = True
        with contextlib.suppress(ConnectionLost):
            self.send(pdu.encode_release_reply())

    def close(self) -> None:
        """Close; after a last word of ours, once the peer has closed or a short while has passed."""
        if self._lingers:
            with contextlib.suppress(OSError):
                self._discard_rest()
        self._connection.close()

    def _discard_rest(self) -> None:
        """Read a bounded rest and throw it away.

        Closing with unread bytes makes the kernel reset the connection, and the peer loses our last PDU.
        """
        deadline = monotonic() + self._limits.close_timeout_s
        discarded = 0
        while discarded < _MAX_DISCARDED and (remaining_s := deadline - monotonic()) > 0:
            self._connection.settimeout(remaining_s)
            count = self._connection.recv_into(self._view)
            if count == 0:
                return
            discarded += count
