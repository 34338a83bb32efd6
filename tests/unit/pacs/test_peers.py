"""What a peer may be, and that the table of them is not asked for each association."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from pacs.errors import IndexUnavailable, InvalidRequest
from pacs.index.known_peers import KnownPeer
from pacs.peers import KEPT_FOR_S, PeerBook, check_peer

CT = KnownPeer("CT1", "192.168.1.20", 104)


@pytest.mark.parametrize(
    "change",
    [
        {"ae_title": ""},
        {"ae_title": "SEVENTEEN_LETTERS"},
        {"ae_title": "BACK\\SLASH"},
        {"ae_title": " CT1"},
        {"ae_title": "CT?"},  # what a control character in a caller's title is read as
        {"ae_title": "CT*"},
        {"host": None},
        {"port": None},
        {"port": 0},
        {"port": 65536},
        {"host": "ct1.example.vn/x"},
        {"host": "-oProxyCommand"},
        {"host": "fe80:"},
        {"host": "10.0.0.5:104"},
        {"host": "fe80::1%eth0"},
        {"host": None, "port": None, "only_from_host": True},
        {"dicomweb_url": "https://pacs.example.vn:99999/dicom-web"},
        {"dicomweb_url": "https://pacs.example.vn:0/"},
        {"dicomweb_url": "https://[12345::1]/"},
        {"character_set": "ISO_IR 999"},
        {"character_set": ""},
        {"character_set": "\\ISO_IR 999"},
        {"character_set": "nonsense\\ISO 2022 IR 87"},
        {"transfer_syntax_uids": ("1.2.3",)},
    ],
)
def test_what_is_no_peer_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        check_peer(replace(CT, **change))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"host": None, "port": None},
        {"host": "fe80::1"},
        {"host": "ct1.example.vn", "only_from_host": True},
        {"port": None, "only_from_host": True},
        {"dicomweb_url": "http://[2001:db8::20]:8042/dicom-web"},
        {"character_set": "ISO_IR 100"},
        {"character_set": "ISO 2022 IR 6\\ISO 2022 IR 87"},
        {"character_set": "\\ISO 2022 IR 87"},
        {"transfer_syntax_uids": ("1.2.840.10008.1.2",)},
    ],
)
def test_what_is_one_is_kept_as_it_is(change: dict[str, Any]) -> None:
    peer = replace(CT, **change)
    assert check_peer(peer) is peer


class Table:
    def __init__(self) -> None:
        self.peers = [CT]
        self.reads = 0
        self.is_away = False
        self.now = 0.0

    def read(self) -> list[KnownPeer]:
        self.reads += 1
        if self.is_away:
            raise IndexUnavailable("away")
        return self.peers

    def book(self) -> PeerBook:
        return PeerBook(self.read, lambda host: frozenset({host}), clock=lambda: self.now)


def test_associations_cost_no_query_each_and_changes_are_heeded_soon() -> None:
    table = Table()
    book = table.book()
    assert [book.find("CT1") for _ in range(100)] == [CT] * 100
    assert book.find("ct1") is None
    assert table.reads == 1
    table.peers = []
    table.now += KEPT_FOR_S + 0.1
    assert book.find("CT1") is None
    assert table.reads == 2


def test_what_was_read_last_is_good_while_the_index_is_away() -> None:
    table = Table()
    book = table.book()
    assert book.find("CT1") is not None
    table.is_away = True
    table.now += KEPT_FOR_S + 0.1
    assert book.find("CT1") is not None
    with pytest.raises(IndexUnavailable):
        table.book().find("CT1")


def test_nobody_waits_for_who_reads_the_table_anew() -> None:
    reads, go_on, now = [], threading.Event(), [0.0]

    def read() -> list[KnownPeer]:
        reads.append(threading.current_thread())
        if len(reads) > 1:
            go_on.wait(10)
        return [CT]

    book = PeerBook(read, clock=lambda: now[0])
    assert book.find("CT1") is CT
    now[0] += KEPT_FOR_S + 0.1
    reader = threading.Thread(target=book.find, args=("CT1",))
    reader.start()
    while len(reads) < 2:
        time.sleep(0.001)
    assert book.find("CT1") is CT  # as it was
    assert reader.is_alive()
    go_on.set()
    reader.join(10)
    assert len(reads) == 2


def test_a_peer_is_at_the_addresses_of_its_host() -> None:
    book = Table().book()
    assert book.is_at(CT, "192.168.1.20")
    assert not book.is_at(CT, "192.168.1.21")
    assert not book.is_at(replace(CT, host=None), "192.168.1.20")
    assert PeerBook(list).is_at(replace(CT, host="localhost"), "127.0.0.1")
    assert not PeerBook(list).is_at(replace(CT, host="no-such-host.invalid"), "127.0.0.1")
