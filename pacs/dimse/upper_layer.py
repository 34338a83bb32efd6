"""The upper layer of an association over one socket (PS3.8 9.2), with a limit on everything.

Nothing is allocated on the word of a peer: a PDU's length is judged before its body is received, the buffer
has one of two sizes, every PDU has a deadline and every message a least rate. A thread blocks here for each
association; pynetdicom's reactor polls instead, which costs 1.5 ms of CPU for each object received and 0.7 %
of a core for each idle association.

A state of PS3.8 Table 9-10 is known here by the PDUs that may come in it.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

from pacs.dimse import pdu
from pacs.dimse.endings import (
    AbortReason,
    AbortSource,
    AssociationAborted,
    HandshakeFailed,
    PeerAborted,
    RejectCause,
    RejectedByPeer,
    invalid_parameter,
)
from pacs.dimse.limits import Limits
from pacs.dimse.pdu import AssociateAccept, AssociateRequest, PduType
from pacs.dimse.secure_transport import SecureTransport
from pacs.dimse.transport import Transport
from storage.store import Buffer

_LENGTH_TOLERANCE = 16  # some senders forget that the PDV headers count (PS3.8 D.1)
_SMALL_BUFFER = 16 * 1024
_LARGE_BUFFER = 128 * 1024 + pdu.HEADER.size  # holds the longest PDU that has to be whole
_WORTHWHILE_PIECE_BYTES = 32 * 1024  # what is less waits for more, where there is room
_MAX_ASSOCIATE_LENGTH = 128 * 1024
_ALLOWED_LENGTHS: dict[int, range] = {
    PduType.ASSOCIATE_RQ: range(_MAX_ASSOCIATE_LENGTH + 1),
    PduType.ASSOCIATE_AC: range(_MAX_ASSOCIATE_LENGTH + 1),
    PduType.ASSOCIATE_RJ: range(4, 5),
    PduType.RELEASE_RQ: range(4, 5),
    PduType.RELEASE_RP: range(4, 5),
    PduType.ABORT: range(4, 5),
}
_P_DATA_TF = int(PduType.P_DATA_TF)  # the plain number is compared in half the time
_STA2 = frozenset({PduType.ASSOCIATE_RQ, PduType.ABORT})
_STA5 = frozenset({PduType.ASSOCIATE_AC, PduType.ASSOCIATE_RJ, PduType.ABORT})
_STA6 = frozenset({PduType.P_DATA_TF, PduType.RELEASE_RQ, PduType.ABORT})
_STA7 = frozenset({PduType.P_DATA_TF, PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT})
_STA11 = frozenset({PduType.RELEASE_RP, PduType.ABORT})


class Pdv(NamedTuple):
    """A presentation data value, or a piece of it: a part of a command or data set (PS3.8 Annex E.2).

    A fragment is handed on in pieces, as if the peer had cut it so, when it does not fit into the buffer;
    ``is_last`` is true of the last piece only. ``data`` is a view of a buffer that the next call uses again.
    """

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


class UpperLayer:
    """One transport connection, of the acceptor or the requestor. One thread uses it, but for `interrupt`."""

    def __init__(self, connection: socket.socket, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        self._transport = (
            Transport(connection, limits) if tls is None else SecureTransport(connection, limits, tls)
        )
        self._limits = limits
        self._data_lengths = range(pdu.PDV_HEADER.size, limits.max_pdu_length + _LENGTH_TOLERANCE + 1)
        self._view = memoryview(bytearray(_SMALL_BUFFER))
        self._start = self._end = 0  # of the bytes received and not yet used
        self._pdu_left = 0  # bytes of a P-DATA-TF behind the current fragment
        self._fragment_left = 0  # bytes of the current fragment that are not handed out yet
        self._context_id = self._control = 0  # of the current fragment
        self._state = _STA2
        self._patience_s = 0.0  # for the PDU that is being received
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
        self._transport.establish()
        self._patience_s = self._limits.associate_timeout_s
        self._receive_header()
        return pdu.parse_associate_request(self._receive_body())

    def request_association(
        self, associate_request: bytes, certificate_sha256: str | None = None
    ) -> AssociateAccept:
        """Send an A-ASSOCIATE-RQ and receive the answer.

        Parameters
        ----------
        certificate_sha256
            What the peer has to show before it is told anything; None: any certificate that counts, or none.

        Raises
        ------
        RejectedByPeer
            The peer does not want to, or not now.
        AssociationAborted, ConnectionLost, PeerAborted
            No answer in time, or none that means anything.
        """
        self._transport.establish()
        if certificate_sha256 not in (None, self.peer_certificate_sha256):
            raise HandshakeFailed("the peer does not show the certificate that is known of it")
        self._state = _STA5
        self.send(associate_request)
        self._patience_s = self._limits.associate_timeout_s
        kind = self._receive_header()
        body = self._receive_body()
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
        if not self._fragment_left:
            if not self._pdu_left and not self._begin_data(between_messages=begins_message):
                return None
            self._begin_fragment()
        size = self._fragment_left
        if self._end - self._start < size:
            size = self._receive_piece(size)
        begin = self._start
        self._start = end = begin + size
        self._fragment_left -= size
        is_last = bool(self._control & 0b10) and not self._fragment_left
        return Pdv(self._context_id, bool(self._control & 0b01), is_last, self._view[begin:end])

    @property
    def peer_certificate_sha256(self) -> str | None:
        """The certificate that the peer has shown, in hexadecimal; None where there is no TLS."""
        return self._transport.peer_certificate_sha256

    def has_arrived(self) -> bool:
        """Tell, without waiting, whether anything of a next message, or of an ending, is here."""
        return bool(self._pdu_left) or self._start < self._end or self._transport.has_arrived()

    def _begin_data(self, *, between_messages: bool) -> bool:
        """Receive the header of a P-DATA-TF; False where the peer asks for the release."""
        if self._start == self._end:
            self._start = self._end = 0
            self._patience_s = self._limits.network_timeout_s
            self._receive()
        self._patience_s = self._limits.pdu_timeout_s
        if self._receive_header() == _P_DATA_TF:
            self.idle = False
            return True
        self._receive_body()
        if not between_messages:
            raise AssociationAborted("a release inside a message", AbortReason.UNEXPECTED_PDU)
        return False

    def _begin_fragment(self) -> None:
        if self._pdu_left < pdu.PDV_HEADER.size:
            raise invalid_parameter("a PDV is cut short")
        if self._end - self._start < pdu.PDV_HEADER.size:
            self._have(pdu.PDV_HEADER.size)
        length, self._context_id, self._control = pdu.PDV_HEADER.unpack_from(self._view, self._start)
        if not 2 <= length <= self._pdu_left - 4:
            raise invalid_parameter("the length of a PDV is not that of its content")
        self._start += pdu.PDV_HEADER.size
        self._pdu_left -= 4 + length
        self._fragment_left = length - 2

    def _receive_piece(self, wanted: int) -> int:
        """Receive more of a fragment, a piece that is worth its handling; return how much of it is here."""
        if self._start == self._end:
            self._start = self._end = 0
            if len(self._view) < _LARGE_BUFFER:
                self._view = memoryview(bytearray(_LARGE_BUFFER))
        elif self._start + wanted > len(self._view):
            return self._end - self._start
        enough = min(wanted, _WORTHWHILE_PIECE_BYTES)
        while self._end - self._start < enough:
            self._receive()
        return min(wanted, self._end - self._start)

    def _receive_header(self) -> int:
        """Receive the header of a PDU, and judge it before anything is allocated or received for it."""
        if self._end - self._start < pdu.HEADER.size:
            self._have(pdu.HEADER.size)
        kind: int
        kind, length = pdu.HEADER.unpack_from(self._view, self._start)
        if kind != _P_DATA_TF or kind not in self._state or length not in self._data_lengths:
            self._judge(kind, length)
        self._start += pdu.HEADER.size
        self._pdu_left = length
        if kind == PduType.ABORT:
            raise PeerAborted("aborted by the peer")
        return kind

    def _receive_body(self) -> memoryview:
        """Receive the rest of a PDU that is no P-DATA-TF."""
        self._have(self._pdu_left)
        begin = self._start
        self._start += self._pdu_left
        self._pdu_left = 0
        return self._view[begin : self._start]

    def _judge(self, kind: int, length: int) -> None:
        """Refuse a PDU by its header: no length, an absurd one and another protocol all end here."""
        if kind in self._state:
            if length not in (self._data_lengths if kind == _P_DATA_TF else _ALLOWED_LENGTHS[kind]):
                raise invalid_parameter(f"a PDU of type {kind:02X}H has a length of {length}")
        elif kind == _P_DATA_TF or kind in _ALLOWED_LENGTHS:
            raise AssociationAborted(f"a PDU of type {kind:02X}H now", AbortReason.UNEXPECTED_PDU)
        else:
            raise AssociationAborted(f"there is no PDU of type {kind:02X}H", AbortReason.UNRECOGNIZED_PDU)

    def _have(self, size: int) -> None:
        """Have at least ``size`` unused bytes in the buffer, one after the other."""
        if self._start + size > len(self._view):
            self._make_room(size)
        while self._end - self._start < size:
            self._receive()

    def _make_room(self, size: int) -> None:
        """Move what is unused to the front, of a larger buffer if it must be.

        The old buffer is never resized: somebody may still hold a view of it.
        """
        kept = self._end - self._start
        target = self._view if size <= len(self._view) else memoryview(bytearray(_LARGE_BUFFER))
        target[:kept] = self._view[self._start : self._end]
        self._view, self._start, self._end = target, 0, kept

    def _receive(self) -> None:
        """Receive whatever comes next, as long as there is patience left for it."""
        if self._patience_s <= 0:
            raise AssociationAborted("a PDU took too long")
        begin = monotonic()
        count = self._transport.receive(self._view[self._end :], self._patience_s)
        waited_s = monotonic() - begin  # on the peer, not on our disk
        self._patience_s -= waited_s
        self._end += count
        self.received_bytes += count
        if not self.idle:
            self._judge_rate(count, waited_s)

    def _judge_rate(self, count: int, waited_s: float) -> None:
        """End a message that trickles in, though each of its PDUs is here in time."""
        self._message_bytes += count
        self._message_waited_s += waited_s
        if (
            self._message_waited_s > self._limits.rate_grace_s
            and self._message_bytes < self._message_waited_s * self._limits.min_rate_bytes_per_s
        ):
            raise AssociationAborted("a message comes too slowly")

    def send(self, data: bytes) -> None:
        """Send whole PDUs in one write; see `Transport.send`.

        Raises
        ------
        ConnectionLost
            The peer is gone, or does not read.
        """
        self._transport.send(data)

    def send_parts(self, parts: Sequence[Buffer]) -> None:
        """Send whole PDUs that lie in several places. Raises what `send` raises."""
        self._transport.send_parts(parts)

    def interrupt(self) -> None:
        """Have the thread that waits here abort the association. Called from any thread."""
        self._transport.interrupt()

    def break_off(self) -> None:
        """Have the thread that waits here, to receive or to send, lose the connection. From any thread."""
        self._transport.break_off()

    def reject(self, cause: RejectCause) -> None:
        """Say no to the A-ASSOCIATE-RQ."""
        self._transport.send_last(pdu.encode_associate_reject(cause))
        self._transport.finish()

    def abort(self, cause: AssociationAborted) -> None:
        """Abort; before anything was asked for it is the service user who does (PS3.8 9.2.3, AA-1)."""
        before = (AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
        self._transport.send_last(
            pdu.encode_abort(*(before if self._state is _STA2 else (cause.source, cause.reason)))
        )
        self._transport.finish()

    def release(self) -> None:
        """Ask, as the requestor of the association, for its release and wait until it is confirmed.

        What the peer still sends is thrown away. If it asks for the release at the same moment, that is
        answered first (PS3.8 9.2.3, AR-8 and AR-9).

        Raises
        ------
        AssociationAborted, ConnectionLost, PeerAborted
            It was not.
        """
        self._state = _STA7
        self.send(pdu.encode_release_request())
        self._patience_s = self._limits.associate_timeout_s
        self._discard(self._fragment_left + self._pdu_left)
        self._fragment_left = 0
        while (kind := self._receive_header()) != PduType.RELEASE_RP:
            self._discard(self._pdu_left)
            if kind == PduType.RELEASE_RQ:
                self._state = _STA11
                self.send(pdu.encode_release_reply())
        self._discard(self._pdu_left)

    def _discard(self, size: int) -> None:
        """Receive the rest of a PDU, in pieces as the buffer takes them, and forget it."""
        self._pdu_left = 0
        while size:
            here = min(size, len(self._view) - pdu.HEADER.size)
            self._have(here)
            self._start += here
            size -= here

    def confirm_release(self) -> None:
        """Answer the A-RELEASE-RQ; the peer closes (PS3.8 9.2.3, AR-4)."""
        self._transport.send_last(pdu.encode_release_reply())

    def close(self) -> None:
        """Close; after a last word of ours, once the peer has closed or a short while has passed."""
        self._transport.close(self._view)
