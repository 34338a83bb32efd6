from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs.dimse.endings import AssociationAborted, ConnectionLost
from pacs.dimse.limits import Limits
from pacs.dimse.secure_transport import SecureTransport, acceptor_context, requestor_context
from tests.certificates import Authority

LIMITS = Limits(close_timeout_s=0.2)


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[SecureTransport, SecureTransport]]:
    """Acceptor and requestor of one connection, which have shaken hands."""
    authority = Authority.create(tmp_path / "hospital")
    one, other = socket.socketpair()
    acceptor = SecureTransport(one, LIMITS, acceptor_context(authority.issue("pacs")))
    requestor = SecureTransport(other, LIMITS, requestor_context(authority.issue("ct")))
    thread = threading.Thread(target=acceptor.establish)
    thread.start()
    requestor.establish()
    thread.join()
    yield acceptor, requestor
    buffer = memoryview(bytearray(1000))
    requestor.close(buffer)
    acceptor.close(buffer)


def test_both_know_the_certificate_of_the_other(ends: tuple[SecureTransport, SecureTransport]) -> None:
    acceptor, requestor = ends
    assert len(acceptor.peer_certificate_sha256 or "") == len(requestor.peer_certificate_sha256 or "") == 64
    assert acceptor.peer_certificate_sha256 != requestor.peer_certificate_sha256


def test_whether_anything_has_arrived_is_known_without_waiting_and_without_losing_it(
    ends: tuple[SecureTransport, SecureTransport],
) -> None:
    acceptor, requestor = ends
    assert not acceptor.has_arrived()
    assert not requestor.has_arrived()  # the session tickets of TLS 1.3 are nothing
    requestor.send(b"cancel")
    buffer, received = memoryview(bytearray(100)), b""
    while not acceptor.has_arrived():
        pass
    assert acceptor.has_arrived()
    while len(received) < 6:
        received += bytes(buffer[: acceptor.receive(buffer, 5)])
    assert received == b"cancel"
    assert not acceptor.has_arrived()


def test_silence_has_an_end(ends: tuple[SecureTransport, SecureTransport]) -> None:
    with pytest.raises(AssociationAborted, match="silent"):
        ends[0].receive(memoryview(bytearray(10)), 0.2)


def test_an_interrupt_wakes_who_waits(ends: tuple[SecureTransport, SecureTransport]) -> None:
    acceptor, _ = ends
    threading.Timer(0.2, acceptor.interrupt).start()
    with pytest.raises(AssociationAborted, match="from this side"):
        acceptor.receive(memoryview(bytearray(10)), 20)


def test_who_finishes_says_so(ends: tuple[SecureTransport, SecureTransport]) -> None:
    acceptor, requestor = ends
    requestor.send(b"last")
    requestor.finish()
    buffer = memoryview(bytearray(100))
    assert bytes(buffer[: acceptor.receive(buffer, 5)]) == b"last"
    with pytest.raises(ConnectionLost, match="closed by the peer"):
        acceptor.receive(buffer, 5)


def test_a_peer_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "hospital")
    one, other = socket.socketpair()
    limits = Limits(network_timeout_s=0.3, close_timeout_s=0.2)
    acceptor = SecureTransport(one, limits, acceptor_context(authority.issue("pacs")))
    requestor = SecureTransport(other, limits, requestor_context(authority.issue("ct")))
    thread = threading.Thread(target=acceptor.establish)
    thread.start()
    requestor.establish()
    thread.join()
    with pytest.raises(ConnectionLost):
        requestor.send(bytes(50_000_000))
    requestor.close(memoryview(bytearray(10)))
    acceptor.close(memoryview(bytearray(10)))
