"""The sweep compares store and index in both directions. What it adopts is tested with ingest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from threading import Event

import pytest
from pydicom.dataset import Dataset

from pacs.archive import Archive
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs.sweep import Fault, SweepReport, sweep
from pacs.retrieve import find_instances, read_chunks
from storage.errors import ObjectNotFound, StoreUnavailable
from storage.packed_keys import own_key
from tests.damage import damage
from tests.datasets import encode_file, make_dataset
from tests.integration.performed_steps import tell_work


def store(archive: Archive, dataset: Dataset) -> str:
    """Store an instance; return the key of the object that came."""
    before = {stat.key for stat in archive.store.list()}
    store_instance(archive, open_part10([encode_file(dataset)]), Origin("dimse"))
    (key,) = {stat.key for stat in archive.store.list()} - before
    return key


def sweep_now(archive: Archive) -> SweepReport:
    return sweep(archive, Event(), settled_after=timedelta(0))


def test_rows_whose_object_is_gone_are_told_and_kept(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    dataset, other = make_dataset(), make_dataset()
    key, _ = store(archive, dataset), store(archive, other)
    other.PatientName = "Someone^Else"
    conflict_key = store(archive, other)
    assert sweep_now(archive).missing == 0
    archive.store.delete(key)
    archive.store.delete(conflict_key)
    for _ in range(2):
        report = sweep_now(archive)
        assert (report.examined, report.missing) == (1, 2)
        assert sorted(fault.key for fault in report.faults) == sorted([key, conflict_key])
        assert {fault.fault for fault in report.faults} == {"missing"}
    assert dataset.SOPInstanceUID in caplog.text
    assert "BN0001" not in caplog.text
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    with pytest.raises(ObjectNotFound):  # a reader is told that it is gone: 410
        list(read_chunks(archive, found))


def test_what_modalities_said_is_missed_where_it_is_gone(archive: Archive) -> None:
    store(archive, make_dataset())
    _, change = tell_work(archive)
    assert sweep_now(archive).missing == 0
    archive.store.delete(change)
    assert sweep_now(archive).faults == [Fault(change, "missing")]


def test_an_object_that_comes_back_is_missed_no_longer(archive: Archive) -> None:
    dataset = make_dataset()
    key = store(archive, dataset)
    store(archive, make_dataset())
    archive.store.delete(key)
    assert sweep_now(archive).missing == 1
    store(archive, dataset)  # sent again
    assert sweep_now(archive).missing == 0


def test_a_store_of_which_nothing_is_left_is_taken_for_another_one(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    for key in [store(archive, make_dataset()) for _ in range(3)]:
        archive.store.delete(key)
    with pytest.raises(StoreUnavailable, match="is it the right store"):
        sweep_now(archive)
    assert caplog.text == ""


def test_a_store_that_goes_away_in_the_middle_has_lost_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        store(archive, make_dataset())

    def away(_key: str) -> None:
        raise StoreUnavailable("away")

    def cut_listing() -> Iterator[object]:
        return iter([next(iter(list_all()))])

    list_all = archive.store.list
    monkeypatch.setattr(archive.store, "list", cut_listing)
    monkeypatch.setattr(archive.store, "stat", away)
    with pytest.raises(StoreUnavailable):
        sweep_now(archive)
    assert caplog.text == ""


def test_an_object_that_was_listed_too_early_is_asked_for(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        store(archive, make_dataset())
    early = list(archive.store.list())[:1]
    monkeypatch.setattr(archive.store, "list", lambda: iter(early))
    assert sweep_now(archive).missing == 0


def test_a_damaged_object_is_named(archive: Archive) -> None:
    dataset = make_dataset()
    key = store(archive, dataset)
    foreign = own_key(key).replace(dataset.SOPInstanceUID, "1.2.3.4")
    archive.store.put(foreign, b"no DICOM at all")
    assert sweep_now(archive).faults == [Fault(foreign, "unreadable")]


def second_copy(archive: Archive, key: str) -> str:
    """Commit an object once more, as ingest does before it sees that it is known; return the copy's key."""
    with archive.store.open(key) as first, archive.store.stage(packed=True) as staged:
        staged.write(first.read())
        return staged.commit(own_key(key)).key


def stored_twice(archive: Archive) -> tuple[Dataset, str, str]:
    """Store an instance twice; give it, the key that its row has, and that of the copy."""
    dataset = make_dataset()
    key = store(archive, dataset)
    copy = second_copy(archive, key)
    if copy == key:
        pytest.skip("in a bucket it has one key")
    return dataset, key, copy


def sweep_of_old(archive: Archive) -> SweepReport:
    return sweep(archive, Event(), settled_after=timedelta(0), abandoned_after=timedelta(0))


def test_of_two_copies_of_a_content_the_one_without_a_row_goes(archive: Archive) -> None:
    dataset = make_dataset()
    key = store(archive, dataset)
    copy = second_copy(archive, key)
    assert sweep_now(archive).copies_removed == 0  # somebody may be settling it
    assert copy in {stat.key for stat in archive.store.list()}
    assert sweep_of_old(archive).copies_removed == (copy != key)  # in a bucket it has one key
    assert [stat.key for stat in archive.store.list()] == [key]
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert b"".join(read_chunks(archive, found))


def test_a_second_copy_takes_the_place_of_a_first_that_is_gone(archive: Archive) -> None:
    dataset, key, copy = stored_twice(archive)
    archive.store.delete(key)
    report = sweep_of_old(archive)
    assert (report.copies_removed, report.missing) == (0, 0)
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert found.location.key == copy
    assert b"".join(read_chunks(archive, found))


def test_a_damaged_second_copy_is_left_where_it_lies(archive: Archive) -> None:
    dataset, key, copy = stored_twice(archive)
    damage(archive, copy, b"what a failing disk left")
    assert sweep_of_old(archive).copies_removed == 0
    assert copy in {stat.key for stat in archive.store.list()}
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert found.location.key == key
