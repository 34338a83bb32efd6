"""The socket under an association, with a peer that reads slowly or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from pacs.dimse.endings import ConnectionLost
from pacs.dimse.limits import Limits
from pacs.dimse.transport import Transport

PARTS = [bytes([number]) * size for number, size in enumerate((12, 300_000, 12, 1, 500_000))]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ours, theirs:
        yield ours, theirs


def test_parts_arrive_whole_and_in_order_though_the_peer_reads_little_at_a_time(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    transport = Transport(ours, Limits(network_timeout_s=20))
    heard = bytearray()

    def hear() -> None:
        while piece := theirs.recv(7001):
            heard.extend(piece)

    thread = threading.Thread(target=hear)
    thread.start()
    for _ in range(3):
        transport.send_parts([memoryview(part) for part in PARTS])
    transport.finish()
    thread.join(20)
    assert heard == b"".join(PARTS) * 3


def test_a_peer_that_does_not_read_is_lost_after_the_timeout(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    transport = Transport(ends[0], Limits(network_timeout_s=0.2))
    with pytest.raises(ConnectionLost):
        transport.send_parts(PARTS)


def test_a_peer_that_is_gone_is_lost_at_once(ends: tuple[socket.socket, socket.socket]) -> None:
    transport = Transport(ends[0], Limits(network_timeout_s=20))
    ends[1].close()
    with pytest.raises(ConnectionLost):
        transport.send_parts(PARTS)
