from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.conflict_policy import ConflictPolicy
from pacs.conflicts import settle
from pacs.dicom.object_keys import parse_key
from pacs.dicom.orders import Order
from pacs.errors import DuplicateInstance, IndexUnavailable
from pacs.index.order_matches import Decision
from pacs.index.records import ConflictKind
from pacs.ingest import Disposition, IncomingInstance, Origin, store_instance
from pacs.jobs import ledger_replay
from pacs.jobs.ledger_replay import catch_up
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.jobs.sweep import sweep
from pacs.ledger.chain import walk_chain
from pacs.ledger.entries import Receipt, Tombstone, read_entry, write_entry
from pacs.ledger.segments import Head, segment_key, write_segment
from pacs.order_matching import decide
from pacs.order_progress import tell_orders
from pacs.performed_steps import Said, create_step, set_step
from pacs.retrieve import find_instances, read_chunks
from storage.errors import StoreUnavailable
from storage.memory import MemoryStore
from storage.packed_keys import own_key
from tests.damage import damage
from tests.datasets import encode, make_dataset
from tests.index_dump import dump_index
from tests.integration.performed_steps import begun, ended, scheduled
from tests.integration.rebuilding import rebuilt
from tests.made_orders import random_orders

EXPLICIT = "1.2.840.10008.1.2.1"


def send(archive: Archive, dataset: Dataset, aet: str = "CT1", **settings: Any) -> Disposition:
    incoming = IncomingInstance(EXPLICIT, dataset.SOPClassUID, dataset.SOPInstanceUID, [encode(dataset)])
    if settings:
        archive = replace(archive, settings=archive.settings.model_copy(update=settings))
    return store_instance(archive, incoming, Origin("dimse", aet)).disposition


def coded(value: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "99BYT", "Chụp ngực"
    request = Dataset()
    request.RequestedProcedureID = "RP1"
    request.RequestedProcedureCodeSequence = Sequence([code])
    return request


def fill_with_everything(archive: Archive) -> None:
    """Store studies with codes, conflicts of every kind and fate, and instances of other patients."""
    for number in range(3):
        study = make_dataset(StudyID=str(number), AccessionNumber=None)  # which later ones fill in
        study.RequestAttributesSequence = Sequence([coded("18.0119.0028")])
        for instance in range(3):
            study.SOPInstanceUID, study.InstanceNumber = generate_uid(), instance
            assert send(archive, study, f"CT{instance}") is Disposition.STORED
            study.AccessionNumber = f"ACC{number}"
        study.PatientName = "Sửa^Tên"
        assert send(archive, study) is Disposition.CONFLICT
        study.Rows = 8
        replaced = send(archive, study, on_conflict=ConflictPolicy.REPLACE)
        assert replaced is Disposition.REPLACED
        study.Columns = 8
        with pytest.raises(DuplicateInstance):
            send(archive, study, on_conflict=ConflictPolicy.REFUSE)
        study.SOPInstanceUID = generate_uid()
        study.PatientID = "BN9999"
        assert send(archive, study) is Disposition.PATIENT_DIFFERS
    lone = make_dataset()
    send(archive, lone)
    lone.PatientID, lone.SeriesDescription = "BN7", "corrected"
    send(archive, lone)
    moved = make_dataset()
    send(archive, moved)
    study_instance_uid, moved.StudyInstanceUID = moved.StudyInstanceUID, generate_uid()
    send(archive, moved)
    for order in random_orders(20):
        archive.index.orders.place(order, datetime.now(UTC))
    for number in ("A0000001", "A0000002"):
        perform(archive, archive.index.orders.find(number))
        decide(archive, lone.StudyInstanceUID, number, Decision.ACCEPTED)
    conflicts = archive.index.list_conflicts()
    for index, conflict in enumerate(conflicts[2:]):  # one of each kind stays open
        if conflict.study_instance_uid in (lone.StudyInstanceUID, study_instance_uid) or index % 2:
            settle(archive, conflict, "new")
        elif conflict.kind is ConflictKind.CONTENT:
            settle(archive, conflict, "first")


def perform(archive: Archive, order: Order) -> None:
    """Let a modality say that it has done what an order asks for."""
    uid = generate_uid()
    told = scheduled(
        AccessionNumber=order.accession_number, RequestedProcedureID="", ScheduledProcedureStepID=""
    )
    create_step(archive, Said(uid, EXPLICIT, encode(begun(told, PatientID=order.patient_id)), "CT1"))
    tell_orders(archive, uid)
    set_step(archive, Said(uid, EXPLICIT, encode(ended()), None))
    tell_orders(archive, uid)


def test_a_rebuilt_index_says_what_the_lost_one_did(archive: Archive, bare: Callable[[], Archive]) -> None:
    fill_with_everything(archive)
    seal_ledger(archive)
    before = dump_index(archive)
    assert {len(before[name]) > 1 for name in before if name != "tombstone"} == {True}
    fates = {(one.kind, one.kept) for one in archive.index.list_conflicts(open_only=False)}
    assert fates >= {(kind, kept) for kind in ConflictKind for kept in (None, "new")} | {
        (ConflictKind.CONTENT, "first")
    }
    empty = bare()
    report = rebuilt(empty)
    assert (report.ledger.missing, report.ledger.unreadable, report.ledger.faults) == (0, 0, [])
    assert (report.without_receipt, report.unreadable) == (0, 0)
    assert dump_index(empty) == before
    assert seal_ledger(empty) == 0  # nothing new to tell


def test_a_rebuild_from_scratch_on_the_same_database_changes_nothing(archive: Archive) -> None:
    fill_with_everything(archive)
    before = dump_index(archive)
    rebuilt(archive, from_scratch=True)
    assert dump_index(archive) == before
    assert rebuilt(archive).ledger.segments == 0


def test_a_rebuild_that_is_killed_goes_on_where_it_was(
    archive: Archive, bare: Callable[[], Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        fill_with_everything(archive)
        seal_ledger(archive)
    before, empty = dump_index(archive), bare()
    scanned = 0

    def dies_now_and_then(*arguments: Any) -> Any:
        nonlocal scanned
        scanned += 1
        if scanned % 40 == 0:
            raise StoreUnavailable("away")
        return scan(*arguments)

    scan = ledger_replay.scan_object
    monkeypatch.setattr(ledger_replay, "scan_object", dies_now_and_then)
    deaths = 0
    while empty.index.ledger.head() != archive.index.ledger.head():
        try:
            rebuilt(empty)
        except StoreUnavailable:
            deaths += 1
    assert deaths >= 2
    assert dump_index(empty) == before


def test_an_index_restored_from_a_backup_catches_up(archive: Archive, bare: Callable[[], Archive]) -> None:
    fill_with_everything(archive)
    seal_ledger(archive)
    backup = bare()
    rebuilt(backup)
    fill_with_everything(archive)
    assert seal_ledger(archive) > 0
    catch_up(backup, Event())
    assert dump_index(backup) == dump_index(archive)
    assert backup.index.ledger.head() == archive.index.ledger.head()


def test_objects_without_a_receipt_are_indexed_with_their_own_time(
    archive: Archive, bare: Callable[[], Archive]
) -> None:
    datasets = [make_dataset() for _ in range(3)]
    for dataset in datasets:
        send(archive, dataset)
    report = rebuilt(empty := bare())
    assert report.without_receipt == 3
    (found,) = find_instances(empty, datasets[0].StudyInstanceUID)
    assert found.received_at == archive.store.stat(found.location.key).modified_at
    assert seal_ledger(empty) == 3
    assert rebuilt(bare()).ledger.instances == 3


def test_what_was_deleted_is_not_resurrected_and_what_came_again_is(
    archive: Archive, bare: Callable[[], Archive]
) -> None:
    gone, again = make_dataset(), make_dataset()
    for dataset in (gone, again):
        send(archive, dataset)
    seal_ledger(archive)
    keys = [find_instances(archive, dataset.StudyInstanceUID)[0].location.key for dataset in (gone, again)]
    head = archive.index.ledger.head()
    at = datetime.now(UTC)
    receipt = Receipt(at, keys[1], archive.store.stat(keys[1]).size_bytes, EXPLICIT, "dimse", "CT1", "added")
    lines = [write_entry(entry) for entry in (*(Tombstone(at, key) for key in keys), receipt)]
    archive.store.put(segment_key(head.number + 1), write_segment(head, lines, at))
    for _ in range(2):
        rebuilt(empty := bare())
        (found,) = empty.index.find_instances(again.StudyInstanceUID)
        assert found.location.key == keys[1]
        assert empty.index.find_instances(gone.StudyInstanceUID) == []
        assert sweep(empty, Event(), settled_after=timedelta(0)).adopted == 0
    catch_up(archive, Event())  # the living index, which has both
    assert dump_index(archive) == dump_index(empty)


def test_a_receipt_tells_when_from_whom_and_what_became_of_it(archive: Archive) -> None:
    dataset = make_dataset()
    send(archive, dataset, "CT7")
    send(archive, dataset, "CT7")  # nothing new: no receipt
    dataset.Rows = 8
    send(archive, dataset, "CT8")
    assert seal_ledger(archive) == 2
    (segment,) = walk_chain(archive.store)
    first, other = (read_entry(line) for line in segment.lines)
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    size = found.location.size_bytes
    assert first == Receipt(found.received_at, found.location.key, size, EXPLICIT, "dimse", "CT7", "added")
    assert isinstance(other, Receipt)
    assert (other.calling_ae_title, other.disposition) == ("CT8", "conflict")
    assert parse_key(other.key) != parse_key(first.key)


def test_a_receipt_is_written_with_its_row_or_not_at_all(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_connection: object, rows: object) -> None:
        raise IndexUnavailable("the database is away")

    monkeypatch.setattr(archive.index._group_commit._writer._statements.append_lines, "execute", away)
    with pytest.raises(IndexUnavailable):
        send(archive, make_dataset())
    assert archive.index.is_empty()
    assert seal_ledger(archive) == 0


def test_segments_follow_one_another(archive: Archive) -> None:
    for _ in range(3):
        send(archive, make_dataset())
        assert seal_ledger(archive) == 1
    segments = list(walk_chain(archive.store))
    assert [segment.head.number for segment in segments] == [1, 2, 3]
    assert [segment.faults for segment in segments] == [[], [], []]
    assert archive.index.ledger.head() == segments[-1].head


def test_a_worker_that_died_between_object_and_row_seals_nothing_twice(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(archive, make_dataset())
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(
            "pacs.index.ledger_rows.LedgerRows.advance", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        seal_ledger(archive)
    send(archive, make_dataset())
    assert seal_ledger(archive) == 1
    assert [len(segment.lines) for segment in walk_chain(archive.store)] == [1, 1]
    assert [segment.faults for segment in walk_chain(archive.store)] == [[], []]


def test_workers_that_seal_at_a_time_make_one_chain(archive: Archive) -> None:
    for _ in range(5):
        send(archive, make_dataset())
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: seal_ledger(archive), range(4)))
    segments = list(walk_chain(archive.store))
    assert [segment.faults for segment in segments] == [[]] * len(segments)
    assert sum(len(segment.lines) for segment in segments) == 5
    assert archive.index.ledger.head() == segments[-1].head


@pytest.mark.parametrize("damage", ["cut", "altered", "emptied", "removed"])
def test_a_damaged_segment_is_told_and_the_others_are_replayed(
    archive: Archive, bare: Callable[[], Archive], damage: str
) -> None:
    for _ in range(3):
        send(archive, make_dataset())
        seal_ledger(archive)
    key = segment_key(2)
    data = archive.store.read_range(key, 0, 1 << 20)
    archive.store.delete(key)
    if damage != "removed":
        damaged = {"cut": data[:-100], "altered": data.replace(b"CT1", b"CT2"), "emptied": b""}[damage]
        archive.store.put(key, damaged)
    report = rebuilt(empty := bare())
    assert report.ledger.faults
    assert len(dump_index(empty)["instance"]) == 3  # an object whose receipt is lost is indexed without
    last = list(walk_chain(archive.store))[-1]
    assert empty.index.ledger.head() == last.head
    send(empty, make_dataset())
    seal_ledger(empty)
    assert next(iter(walk_chain(archive.store, last.head))).faults == []


def test_a_head_that_another_ledger_has_is_never_written_over(archive: Archive) -> None:
    head = archive.index.ledger.head()
    foreign = write_segment(head, [], datetime.now(UTC))
    archive.store.put(segment_key(1), foreign)
    send(archive, make_dataset())
    assert seal_ledger(archive) == 1
    first, second = walk_chain(archive.store)
    assert first.head == Head(1, hashlib.sha256(foreign).hexdigest())
    assert (first.lines, len(second.lines)) == ([], 1)


def test_objects_that_were_taken_out_of_their_packs_keep_their_receipts(
    archive: Archive, bare: Callable[[], Archive]
) -> None:
    fill_with_everything(archive)
    seal_ledger(archive)
    before = dump_index(archive)
    unpacked = MemoryStore()
    for stat in archive.store.list():
        with archive.store.open(stat.key) as stored:
            unpacked.put(own_key(stat.key), stored.read())
    empty = replace(bare(), store=unpacked)
    report = rebuilt(empty)
    assert (report.ledger.missing, report.without_receipt) == (0, 0)
    assert without_packs(dump_index(empty)) == without_packs(before)


def test_an_object_that_was_replaced_as_it_was_sent_again_is_found_again(
    archive: Archive, bare: Callable[[], Archive]
) -> None:
    dataset = make_dataset()
    send(archive, dataset)
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    damage(archive, found.location.key, b"what a failing disk left")
    send(archive, dataset)
    seal_ledger(archive)
    rebuilt(empty := bare())
    assert dump_index(empty) == dump_index(archive)
    (again,) = find_instances(empty, dataset.StudyInstanceUID)
    assert hashlib.sha256(b"".join(read_chunks(empty, again))).hexdigest() == again.location.sha256
    assert again.received_at == found.received_at


def without_packs(dump: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    plain = (
        (name, [tuple(own_key(v) if isinstance(v, str) else v for v in row) for row in rows])
        for name, rows in dump.items()
    )
    return {name: sorted(rows, key=repr) for name, rows in plain}
