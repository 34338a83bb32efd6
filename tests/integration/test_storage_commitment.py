"""Storage Commitment: what is confirmed was read again, and who asked is told in the end (PS3.4 J)."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from pacs.archive import Archive
from pacs.index.commitments import Reference
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.ingest import IncomingInstance, Origin, store_instance
from pacs.jobs.committing import answer_due
from pacs.retrieve import find_instances
from storage.errors import StoreUnavailable
from tests.damage import damage
from tests.datasets import encode, make_dataset
from tests.integration.dimse_peers import Peer, listening
from tests.unit.pacs.dimse import wire

HOST = "127.0.0.1"
EXPLICIT = wire.EXPLICIT
STOP = Event()
STOP.clear()


@dataclass
class Device:
    """A modality that asks, and hears what it is told."""

    port: int = 0
    told: list[tuple[int, Dataset]] = field(default_factory=list)  # event type and data set
    answer: int = 0

    def hear(self, event: evt.Event) -> tuple[int, None]:
        self.told.append((event.event_type, event.event_information))
        return self.answer, None

    def results(self) -> list[tuple[int, set[str], dict[str, int]]]:
        """Event types with what is confirmed, and what is not and why."""
        return [
            (
                kind,
                {item.ReferencedSOPInstanceUID for item in told.get("ReferencedSOPSequence", [])},
                {
                    item.ReferencedSOPInstanceUID: item.FailureReason
                    for item in told.get("FailedSOPSequence", [])
                },
            )
            for kind, told in self.told
        ]


@pytest.fixture
def device() -> Iterator[Device]:
    one = Device()
    entity = AE("CT")
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    server: Any = entity.start_server(
        (HOST, 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, one.hear)]
    )
    one.port = server.socket.getsockname()[1]
    yield one
    server.shutdown()


@pytest.fixture
def port(archive: Archive) -> Iterator[int]:
    with listening(archive) as opened:
        yield opened


def store(archive: Archive, count: int = 3) -> list[Dataset]:
    datasets = [make_dataset(SOPInstanceUID=generate_uid()) for _ in range(count)]
    for dataset in datasets:
        incoming = IncomingInstance(EXPLICIT, dataset.SOPClassUID, dataset.SOPInstanceUID, [encode(dataset)])
        store_instance(archive, incoming, Origin("dimse", "CT"))
    return datasets


def request(references: Sequence[tuple[str, str]], transaction_uid: str) -> Dataset:
    asked = Dataset()
    asked.TransactionUID = transaction_uid
    asked.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
        asked.ReferencedSOPSequence.append(item)
    return asked


@contextlib.contextmanager
def calling(port: int, device: Device | None = None) -> Iterator[Any]:
    entity = AE("CT")
    entity.add_requested_context(StorageCommitmentPushModel)
    handlers: Any = [(evt.EVT_N_EVENT_REPORT, device.hear)] if device else []
    association = entity.associate(HOST, port, ae_title="FILMLESS", evt_handlers=handlers)
    assert association.is_established
    yield association
    association.release()


def ask(
    port: int,
    references: Sequence[tuple[str, str]],
    transaction_uid: str | None = None,
    action: int = 1,
    instance: str = StorageCommitmentPushModelInstance,
) -> int:
    asked = request(references, transaction_uid or generate_uid())
    with calling(port) as association:
        status, _ = association.send_n_action(asked, action, StorageCommitmentPushModel, instance)
    return int(status.Status)


def key_of(archive: Archive, dataset: Dataset) -> str:
    uids = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    (found,) = find_instances(archive, *uids)
    return found.location.key


def references_to(datasets: Sequence[Dataset]) -> list[tuple[str, str]]:
    return [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in datasets]


def add_peer(archive: Archive, device: Device) -> None:
    archive.index.peers.put(KnownPeer("CT", HOST, device.port, frozenset(PeerRight)))


def make_due(archive: Archive) -> None:
    """Wait for nothing: what was postponed is due."""
    now = datetime.now(UTC) + timedelta(days=1)
    for one in archive.index.commitments.claim(100, now, timedelta(days=-1)):
        archive.index.commitments.postpone(one.row_id, datetime.now(UTC))


def test_what_is_here_is_confirmed_over_an_association_of_our_own(
    archive: Archive, port: int, device: Device
) -> None:
    add_peer(archive, device)
    datasets = store(archive)
    assert ask(port, references_to(datasets)) == 0x0000
    assert device.told == []
    assert answer_due(archive, STOP) == 1
    assert device.results() == [(1, {one.SOPInstanceUID for one in datasets}, {})]
    assert device.told[0][1].RetrieveAETitle == "FILMLESS"
    assert answer_due(archive, STOP) == 0


def test_what_is_not_here_or_of_another_class_or_damaged_is_said_to_be_so(
    archive: Archive, port: int, device: Device
) -> None:
    add_peer(archive, device)
    whole, other, damaged, lost = store(archive, 4)
    damage(archive, key_of(archive, damaged), bytes(100))
    archive.store.delete(key_of(archive, lost))
    unknown = generate_uid()
    asked = [
        *references_to([whole, damaged, lost]),
        (str(MRImageStorage), str(other.SOPInstanceUID)),
        (str(CTImageStorage), unknown),
    ]
    assert ask(port, asked) == 0x0000
    assert answer_due(archive, STOP) == 1
    reasons = {
        damaged.SOPInstanceUID: 0x0110,
        lost.SOPInstanceUID: 0x0110,
        other.SOPInstanceUID: 0x0119,
        unknown: 0x0112,
    }
    assert device.results() == [(2, {whole.SOPInstanceUID}, reasons)]


def test_one_object_that_cannot_be_read_does_not_keep_the_answer_back(
    archive: Archive, port: int, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_peer(archive, device)
    whole, unreadable = store(archive, 2)
    bad_key, open_one = key_of(archive, unreadable), archive.store.open

    def open_all_but_one(key: str) -> Any:
        if key == bad_key:
            raise StoreUnavailable("bad sector")
        return open_one(key)

    monkeypatch.setattr(archive.store, "open", open_all_but_one)
    assert ask(port, references_to([whole, unreadable])) == 0x0000
    assert answer_due(archive, STOP) == 1
    assert device.results() == [(2, {whole.SOPInstanceUID}, {unreadable.SOPInstanceUID: 0x0110})]


def test_nothing_is_said_while_the_store_is_away(
    archive: Archive, port: int, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    add_peer(archive, device)
    datasets = store(archive)
    assert ask(port, references_to(datasets)) == 0x0000
    with monkeypatch.context() as broken:
        broken.setattr(archive.store, "open", away)
        broken.setattr(archive.store, "check", away)
        with pytest.raises(StoreUnavailable):
            answer_due(archive, STOP)
    assert device.told == []
    make_due(archive)
    assert answer_due(archive, STOP) == 1
    assert device.results() == [(1, {one.SOPInstanceUID for one in datasets}, {})]


def test_a_device_that_cannot_be_called_is_told_over_its_own_association(
    archive: Archive, port: int, device: Device
) -> None:
    datasets = store(archive)
    with calling(port, device) as association:
        asked = request(references_to(datasets), generate_uid())
        status, _ = association.send_n_action(
            asked, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        assert status.Status == 0x0000
        wait_for(lambda: device.told)
        time.sleep(0.2)  # our answer to what it said
    assert device.results() == [(1, {one.SOPInstanceUID for one in datasets}, {})]
    make_due(archive)
    assert answer_due(archive, STOP) == 0


def n_action(message_id: int, asked: Dataset) -> bytes:
    elements = wire.element(0x0003, StorageCommitmentPushModel.encode() + b"\0")
    elements += wire.number(0x0100, 0x0130) + wire.number(0x0110, message_id) + wire.number(0x0800, 0)
    elements += wire.element(0x1001, StorageCommitmentPushModelInstance.encode()) + wire.number(0x1008, 1)
    command = wire.element(0x0000, struct.pack("<I", len(elements))) + elements
    return wire.p_data(wire.pdv(1, command, is_command=True)) + wire.p_data(wire.pdv(1, encode(asked)))


def n_event_report_response(message_id: bytes) -> bytes:
    elements = wire.number(0x0100, 0x8100) + wire.element(0x0120, message_id)
    elements += wire.number(0x0800, 0x0101) + wire.number(0x0900, 0)
    command = wire.element(0x0000, struct.pack("<I", len(elements))) + elements
    return wire.p_data(wire.pdv(1, command, is_command=True))


def test_a_device_that_asks_again_before_it_is_told_is_answered_and_told_both(
    archive: Archive, port: int
) -> None:
    asked = [request(references_to(store(archive, 1)), f"1.2.{number}") for number in (1, 2)]
    peer = Peer(port).associate(proposals=(wire.proposal(1, StorageCommitmentPushModel, EXPLICIT),))
    peer.send(n_action(1, asked[0]))
    assert peer.status() == 0x0000
    peer.send(n_action(2, asked[1]))  # which crosses our report, or comes before it
    heard = []
    while len(heard) < 3:
        command = wire.decode_response(peer.read_pdu())
        heard.append(int.from_bytes(command[0x0100], "little"))
        if heard[-1] == 0x0100:
            told = peer.read_pdu()
            assert b"1.2.1" in told or b"1.2.2" in told
            peer.send(n_event_report_response(command[0x0110]))
    assert sorted(heard) == [0x0100, 0x0100, 0x8130]
    peer.release()
    make_due(archive)
    assert answer_due(archive, STOP) == 0


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_device_that_is_away_is_told_when_it_is_back(archive: Archive, port: int, device: Device) -> None:
    archive.index.peers.put(KnownPeer("CT", HOST, 1, frozenset(PeerRight)))
    datasets = store(archive)
    assert ask(port, references_to(datasets)) == 0x0000
    assert answer_due(archive, STOP) == 1
    assert answer_due(archive, STOP) == 0  # not at once again
    add_peer(archive, device)
    make_due(archive)
    assert answer_due(archive, STOP) == 1
    assert [kind for kind, _, _ in device.results()] == [1]


def test_a_device_that_is_away_is_called_once_and_not_for_each_of_its_requests(
    archive: Archive, port: int, device: Device
) -> None:
    archive.index.peers.put(KnownPeer("CT", HOST, 1, frozenset(PeerRight)))
    datasets = store(archive)
    for _ in range(3):
        assert ask(port, references_to(datasets)) == 0x0000
    assert [answer_due(archive, STOP) for _ in range(2)] == [1, 0]
    archive.index.commitments.add("OTHER", "1.2.3", [Reference("1.2", "1.3")], datetime.now(UTC))
    assert [answer_due(archive, STOP) for _ in range(2)] == [1, 0]  # whom it does not hold up
    add_peer(archive, device)
    make_due(archive)
    assert [answer_due(archive, STOP) for _ in range(4)] == [1] * 4
    assert [kind for kind, _, _ in device.results()] == [1, 1, 1]


def test_a_device_that_has_not_understood_is_told_again(archive: Archive, port: int, device: Device) -> None:
    add_peer(archive, device)
    assert ask(port, references_to(store(archive))) == 0x0000
    device.answer = 0x0110
    answer_due(archive, STOP)
    device.answer = 0
    make_due(archive)
    answer_due(archive, STOP)
    make_due(archive)
    assert answer_due(archive, STOP) == 0
    assert len(device.told) == 2


def test_what_a_killed_worker_had_claimed_is_answered_by_another(
    archive: Archive, port: int, device: Device
) -> None:
    add_peer(archive, device)
    assert ask(port, references_to(store(archive))) == 0x0000
    assert archive.index.commitments.claim(10, datetime.now(UTC), timedelta(seconds=1))
    assert answer_due(archive, STOP) == 0
    time.sleep(1.1)
    assert answer_due(archive, STOP) == 1
    assert len(device.told) == 1


def test_the_same_request_again_is_answered_again_and_another_by_its_name_is_refused(
    archive: Archive, port: int, device: Device
) -> None:
    add_peer(archive, device)
    datasets, transaction_uid = store(archive), generate_uid()
    for _ in range(2):
        assert ask(port, references_to(datasets), transaction_uid) == 0x0000
        assert answer_due(archive, STOP) == 1
    assert ask(port, references_to(datasets[:1]), transaction_uid) == 0x0131
    assert len(device.told) == 2


def test_requests_that_are_none_are_refused(archive: Archive, port: int) -> None:
    references = references_to(store(archive, 1))
    assert ask(port, references, action=2) == 0x0123
    assert ask(port, references, instance=generate_uid()) == 0x0123
    assert ask(port, []) == 0xC000
    assert ask(port, [("not a uid", "1.2")]) == 0x0117
    assert ask(port, references, "..") == 0x0117


def test_a_device_without_the_right_is_refused(archive: Archive, port: int) -> None:
    archive.index.peers.put(KnownPeer("CT", HOST, 104, frozenset({PeerRight.STORE})))
    assert ask(port, references_to(store(archive, 1))) == 0x0124


def test_more_requests_than_are_kept_are_refused_for_the_time_being(
    archive: Archive, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.dimse.storage_commitment._MAX_WAITING", 2)
    archive.index.peers.put(KnownPeer("CT", HOST, 1, frozenset(PeerRight)))
    references = references_to(store(archive, 1))
    assert [ask(port, references) for _ in range(3)] == [0, 0, 0x0213]


def test_answered_requests_are_forgotten_in_the_end(archive: Archive, port: int, device: Device) -> None:
    add_peer(archive, device)
    transaction_uid, datasets = generate_uid(), store(archive)
    assert ask(port, references_to(datasets), transaction_uid) == 0x0000
    now = datetime.now(UTC)
    archive.index.commitments.forget(now + timedelta(days=1))  # it is not answered yet
    assert answer_due(archive, STOP) == 1
    archive.index.commitments.forget(now - timedelta(days=1))
    assert ask(port, references_to(datasets[:1]), transaction_uid) == 0x0131
    archive.index.commitments.forget(now + timedelta(days=1))
    assert ask(port, references_to(datasets[:1]), transaction_uid) == 0x0000


def test_a_request_that_nobody_can_answer_is_given_up(archive: Archive) -> None:
    asked_at = datetime.now(UTC) - timedelta(days=8)
    archive.index.commitments.add("GONE", "1.2.3", [Reference("1.2", "1.3")], asked_at)
    assert answer_due(archive, STOP) == 1
    make_due(archive)
    assert answer_due(archive, STOP) == 0
