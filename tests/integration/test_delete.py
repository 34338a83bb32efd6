"""Deleting: what readers see, what the ledger says, what stays in the store, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.conflict_policy import ConflictPolicy
from pacs.conflicts import settle
from pacs.delete import delete_instances
from pacs.dicom.attributes import Level
from pacs.errors import DeletedInstance, DeletionNotAllowed, NotFound
from pacs.index.group_commit import GroupCommit
from pacs.index.records import Query
from pacs.ingest import Disposition, IncomingInstance, Origin, store_instance
from pacs.jobs.ledger_replay import catch_up
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.jobs.removal import remove_deleted
from pacs.jobs.sweep import sweep
from pacs.ledger.chain import walk_chain
from pacs.ledger.entries import Tombstone, read_entry
from pacs.ledger.segments import KEY_PREFIX
from pacs.pictures.disk_cache import DiskCache
from pacs.pictures.pictures import picture_folder
from pacs.retrieve import find_instances
from storage.errors import StoreUnavailable
from tests.datasets import encode, make_dataset
from tests.index_dump import dump_index
from tests.integration.rebuilding import rebuilt

EXPLICIT = "1.2.840.10008.1.2.1"
AT_ONCE = timedelta(0)


@pytest.fixture
def archive(archive: Archive) -> Archive:
    return with_settings(archive, allow_delete=True)


def with_settings(archive: Archive, **settings: Any) -> Archive:
    return replace(archive, settings=archive.settings.model_copy(update=settings))


def send(archive: Archive, dataset: Dataset) -> Disposition:
    incoming = IncomingInstance(EXPLICIT, dataset.SOPClassUID, dataset.SOPInstanceUID, [encode(dataset)])
    return store_instance(archive, incoming, Origin("dimse", "CT1")).disposition


def send_series(archive: Archive, number: int, **attributes: Any) -> list[Dataset]:
    series = generate_uid()
    datasets = [make_dataset(SeriesInstanceUID=series, InstanceNumber=n, **attributes) for n in range(number)]
    for dataset in datasets:
        send(archive, dataset)
    return datasets


def counts(archive: Archive, study_instance_uid: str) -> tuple[int, int, list[int]]:
    """Return the numbers of series and instances of a study, and of instances in each series."""
    ((study,), _), (series, _) = (
        (list(page.matches), page.truncated)
        for page in (
            archive.index.search(Query(level, (), study_instance_uid))
            for level in (Level.STUDY, Level.SERIES)
        )
    )
    return (
        study.values["NumberOfStudyRelatedSeries"],
        study.values["NumberOfStudyRelatedInstances"],
        [one.values["NumberOfSeriesRelatedInstances"] for one in series],
    )  # type: ignore[return-value]


def objects(archive: Archive) -> set[str]:
    return {stat.key for stat in archive.store.list() if not stat.key.startswith(KEY_PREFIX)}


def test_counts_are_right_after_an_instance_a_series_and_a_study_were_deleted(archive: Archive) -> None:
    study = generate_uid()
    first, second = (send_series(archive, 3, StudyInstanceUID=study) for _ in range(2))
    other = make_dataset()
    send(archive, other)
    uids = study, first[0].SeriesInstanceUID
    assert delete_instances(archive, *uids, first[1].SOPInstanceUID) == 1
    assert counts(archive, study) == (2, 5, [2, 3])
    assert delete_instances(archive, *uids) == 2
    assert counts(archive, study) == (1, 3, [3])
    assert delete_instances(archive, study) == 3
    assert find_instances_of(archive, study) == []
    assert archive.index.search(Query(Level.STUDY, ())).matches[0].values["StudyInstanceUID"] == (
        other.StudyInstanceUID
    )
    assert len(second) == 3


def find_instances_of(archive: Archive, study_instance_uid: str) -> list[Any]:
    return archive.index.find_instances(study_instance_uid)


def test_what_is_not_there_cannot_be_deleted(archive: Archive) -> None:
    dataset = make_dataset()
    send(archive, dataset)
    with pytest.raises(NotFound):
        delete_instances(archive, generate_uid())
    with pytest.raises(NotFound):
        delete_instances(archive, dataset.StudyInstanceUID, generate_uid())
    with pytest.raises(NotFound):
        delete_instances(archive, generate_uid(), dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    with pytest.raises(DeletionNotAllowed):
        delete_instances(with_settings(archive, allow_delete=False), dataset.StudyInstanceUID)
    assert len(find_instances(archive, dataset.StudyInstanceUID)) == 1


def test_a_deletion_is_in_the_ledger_and_no_rebuild_undoes_it(
    archive: Archive, bare: Callable[[], Archive]
) -> None:
    kept, deleted = send_series(archive, 2), send_series(archive, 2)
    seal_ledger(archive)
    delete_instances(archive, deleted[0].StudyInstanceUID)
    delete_instances(archive, deleted[1].StudyInstanceUID)
    seal_ledger(archive)
    entries = [read_entry(line) for segment in walk_chain(archive.store) for line in segment.lines]
    assert sum(isinstance(entry, Tombstone) for entry in entries) == 2
    report = rebuilt(empty := bare())
    assert (report.without_receipt, report.ledger.faults) == (0, [])
    assert dump_index(empty) == dump_index(archive)
    assert len(dump_index(empty)["instance"]) == len(kept)
    assert sweep(archive, Event(), AT_ONCE).adopted == 0


def test_an_index_from_a_backup_learns_what_was_deleted_since(
    archive: Archive, bare: Callable[[], Archive]
) -> None:
    study = generate_uid()
    first = make_dataset(StudyInstanceUID=study, StudyDescription="wrong")
    second = make_dataset(StudyInstanceUID=study, StudyDescription="right")
    send(archive, first)
    send(archive, second)
    seal_ledger(archive)
    rebuilt(restored := bare())
    delete_instances(archive, study, first.SeriesInstanceUID, first.SOPInstanceUID)
    seal_ledger(archive)
    catch_up(restored, Event())
    assert dump_index(restored) == dump_index(archive)


def test_objects_leave_the_store_when_their_time_is_over(archive: Archive) -> None:
    send(archive, make_dataset())
    kept = objects(archive)
    deleted = make_dataset()
    send(archive, deleted)
    delete_instances(archive, deleted.StudyInstanceUID)
    assert remove_deleted(archive, Event(), timedelta(hours=1)) == 0
    assert len(objects(archive)) == 2
    assert remove_deleted(archive, Event(), AT_ONCE) == 1
    assert objects(archive) == kept
    assert remove_deleted(archive, Event(), AT_ONCE) == 0
    assert sweep(archive, Event(), AT_ONCE).missing == 0


def test_pictures_go_with_the_object_that_they_were_made_of(archive: Archive) -> None:
    (deleted, kept) = (send_series(archive, 1)[0] for _ in range(2))
    folder = picture_folder(archive.settings.data_dir)
    cache = DiskCache(folder, 1 << 20)
    sha256 = {}
    for dataset in (deleted, kept):
        (found,) = find_instances(archive, dataset.StudyInstanceUID)
        sha256[dataset.SOPInstanceUID] = found.location.sha256
        cache.put(found.location.sha256, "key", b"picture")
    delete_instances(archive, deleted.StudyInstanceUID)
    remove_deleted(archive, Event(), AT_ONCE)
    assert cache.get(sha256[deleted.SOPInstanceUID], "key") is None
    assert cache.get(sha256[kept.SOPInstanceUID], "key") == b"picture"


def test_a_worker_that_dies_between_store_and_index_leaves_work_that_is_finished(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    (deleted,) = send_series(archive, 1)
    delete_instances(archive, deleted.StudyInstanceUID)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(
            "pacs.index.tombstones.mark_removed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        remove_deleted(archive, Event(), AT_ONCE)
    assert objects(archive) == set()
    monkeypatch.setattr("pacs.index.tombstones._CLAIM_ENDS_AFTER", AT_ONCE)
    assert remove_deleted(archive, Event(), AT_ONCE) == 1
    assert remove_deleted(archive, Event(), AT_ONCE) == 0


def test_a_deletion_that_dies_before_its_end_changes_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dataset,) = send_series(archive, 1)
    before = dump_index(archive)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(
            "pacs.index.tombstones.append_lines", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        delete_instances(archive, dataset.StudyInstanceUID)
    assert dump_index(archive) == before
    assert remove_deleted(archive, Event(), AT_ONCE) == 0


def test_what_was_deleted_is_taken_in_when_it_is_sent_again(
    archive: Archive, bare: Callable[[], Archive]
) -> None:
    dataset = make_dataset()
    for _ in range(2):
        assert send(archive, dataset) is Disposition.STORED
        delete_instances(archive, dataset.StudyInstanceUID)
    assert send(archive, dataset) is Disposition.STORED
    remove_deleted(archive, Event(), AT_ONCE)
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    assert archive.store.stat(found.location.key).size_bytes == found.location.size_bytes
    assert len(objects(archive)) == 1
    seal_ledger(archive)
    rebuilt(empty := bare())
    assert len(find_instances(empty, dataset.StudyInstanceUID)) == 1


def test_what_was_deleted_is_refused_where_the_settings_say_so(archive: Archive) -> None:
    strict = with_settings(archive, accept_deleted_again=False)
    dataset = make_dataset()
    send(strict, dataset)
    assert send(strict, dataset) is Disposition.ALREADY_STORED
    delete_instances(strict, dataset.StudyInstanceUID)
    with pytest.raises(DeletedInstance):
        send(strict, dataset)
    assert send(archive, dataset) is Disposition.STORED
    assert send(strict, dataset) is Disposition.ALREADY_STORED  # it is there again


def test_every_content_of_an_instance_is_deleted_with_it(archive: Archive) -> None:
    dataset = make_dataset()
    send(archive, dataset)
    dataset.Rows = 8
    send(with_settings(archive, on_conflict=ConflictPolicy.REPLACE), dataset)
    dataset.Columns = 8
    assert send(archive, dataset) is Disposition.CONFLICT
    dataset.SOPInstanceUID, dataset.PatientID = generate_uid(), "OTHER"
    assert send(archive, dataset) is Disposition.PATIENT_DIFFERS
    assert delete_instances(archive, dataset.StudyInstanceUID) == 2
    assert archive.index.list_conflicts(open_only=False) == []
    assert remove_deleted(archive, Event(), AT_ONCE) == 4
    assert objects(archive) == set()


def test_a_study_says_what_is_left_of_it_once_a_wrong_instance_is_deleted(archive: Archive) -> None:
    study = generate_uid()
    wrong = make_dataset(StudyInstanceUID=study, PatientID="WRONG", PatientName="Sai^Người")
    right = make_dataset(StudyInstanceUID=study)
    assert [send(archive, wrong), send(archive, right)] == [Disposition.STORED, Disposition.PATIENT_DIFFERS]
    delete_instances(archive, study, wrong.SeriesInstanceUID, wrong.SOPInstanceUID)
    (match,) = archive.index.search(Query(Level.STUDY, ())).matches
    assert (match.values["PatientID"], match.values["PatientName"]) == ("BN0001", "NGUYỄN^VĂN ĐỨC")
    assert archive.index.list_conflicts() == []


@pytest.fixture
def unpacked(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive in which a content always has the same key, as in S3, and as what no pack takes has."""
    stage = archive.store.stage
    monkeypatch.setattr(archive.store, "stage", lambda *, packed: stage(packed=False))
    return archive


def test_an_object_is_not_acknowledged_while_it_is_being_removed(unpacked: Archive) -> None:
    dataset = make_dataset()
    send(unpacked, dataset)
    delete_instances(unpacked, dataset.StudyInstanceUID)
    now = datetime.now(UTC)
    claimed = unpacked.index.claim_removals(now, now, 10)  # and found unwanted, a moment ago
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            send(unpacked, dataset)
        assert find_instances_of(unpacked, dataset.StudyInstanceUID) == []
    unpacked.store.delete(claimed[0].key)
    unpacked.index.mark_removed(claimed, now)
    assert send(unpacked, dataset) is Disposition.STORED
    assert remove_deleted(unpacked, Event(), AT_ONCE) == 0
    assert len(objects(unpacked)) == 1


def test_an_object_that_was_removed_between_its_commit_and_its_row_is_not_acknowledged(
    unpacked: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()
    send(unpacked, dataset)
    delete_instances(unpacked, dataset.StudyInstanceUID)
    write = GroupCommit.write

    def removed_before(*arguments: Any, **options: Any) -> Any:
        remove_deleted(unpacked, Event(), AT_ONCE)
        return write(*arguments, **options)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(GroupCommit, "write", removed_before)
        with pytest.raises(StoreUnavailable):
            send(unpacked, dataset)
    assert find_instances_of(unpacked, dataset.StudyInstanceUID) == []
    assert send(unpacked, dataset) is Disposition.STORED


def test_what_came_again_before_its_removal_stays(unpacked: Archive) -> None:
    dataset = make_dataset()
    send(unpacked, dataset)
    delete_instances(unpacked, dataset.StudyInstanceUID)
    assert send(unpacked, dataset) is Disposition.STORED
    assert remove_deleted(unpacked, Event(), AT_ONCE) == 0
    assert len(objects(unpacked)) == 1


def test_one_worker_leaves_to_another_what_that_has_claimed_until_it_seems_to_be_gone(
    archive: Archive,
) -> None:
    (deleted,) = send_series(archive, 1)
    delete_instances(archive, deleted.StudyInstanceUID)
    now = datetime.now(UTC)
    assert len(archive.index.claim_removals(now, now, 10)) == 1
    assert remove_deleted(archive, Event(), AT_ONCE) == 0
    later = now + timedelta(hours=1)
    assert len(archive.index.claim_removals(now, later, 10)) == 1


def test_senders_beside_a_worker_that_removes_keep_all_that_was_acknowledged(unpacked: Archive) -> None:
    datasets = [make_dataset() for _ in range(6)]
    over = Event()

    def delete_and_send(dataset: Dataset) -> None:
        for _ in range(6):
            with suppress(StoreUnavailable):
                send(unpacked, dataset)
            with suppress(NotFound):
                delete_instances(unpacked, dataset.StudyInstanceUID)
        while True:
            with suppress(StoreUnavailable):
                send(unpacked, dataset)
                return

    def remove() -> None:
        while not over.is_set():
            remove_deleted(unpacked, Event(), AT_ONCE)

    with ThreadPoolExecutor(len(datasets) + 1) as pool:
        removing = pool.submit(remove)
        try:
            list(pool.map(delete_and_send, datasets))
        finally:
            over.set()
        removing.result()
    remove_deleted(unpacked, Event(), AT_ONCE)
    for dataset in datasets:
        (found,) = find_instances(unpacked, dataset.StudyInstanceUID)
        assert unpacked.store.stat(found.location.key).size_bytes == found.location.size_bytes


def test_deleting_beside_writers_leaves_right_counts_and_no_row_without_its_object(archive: Archive) -> None:
    study, series = generate_uid(), generate_uid()
    datasets = [make_dataset(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(24)]

    def send_and_delete(number: int) -> None:
        dataset = datasets[number]
        send(archive, dataset)
        if number % 2:
            delete_instances(archive, study, series, dataset.SOPInstanceUID)
        if number % 8 == 7:
            remove_deleted(archive, Event(), AT_ONCE)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send_and_delete, range(len(datasets))))
    remove_deleted(archive, Event(), AT_ONCE)
    assert counts(archive, study) == (1, 12, [12])
    kept = {instance.location.key for instance in find_instances(archive, study)}
    assert objects(archive) == kept


def test_an_instance_that_was_settled_into_another_study_keeps_its_conflict(archive: Archive) -> None:
    dataset = make_dataset()
    first = dataset.StudyInstanceUID
    rest = make_dataset(StudyInstanceUID=first)
    send(archive, dataset)
    send(archive, rest)
    dataset.StudyInstanceUID = generate_uid()
    send(archive, dataset)
    (conflict,) = archive.index.list_conflicts()
    settle(archive, conflict, "new")
    delete_instances(archive, first)
    assert [one.subject for one in archive.index.list_conflicts(open_only=False)] == [conflict.subject]
    assert sweep(archive, Event(), AT_ONCE).adopted == 0
    assert len(find_instances(archive, dataset.StudyInstanceUID)) == 1
