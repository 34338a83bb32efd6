"""The reader of PDUs on hostile bytes: it ends, it allocates little, it aborts for the right reason."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dimse.endings import (
    AbortReason,
    AssociationAborted,
    AssociationEnded,
    ConnectionLost,
    PeerAborted,
    RejectedByPeer,
)
from pacs.dimse.limits import Limits
from pacs.dimse.upper_layer import Pdv, UpperLayer
from tests.unit.pacs.dimse import wire

LIMITS = Limits()
MAX_PDU_LENGTH = LIMITS.max_pdu_length


class Wire:
    """What the kernel does with a peer that says ``data``, in pieces of ``piece`` bytes, and hangs up."""

    def __init__(self, data: bytes, piece: int = 65536) -> None:
        self._data, self._piece = memoryview(data), piece
        self.sent = b""

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None: ...

    def settimeout(self, timeout_s: None) -> None: ...

    def recv(self, size: int, flags: int) -> bytes:
        """Peek without waiting: the end of what is said is there to be seen as well."""
        return bytes(self._data[:size])

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 104

    def recv_into(self, buffer: memoryview) -> int:
        assert len(buffer) > 0
        piece = self._data[: min(len(buffer), self._piece)]
        self._data = self._data[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def shutdown(self, how: int) -> None: ...

    def close(self) -> None: ...


def upper_layer(data: bytes, piece: int = 65536, limits: Limits = LIMITS) -> UpperLayer:
    return UpperLayer(Wire(data, piece), limits)  # type: ignore[arg-type]


def associated(data: bytes, piece: int = 65536, limits: Limits = LIMITS) -> UpperLayer:
    layer = upper_layer(data, piece, limits)
    layer.accept(b"")
    return layer


def receive_all(layer: UpperLayer) -> list[tuple[int, bool, bool, bytes]]:
    """Every fragment until the release, copied before the buffer is used again."""
    received = []
    while (pdv := layer.receive_pdv(begins_message=True)) is not None:
        received.append((pdv.context_id, pdv.is_command, pdv.is_last, bytes(pdv.data)))
    return received


def test_a_request_is_received() -> None:
    request = upper_layer(wire.associate_request(), piece=7).receive_associate_request()
    assert request.calling_ae_title == "CT01"


@given(
    pieces=st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=30),
    piece=st.integers(1, 2000),
)
@settings(max_examples=60, deadline=None)
def test_fragments_arrive_whole_however_the_network_cuts_them(pieces: list[list[bytes]], piece: int) -> None:
    data = b"".join(wire.p_data(*(wire.pdv(3, fragment) for fragment in pdu)) for pdu in pieces)
    received = receive_all(associated(data + wire.RELEASE_RQ, piece))
    assert received == [(3, False, True, fragment) for pdu in pieces for fragment in pdu]


def test_the_longest_pdu_that_was_announced_is_received_again_and_again() -> None:
    fragments = [bytes([i]) * (MAX_PDU_LENGTH - 6) for i in range(5)]
    data = b"".join(wire.p_data(wire.pdv(3, fragment, is_last=False)) for fragment in fragments)
    received = receive_all(associated(data + wire.RELEASE_RQ, piece=50_000))
    assert b"".join(fragment for *_, fragment in received) == b"".join(fragments)


def test_a_fragment_longer_than_any_buffer_comes_in_pieces_of_which_one_is_the_last() -> None:
    data = wire.p_data(wire.pdv(3, bytes(10_000_000)))
    layer = associated(data, limits=Limits(max_pdu_length=2**24))
    tracemalloc.start()
    sizes, ended = [], False
    while not ended:
        pdv = layer.receive_pdv()
        assert pdv is not None
        sizes.append(len(pdv.data))
        ended = pdv.is_last
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) == 10_000_000
    assert max(sizes) < peak < 200_000


LENGTHS = [0, 1, 3, 5, 6, 0x20000, 0x20011, 0x7FFFFFFF, 0xFFFFFFFF]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", [0, 1, 2, 4, 5, 7, 0x47, 0xFF])
@pytest.mark.parametrize("state", [upper_layer, associated], ids=["Sta2", "Sta6"])
def test_a_length_is_judged_before_anything_is_allocated(state: type, kind: int, length: int) -> None:
    """A1: a PDU of 4 GiB costs nothing."""
    layer = state(struct.pack(">BxI", kind, length) + bytes(100))
    tracemalloc.start()
    with pytest.raises(AssociationEnded):
        layer.receive_associate_request() if state is upper_layer else layer.receive_pdv()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


def reason_of_abort(data: bytes) -> AbortReason:
    with pytest.raises(AssociationAborted) as abort:
        receive_all(associated(data))
    return abort.value.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wire.associate_request(), AbortReason.UNEXPECTED_PDU),
        (wire.pdu(2, bytes(68)), AbortReason.UNEXPECTED_PDU),
        (wire.pdu(3, bytes(4)), AbortReason.UNEXPECTED_PDU),
        (wire.RELEASE_RP, AbortReason.UNEXPECTED_PDU),
        (wire.pdu(8, bytes(4)), AbortReason.UNRECOGNIZED_PDU),
        (b"GET / HTTP/1.1\r\n\r\n", AbortReason.UNRECOGNIZED_PDU),
        (wire.pdu(4, b""), AbortReason.INVALID_PARAMETER),
        (wire.pdu(4, bytes(MAX_PDU_LENGTH + 17)), AbortReason.INVALID_PARAMETER),
        (wire.pdu(5, bytes(5)), AbortReason.INVALID_PARAMETER),
        (wire.p_data(struct.pack(">IBB", 0, 3, 0)), AbortReason.INVALID_PARAMETER),
        (wire.p_data(struct.pack(">IBB", 1, 3, 0)), AbortReason.INVALID_PARAMETER),
        (wire.p_data(struct.pack(">IBB", 3, 3, 0)), AbortReason.INVALID_PARAMETER),
        (wire.p_data(struct.pack(">IBB", 0xFFFFFFFF, 3, 0)), AbortReason.INVALID_PARAMETER),
        (wire.p_data(wire.pdv(3, b"ab"), b"\0\0\0"), AbortReason.INVALID_PARAMETER),
    ],
)
def test_a_wrong_pdu_is_answered_with_the_reason(data: bytes, reason: AbortReason) -> None:
    assert reason_of_abort(data) == reason


def test_a_release_in_the_middle_of_a_message_is_unexpected() -> None:
    layer = associated(wire.p_data(wire.pdv(3, b"ab", is_last=False)) + wire.RELEASE_RQ)
    layer.receive_pdv(begins_message=True)
    with pytest.raises(AssociationAborted) as abort:
        layer.receive_pdv()
    assert abort.value.reason == AbortReason.UNEXPECTED_PDU


def test_before_the_association_it_is_the_user_who_aborts() -> None:
    """PS3.8 Table 9-10: AA-1 in Sta2, AA-8 in Sta6."""
    early, late = Wire(b""), Wire(b"")
    cause = AssociationAborted("x", AbortReason.UNRECOGNIZED_PDU)
    UpperLayer(early, Limits()).abort(cause)  # type: ignore[arg-type]
    layer = UpperLayer(late, LIMITS)  # type: ignore[arg-type]
    layer.accept(b"")
    layer.abort(cause)
    assert early.sent == wire.ABORT_BY_USER
    assert late.sent == wire.abort_by_provider(1)


def test_an_abort_of_the_peer_is_known_in_both_states() -> None:
    with pytest.raises(PeerAborted):
        upper_layer(wire.ABORT_BY_USER).receive_associate_request()
    with pytest.raises(PeerAborted):
        associated(wire.ABORT_BY_USER).receive_pdv()


def test_a_connection_that_ends_inside_a_pdu_is_lost() -> None:
    with pytest.raises(ConnectionLost):
        associated(wire.echo_request()[:20]).receive_pdv()


# --- the release, asked for by us --------------------------------------------------------------------------


def test_what_comes_before_the_release_is_confirmed_is_thrown_away() -> None:
    """PS3.8 9.2.3, AR-6: the peer may still have been sending."""
    layer = associated(wire.store_request(bytes(300_000)) + wire.RELEASE_RP, piece=40_000)
    layer.release()


def test_when_both_sides_ask_for_the_release_the_requestor_answers_first() -> None:
    """PS3.8 9.2.3: AR-8 and AR-9, then AR-3."""
    peer = Wire(wire.RELEASE_RQ + wire.RELEASE_RP)
    layer = UpperLayer(peer, LIMITS)  # type: ignore[arg-type]
    layer.accept(b"")
    layer.release()
    assert peer.sent == wire.RELEASE_RQ + wire.RELEASE_RP


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wire.RELEASE_RQ + wire.RELEASE_RQ, AbortReason.UNEXPECTED_PDU),
        (wire.RELEASE_RQ + wire.echo_request(), AbortReason.UNEXPECTED_PDU),
        (wire.associate_request(), AbortReason.UNEXPECTED_PDU),
        (wire.pdu(9, b""), AbortReason.UNRECOGNIZED_PDU),
        (wire.pdu(4, bytes(5)), AbortReason.INVALID_PARAMETER),
    ],
    ids=["release twice", "data after a release", "request", "unknown", "short data"],
)
def test_something_else_than_a_release_is_aborted(data: bytes, reason: AbortReason) -> None:
    with pytest.raises(AssociationAborted) as abort:
        associated(data).release()
    assert abort.value.reason == reason


def test_a_release_that_the_peer_aborts_or_cuts_off_is_no_release() -> None:
    with pytest.raises(PeerAborted):
        associated(wire.ABORT_BY_USER).release()
    with pytest.raises(ConnectionLost):
        associated(b"").release()


# --- the association, asked for by us ----------------------------------------------------------------------


@pytest.mark.parametrize("data", [wire.echo_request(), wire.RELEASE_RQ, wire.associate_request()])
def test_a_request_is_answered_by_nothing_else_than_acceptance_or_rejection(data: bytes) -> None:
    """PS3.8 Table 9-10, Sta5: AA-8."""
    with pytest.raises(AssociationAborted) as abort:
        upper_layer(data).request_association(wire.associate_request())
    assert abort.value.reason == AbortReason.UNEXPECTED_PDU


def test_a_rejection_is_told() -> None:
    with pytest.raises(RejectedByPeer, match="local limit exceeded"):
        upper_layer(wire.pdu(3, b"\0\2\3\2")).request_association(wire.associate_request())


VALID = wire.echo_request() + wire.store_request(bytes(25_000)) + wire.RELEASE_RQ


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_pdus_end_in_a_fragment_or_an_ending_and_never_in_a_loop(data: st.DataObject) -> None:
    damaged = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 5))):
        position = data.draw(st.one_of(st.integers(0, 200), st.integers(0, len(damaged) - 1)))
        damaged[position] = data.draw(st.integers(0, 255))
    layer = associated(bytes(damaged), piece=data.draw(st.integers(100, 30_000)))
    fragments: list[Pdv] = []
    try:
        while (pdv := layer.receive_pdv(begins_message=True)) is not None:
            fragments.append(pdv)
    except AssociationEnded:
        pass
    assert len(fragments) <= len(damaged) // 6  # each takes its header from the wire
