"""Operations that answer more than once, over real sockets: what comes meanwhile, and what happens then."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pacs.dimse.application_entity import Operation
from pacs.dimse.association import Association
from pacs.dimse.message import Message
from pacs.dimse.statuses import CANCEL, PENDING, SUCCESS
from pacs.errors import InvalidRequest
from tests.integration.dimse_peers import Peer, Shelf, association_threads, eventually, serving
from tests.unit.pacs.dimse import wire

C_FIND_RQ, C_CANCEL_RQ = 0x0020, 0x0FFF
MAX_IDENTIFIER_BYTES = 1000
PROPOSALS = (
    wire.proposal(1, wire.VERIFICATION, wire.IMPLICIT),
    wire.proposal(3, wire.STUDY_ROOT_FIND, wire.IMPLICIT),
)


@dataclass
class Counting:
    """Answers a request by as many pending responses as it is told to, unless it is taken back."""

    answers: int = 10**9
    pause_s: float = 0.02
    answered: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def perform(self, association: Association, message: Message) -> None:
        try:
            if message.dataset.read(MAX_IDENTIFIER_BYTES) is None:
                raise InvalidRequest("too long")
            while self.answered < self.answers and not association.is_cancelled(message):
                association.respond_pending(message, PENDING, [b"%08d" % self.answered])
                self.answered += 1
                time.sleep(self.pause_s)
            association.respond(message, SUCCESS if self.answered == self.answers else CANCEL)
        finally:
            self.over.set()

    def operation(self) -> Operation:
        return Operation("C-FIND", C_FIND_RQ, (wire.IMPLICIT,), wire.STUDY_ROOT_FIND.__eq__, self.perform)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def peer(counting: Counting) -> Iterator[Peer]:
    with serving(Shelf(), operations=(counting.operation(),)) as listener:
        yield Peer(listener.port).associate(proposals=PROPOSALS)


def request(identifier: bytes = b"identifier", message_id: int = 7) -> bytes:
    command = wire.command(C_FIND_RQ, sop_class=wire.STUDY_ROOT_FIND, message_id=message_id, dataset=True)
    return wire.p_data(wire.pdv(3, command, is_command=True)) + wire.p_data(wire.pdv(3, identifier))


def cancel(message_id: int = 7) -> bytes:
    elements = (
        wire.number(0x0100, C_CANCEL_RQ) + wire.number(0x0120, message_id) + wire.number(0x0800, 0x0101)
    )
    command = wire.element(0x0000, struct.pack("<I", len(elements))) + elements
    return wire.p_data(wire.pdv(3, command, is_command=True))


def read_answers(peer: Peer) -> tuple[list[bytes], int]:
    """The identifiers of the pending responses, and the status of the last one."""
    identifiers = []
    while (status := peer.status()) == 0xFF00:
        identifiers.append(peer.read_pdu()[12:])
    return identifiers, status


def test_every_answer_comes_in_order_with_its_identifier_and_then_the_status(
    peer: Peer, counting: Counting
) -> None:
    counting.answers, counting.pause_s = 3000, 0.0
    peer.send(request())
    identifiers, status = read_answers(peer)
    assert identifiers == [b"%08d" % number for number in range(3000)]
    assert status == 0x0000
    peer.send(wire.echo_request())
    assert peer.status() == 0x0000
    peer.release()


def test_c3_a_cancel_is_honoured_within_a_second_and_the_association_goes_on(
    peer: Peer, counting: Counting
) -> None:
    peer.send(request())
    assert peer.status() == 0xFF00
    peer.read_pdu()
    begin = time.monotonic()
    peer.send(cancel())
    _, status = read_answers(peer)
    assert status == 0xFE00
    assert time.monotonic() - begin < 1
    peer.send(wire.echo_request())
    assert peer.status() == 0x0000
    counting.answers = counting.answered + 3
    peer.send(request())
    identifiers, status = read_answers(peer)
    assert (len(identifiers), status) == (3, 0x0000)  # what was taken back is not taken back for ever
    peer.release()


def test_a_cancel_of_another_message_and_one_that_comes_in_pieces(peer: Peer) -> None:
    peer.send(request())
    peer.send(cancel(message_id=6))
    for _ in range(10):
        assert peer.status() == 0xFF00
        peer.read_pdu()
    data = cancel()
    for start in range(0, len(data), 9):
        peer.send(data[start : start + 9])
        time.sleep(0.005)
    assert read_answers(peer)[1] == 0xFE00
    peer.release()


def test_a_cancel_in_the_pdu_of_the_request_is_seen(peer: Peer) -> None:
    command = wire.command(C_FIND_RQ, sop_class=wire.STUDY_ROOT_FIND, dataset=True)
    pdvs = wire.pdv(3, command, is_command=True), wire.pdv(3, b"identifier"), cancel()[6:]
    peer.send(wire.p_data(*pdvs))
    assert read_answers(peer) == ([], 0xFE00)
    peer.release()


def test_an_abort_ends_the_operation_at_once(peer: Peer, counting: Counting) -> None:
    peer.send(request())
    assert peer.status() == 0xFF00
    peer.send(wire.ABORT_BY_USER)
    assert counting.over.wait(1)
    eventually(lambda: association_threads() == 0)


def test_a_peer_that_is_gone_ends_it_too(peer: Peer, counting: Counting) -> None:
    peer.send(request())
    assert peer.status() == 0xFF00
    peer.socket.close()
    assert counting.over.wait(1)
    eventually(lambda: association_threads() == 0)


def test_who_asks_for_the_release_meanwhile_gets_the_last_answer_and_is_released(peer: Peer) -> None:
    peer.send(request())
    assert peer.status() == 0xFF00
    peer.read_pdu()
    peer.send(wire.RELEASE_RQ)
    assert read_answers(peer)[1] == 0xFE00
    assert peer.read_pdu() == wire.RELEASE_RP


def test_another_request_meanwhile_waits_for_its_turn(peer: Peer, counting: Counting) -> None:
    counting.answers = 10
    peer.send(request() + wire.echo_request() * 2)
    identifiers, status = read_answers(peer)
    assert (len(identifiers), status) == (10, 0x0000)
    assert (peer.status(), peer.status()) == (0x0000, 0x0000)
    peer.release()


def test_what_breaks_the_rules_meanwhile_is_aborted(peer: Peer, counting: Counting) -> None:
    peer.send(request())
    assert peer.status() == 0xFF00
    peer.read_pdu()
    peer.send(wire.pdu(9, b""))
    assert peer.read_all().endswith(wire.abort_by_provider(1))
    assert counting.over.is_set()


def test_c3_an_identifier_that_is_too_long_is_refused_and_one_without_end_aborted(peer: Peer) -> None:
    peer.send(request(bytes(MAX_IDENTIFIER_BYTES + 1)))
    assert read_answers(peer) == ([], 0xC000)
    command = wire.command(C_FIND_RQ, sop_class=wire.STUDY_ROOT_FIND, dataset=True)
    peer.send(wire.p_data(wire.pdv(3, command, is_command=True)))
    sent = 0
    with pytest.raises((ConnectionError, TimeoutError)):
        while sent < 10**9:
            peer.send(wire.p_data(wire.pdv(3, bytes(100_000), is_last=False)))
            sent += 100_000
    assert sent < 64 * 1024 * 1024
