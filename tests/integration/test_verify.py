from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from pacs.archive import Archive
from pacs.errors import IndexUnavailable
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs import verify
from pacs.jobs.sweep import Fault
from pacs.jobs.verify import Verification, VerifyStopped
from storage.errors import StoreUnavailable
from tests.damage import damage
from tests.datasets import encode_file, make_dataset
from tests.integration.performed_steps import tell_work

OBJECTS = 12


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "verify.state"


@pytest.fixture
def keys(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of a few stored objects, in the order in which they are verified; three make a batch."""
    monkeypatch.setattr(verify, "MAX_BATCH_OBJECTS", 3)
    for _ in range(OBJECTS):
        store_instance(archive, open_part10([encode_file(make_dataset())]), Origin("dimse"))
    return [one.key for one in archive.index.list_objects(verify.ObjectCursor(), 100)]


def test_whole_objects_are_whole(archive: Archive, keys: list[str], state: Path) -> None:
    report = Verification(archive, state).run(2)
    assert (report.objects, report.faulty) == (OBJECTS, 0)
    assert report.size_bytes == sum(stat.size_bytes for stat in archive.store.list())
    assert not state.exists()


def test_every_kind_of_damage_is_found_and_named(archive: Archive, keys: list[str], state: Path) -> None:
    content = archive.store.read_range(keys[1], 0, 10**6)
    damage(archive, keys[1], content[:-1] + bytes([content[-1] ^ 1]))
    damage(archive, keys[4], content[:100])
    damage(archive, keys[5], b"")
    archive.store.delete(keys[7])
    report = Verification(archive, state).run(2)
    assert (report.objects, report.damaged, report.missing, report.unreadable) == (OBJECTS, 3, 1, 0)
    assert report.faults == [
        *(Fault(keys[number], "damaged") for number in (1, 4, 5)),
        Fault(keys[7], "missing"),
    ]


def test_both_contents_of_a_conflict_are_verified(archive: Archive, state: Path) -> None:
    dataset = make_dataset()
    for name in ("A", "B"):
        dataset.PatientName = name
        store_instance(archive, open_part10([encode_file(dataset)]), Origin("dimse"))
    assert Verification(archive, state).run(1).objects == 2


def test_what_modalities_said_is_verified(archive: Archive, keys: list[str], state: Path) -> None:
    _, change = tell_work(archive)
    lost, _ = tell_work(archive)
    whole = Verification(archive, state).run(2)
    assert (whole.objects, whole.faulty) == (OBJECTS + 4, 0)
    content = archive.store.read_range(change, 0, 10**6)
    damage(archive, change, content[:-1] + bytes([content[-1] ^ 1]))
    archive.store.delete(lost)
    report = Verification(archive, state).run(2)
    assert report.faults == [Fault(change, "damaged"), Fault(lost, "missing")]


def stopping(run: Verification, after: int) -> Any:
    """An opener of objects that stops the run when it has opened so many."""
    open_one, opened = run.archive.store.open, [0]

    def open_and_count(key: str) -> Any:
        opened[0] += 1
        if opened[0] > after:
            run.stop.set()
        return open_one(key)

    return open_and_count


def test_a_run_that_was_stopped_goes_on_behind_its_last_batch(
    archive: Archive, keys: list[str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.store.delete(keys[0])
    first = Verification(archive, state)
    with monkeypatch.context() as stopped:
        stopped.setattr(archive.store, "open", stopping(first, after=7))
        first.run(1)
    assert json.loads(state.read_text())["report"]["objects"] == 6
    second = Verification(archive, state)
    report = second.run(1)
    assert second.gone_on_from == 6
    assert (report.objects, report.missing) == (OBJECTS, 1)
    assert report.faults == [Fault(keys[0], "missing")]  # found by the first run
    assert not state.exists()


def test_a_run_begins_anew_when_told_or_on_another_archive_or_by_a_damaged_state(
    archive: Archive, keys: list[str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Verification(archive, state)
    with monkeypatch.context() as stopped:
        stopped.setattr(archive.store, "open", stopping(first, after=7))
        first.run(1)
    saved = state.read_text()
    again = Verification(archive, state)
    again.run(1, restart=True)
    state.write_text(saved.replace(json.loads(saved)["archive"], "another"))
    other = Verification(archive, state)
    other.run(1)
    state.write_text(saved[:-10])
    damaged = Verification(archive, state)
    damaged.run(1)
    assert [run.gone_on_from for run in (again, other, damaged)] == [0, 0, 0]


def test_a_store_that_is_away_has_lost_nothing(
    archive: Archive, keys: list[str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(archive.store, "open", away)
        broken.setattr(archive.store, "check", away)
        with pytest.raises(VerifyStopped, match="away"):
            Verification(archive, state).run(2)
    assert not state.exists()
    assert Verification(archive, state).run(2).faulty == 0


def test_one_object_that_cannot_be_read_is_told(
    archive: Archive, keys: list[str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_one = archive.store.open

    def open_all_but_one(key: str) -> Any:
        if key == keys[3]:
            raise StoreUnavailable("bad sector")
        return open_one(key)

    monkeypatch.setattr(archive.store, "open", open_all_but_one)
    report = Verification(archive, state).run(2)
    assert report.faults == [Fault(keys[3], "unreadable")]


def test_a_store_of_which_nothing_is_left_is_taken_for_another_one(
    archive: Archive, keys: list[str], state: Path
) -> None:
    for key in keys:
        archive.store.delete(key)
    with pytest.raises(VerifyStopped, match="is it the right store"):
        Verification(archive, state).run(2)
    assert not state.exists()
    archive.store.put("objects/of/another.archive", b"x")
    with pytest.raises(VerifyStopped, match="is it the right store"):
        Verification(archive, state).run(2)


def test_two_do_not_verify_at_a_time(
    archive: Archive, keys: list[str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()
    open_one = archive.store.open

    def open_slowly(key: str) -> Any:
        entered.set()
        assert leave.wait(30)
        return open_one(key)

    monkeypatch.setattr(archive.store, "open", open_slowly)
    first = Verification(archive, state)
    thread = threading.Thread(target=first.run, args=(1,))
    thread.start()
    assert entered.wait(30)
    with pytest.raises(VerifyStopped, match="another"):
        Verification(archive, state).run(1)
    leave.set()
    thread.join()
    assert first.report.objects == OBJECTS


def test_an_index_that_goes_away_ends_the_run_and_the_next_one_goes_on(
    archive: Archive, keys: list[str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_objects, batches = archive.index.list_objects, [0]

    def list_two_batches(*arguments: Any) -> Any:
        batches[0] += 1
        if batches[0] > 2:
            raise IndexUnavailable("away")
        return list_objects(*arguments)

    with monkeypatch.context() as broken, pytest.raises(IndexUnavailable):
        broken.setattr(archive.index, "list_objects", list_two_batches)
        Verification(archive, state).run(2)
    second = Verification(archive, state)
    assert second.run(2).objects == OBJECTS
    assert second.gone_on_from == 6
