"""Crowds at the DICOM port: idle, silent and slow peers, peers that hang up, and peers that send a lot.

What a crowd costs is asserted in the long forms only; the short ones show that everybody is still served, and
that nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pacs.dimse.requestor import Peer as Target
from pacs.dimse.scu import verify
from tests.bench.corpus import SMALL
from tests.bench.senders import Order, Sender, Sent
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.integration.dimse_peers import HOST, Peer
from tests.soak.crowd import Crowd
from tests.soak.watched import Watched
from tests.unit.pacs.dimse import wire

Count = Callable[[str, object], None]

_MEGABYTE = 1_000_000
_NO_LINGER = struct.pack("ii", 1, 0)  # closes with a reset


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    folder = tmp_path_factory.mktemp("crowd")
    settings = {
        "FILMLESS_DATA_DIR": str(folder / "data"),
        "FILMLESS_DICOM_PROCESSES": "1",  # the one that is watched meets them all
        "FILMLESS_MAX_ASSOCIATIONS": "600",
        "FILMLESS_MAX_ASSOCIATIONS_PER_PEER": "600",
    }
    with running_up(folder, settings) as archive:
        yield archive


@pytest.fixture
def listener(archive: ArchiveProcess) -> Watched:
    """The listener's process, after it has served somebody."""
    verify(HOST, archive.dicom_port, archive.ae_title)
    (pid,) = archive.children("listen")
    return Watched(pid)


def short_and_long(name: str, short: int, long: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        name, [pytest.param(short, id="short"), pytest.param(long, id="long", marks=pytest.mark.soak)]
    )


@short_and_long("associations", 40, 512)
def test_idle_associations_cost_next_to_nothing(
    archive: ArchiveProcess, listener: Watched, associations: int, record_property: Count
) -> None:
    base = listener.held
    peers = [Peer(archive.dicom_port).associate() for _ in range(associations)]
    is_long = associations > 100
    begin, cpu_s = time.monotonic(), listener.cpu_s
    time.sleep(20 if is_long else 0.5)
    share = (listener.cpu_s - cpu_s) / (time.monotonic() - begin)
    record_property("idle associations", associations)
    record_property("share of a core", f"{share:.4f}")
    assert listener.held.threads >= base.threads + associations
    for peer in peers:
        peer.send(wire.echo_request())
        assert peer.status() == 0x0000
        peer.release()
    listener.wait_until_held(lambda held: held.within(base))
    assert not is_long or share < 0.20


@pytest.fixture
def senders() -> Iterator[list[Sender]]:
    with ExitStack() as running:
        yield [running.enter_context(Sender()) for _ in range(4)]


def _rate(archive: ArchiveProcess, senders: list[Sender], turn: int, each: int) -> float:
    """Instances a second of all senders together."""
    peer = Target(HOST, archive.dicom_port, archive.ae_title)
    for number, sender in enumerate(senders):
        sender.prepare(Order(peer, SMALL, 1000 + 10 * turn + number, each))
    for sender in senders:
        sender.wait_until_ready()
    for sender in senders:
        sender.go()
    sent: list[Sent] = [sender.result() for sender in senders]
    return each * len(senders) / (max(one.end_s for one in sent) - min(one.begin_s for one in sent))


def _echo_latencies(archive: ArchiveProcess, for_s: float) -> list[float]:
    """Seconds that a device needs to connect, associate, echo and release, again and again."""
    latencies = []
    end = time.monotonic() + for_s
    while (begin := time.monotonic()) < end:
        verify(HOST, archive.dicom_port, archive.ae_title)
        latencies.append(time.monotonic() - begin)
        time.sleep(0.02)
    return latencies


@pytest.mark.parametrize(
    ("silent", "dripping", "for_s", "each"),
    [
        pytest.param(60, 20, 0.3, 10, id="short"),
        pytest.param(1000, 200, 10.0, 500, id="long", marks=pytest.mark.soak),
    ],
)
def test_a3_a4_silent_and_dripping_peers_hold_up_nobody(
    archive: ArchiveProcess,
    listener: Watched,
    senders: list[Sender],
    silent: int,
    dripping: int,
    for_s: float,
    each: int,
    record_property: Count,
) -> None:
    base = listener.held
    _rate(archive, senders, 0, 20)  # warms up
    alone, beside, latencies = [], [], []
    for turn in range(1, 6, 2):  # in turns, for the machine has other moods too
        alone.append(_rate(archive, senders, turn, each))
        with Crowd(archive.dicom_port, silent, dripping) as crowd:
            crowd.wait_until_there()
            beside.append(_rate(archive, senders, turn + 1, each))
            latencies += _echo_latencies(archive, for_s)
            threads = listener.held.threads
        listener.wait_until_held(lambda held: held.threads <= base.threads + 1)
    kept = statistics.median(one / other for one, other in zip(beside, alone, strict=True))
    p99_s = sorted(latencies)[int(len(latencies) * 0.99)]
    record_property("silent", silent)
    record_property("dripping", dripping)
    record_property("sockets opened by the crowd at its last turn", crowd.opened)
    record_property("rates alone", ", ".join(f"{rate:.0f}/s" for rate in alone))
    record_property("rates beside the crowd", ", ".join(f"{rate:.0f}/s" for rate in beside))
    record_property("rate kept", f"{kept:.0%}")
    record_property("C-ECHO p99", f"{p99_s * 1000:.0f} ms of {len(latencies)}")
    record_property("threads", threads)
    if silent >= 1000:
        assert p99_s < 1.0
        assert kept >= 0.8


def _files(archive: ArchiveProcess) -> set[Path]:
    """List the data folder but for the index and the ledger, which the worker writes in its own time."""
    return {
        path
        for path in archive.data_dir.rglob("*")
        if not path.name.startswith("index.sqlite") and "ledger" not in path.parts
    }


def _hang_up(peer: Peer, number: int) -> None:
    match number % 3:
        case 0:
            peer.send(wire.ABORT_BY_USER)
        case 1:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    peer.socket.close()


@short_and_long("aborts", 200, 5000)
def test_aborts_in_mid_dataset_leave_nothing_behind(
    archive: ArchiveProcess, listener: Watched, aborts: int, record_property: Count
) -> None:
    base, files = listener.held, _files(archive)
    small, large = (
        wire.store_request(bytes(200_000))[:-50_000],
        wire.store_request(bytes(20 * _MEGABYTE))[:-9],
    )
    for number in range(aborts):
        peer = Peer(archive.dicom_port).associate()
        peer.send(large if number % 50 == 0 else small)
        _hang_up(peer, number)
    held = listener.wait_until_held(lambda held: held.threads <= base.threads)
    record_property("aborts", aborts)
    record_property("threads and descriptors before and after", f"{base}, {held}")
    assert held.within(base)
    assert files
    assert _files(archive) <= files
    verify(HOST, archive.dicom_port, archive.ae_title)


def _visit(port: int, number: int) -> None:
    """Connect, and be one of the kinds of visitor that there are."""
    peer = Peer(port)
    with contextlib.suppress(ConnectionError):
        match number % 5:
            case 0:
                pass  # a port scan
            case 1:
                peer.send(b"GET / HTTP/1.1\r\n\r\n")
                peer.read_all()
            case 2:
                peer.send(wire.associate_request(called="OTHER"))
                peer.read_all()
            case 3:
                peer.associate().send(wire.ABORT_BY_USER)
            case 4:
                peer.associate().send(wire.echo_request())
                assert peer.status() == 0x0000
                peer.release()
    peer.socket.close()


@short_and_long("visits", 500, 100_000)
def test_a12_connection_churn_leaves_memory_and_descriptors_flat(
    archive: ArchiveProcess, listener: Watched, visits: int, record_property: Count
) -> None:
    base = listener.held
    for number in range(visits // 5):
        _visit(archive.dicom_port, number)
    warm_bytes = listener.resident_bytes
    for number in range(visits - visits // 5):
        _visit(archive.dicom_port, number)
    held = listener.wait_until_held(lambda held: held.threads <= base.threads)
    growth_bytes = listener.resident_bytes - warm_bytes
    record_property("visits", visits)
    record_property("growth", f"{growth_bytes / _MEGABYTE:.1f} MB on {warm_bytes / _MEGABYTE:.0f} MB")
    assert held.within(base)
    assert growth_bytes < 8 * _MEGABYTE


@pytest.mark.parametrize(
    ("associations", "size_bytes"),
    [
        pytest.param(20, 40 * _MEGABYTE, id="short"),
        pytest.param(200, 100 * _MEGABYTE, id="long", marks=pytest.mark.soak),
    ],
)
def test_large_objects_from_everybody_at_once_do_not_fill_the_memory(
    archive: ArchiveProcess, listener: Watched, associations: int, size_bytes: int, record_property: Count
) -> None:
    """All of them are under way when it is measured: each has come to its last PDU, and none to its end."""
    base, before_bytes = listener.held, listener.resident_bytes
    peers = [Peer(archive.dicom_port).associate() for _ in range(associations)]
    piece = wire.p_data(wire.pdv(3, os.urandom(100_000), is_last=False))
    for number, peer in enumerate(peers):
        peer.send(wire.store_command(f"1.2.3.{number}"))
    for _ in range(size_bytes // 100_000):
        for peer in peers:
            peer.send(piece)
    peak_bytes = listener.peak_resident_bytes
    record_property("associations", associations)
    record_property("bytes of each", size_bytes)
    record_property("resident before and at most", f"{before_bytes / 1e6:.0f} MB, {peak_bytes / 1e6:.0f} MB")
    assert listener.held.threads >= base.threads + associations
    assert peak_bytes < 1000 * _MEGABYTE
    for peer in peers:
        peer.send(wire.p_data(wire.pdv(3, b"ab")))
    assert [peer.status() for peer in peers] == [0xC000] * associations  # noise is no data set
    for peer in peers:
        peer.release()
    listener.wait_until_held(lambda held: held.within(base))
