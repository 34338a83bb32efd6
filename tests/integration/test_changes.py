"""The feed of changes: each one once, in order, whoever writes meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.changes import Action, Change, read_changes
from pacs.conflict_policy import ConflictPolicy
from pacs.conflicts import settle
from pacs.delete import delete_instances
from pacs.index.engine import create_index_engine
from pacs.index.index import Index
from pacs.index.ledger_rows import append_lines
from pacs.ingest import Disposition, IncomingInstance, Origin, store_instance
from pacs.jobs.ledger_sealing import seal_ledger
from pacs.jobs.rebuild import RebuildReport, rebuild_index
from tests.datasets import encode, make_dataset

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def archive(archive: Archive) -> Archive:
    return replace(archive, settings=archive.settings.model_copy(update={"allow_delete": True}))


def send(archive: Archive, dataset: Dataset, policy: ConflictPolicy = ConflictPolicy.KEEP) -> Disposition:
    archive = replace(archive, settings=archive.settings.model_copy(update={"on_conflict": policy}))
    incoming = IncomingInstance(EXPLICIT, dataset.SOPClassUID, dataset.SOPInstanceUID, [encode(dataset)])
    return store_instance(archive, incoming, Origin("dimse", "CT1")).disposition


def follow(archive: Archive, since: int = 0, limit: int = 1000) -> Iterator[Change]:
    """Read on until nothing new is told."""
    while True:
        page = read_changes(archive, since, limit)
        yield from page.changes
        if page.last == since:
            return
        since = page.last


def told(changes: Iterator[Change]) -> list[tuple[Action, str | None]]:
    return [(change.action, change.sop_instance_uid) for change in changes]


def test_what_readers_see_is_told_and_nothing_else(archive: Archive) -> None:
    dataset = make_dataset()
    uid, study = dataset.SOPInstanceUID, dataset.StudyInstanceUID
    send(archive, dataset)
    send(archive, dataset)  # the same again
    dataset.Rows = 8
    send(archive, dataset)  # a conflict: readers see nothing of it
    dataset.Columns = 8
    send(archive, dataset, ConflictPolicy.REPLACE)
    (conflict,) = archive.index.list_conflicts()
    settle(archive, conflict, "new")
    other = make_dataset(StudyInstanceUID=study, PatientID="OTHER")
    send(archive, other)
    (patients,) = archive.index.list_conflicts()
    settle(archive, patients, "new")
    delete_instances(archive, study, dataset.SeriesInstanceUID, uid)
    changes = list(follow(archive))
    assert told(iter(changes))[:5] == [
        (Action.STORED, uid),
        (Action.CHANGED, uid),
        (Action.CHANGED, uid),
        (Action.STORED, other.SOPInstanceUID),
        (Action.CHANGED, None),
    ]
    assert set(told(iter(changes[5:]))) == {(Action.DELETED, uid)}
    assert {change.study_instance_uid for change in changes} == {study}
    assert [change.sequence for change in changes] == sorted({change.sequence for change in changes})


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_pages_of_any_size_tell_the_same_before_and_after_sealing(archive: Archive, limit: int) -> None:
    datasets = [make_dataset() for _ in range(7)]
    for number, dataset in enumerate(datasets):
        send(archive, dataset)
        if number in (2, 4):
            seal_ledger(archive)
    expected = [(number, dataset.SOPInstanceUID) for number, dataset in enumerate(datasets, start=1)]
    found = [(change.sequence, change.sop_instance_uid) for change in follow(archive, limit=limit)]
    assert found == expected
    seal_ledger(archive)
    found = [(change.sequence, change.sop_instance_uid) for change in follow(archive, since=1, limit=limit)]
    assert found == expected[1:]


def test_numbers_stay_when_the_index_is_made_again(archive: Archive) -> None:
    for _ in range(3):
        send(archive, make_dataset())
        seal_ledger(archive)
    send(archive, make_dataset())
    before = list(follow(archive))
    rebuild_index(archive, Event(), RebuildReport(), from_scratch=True)
    assert list(follow(archive)) == before
    send(archive, make_dataset())
    assert [change.sequence for change in follow(archive, since=4)] == [5]


def test_no_numbers_are_given_while_the_ledger_has_what_the_index_lacks(archive: Archive) -> None:
    send(archive, make_dataset())
    seal_ledger(archive)
    archive.index.clear()  # as a restored backup of yesterday
    send(archive, make_dataset())
    assert list(follow(archive)) == []
    rebuild_index(archive, Event(), RebuildReport())
    assert [change.sequence for change in follow(archive)] == [1, 2]


def test_a_transaction_that_commits_late_is_not_passed_over(archive: Archive) -> None:
    """On PostgreSQL an id that was taken earlier may be committed later; SQLite has one writer at a time."""
    if archive.index._engine.dialect.name == "sqlite":
        pytest.skip("SQLite writes one transaction after the other")
    with archive.index._engine.connect() as late:
        transaction = late.begin()
        append_lines(late, _receipt_of(archive))
        send(archive, make_dataset())
        assert [change.sequence for change in follow(archive)] == [1]
        transaction.commit()
    assert [change.sequence for change in follow(archive, since=1)] == [2]
    seal_ledger(archive)
    assert [change.sequence for change in follow(archive)] == [1, 2]


def _receipt_of(archive: Archive) -> str:
    """Give a line as another process would write it."""
    send(archive, make_dataset())
    (waiting,) = archive.index.ledger.waiting_among(_All())
    with archive.index._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM ledger_entry")
    return waiting.lines[0]


class _All(frozenset[str]):
    def __contains__(self, line: object) -> bool:
        return True


def test_every_reader_sees_each_change_exactly_once_beside_writers_and_sealing(archive: Archive) -> None:
    writers, each = 4, 10
    url = archive.index._engine.url.render_as_string(hide_password=False)
    indexes = [Index(create_index_engine(url)) for _ in range(writers)]  # as processes of their own
    written_all, done = Event(), Event()

    def write(index: Index) -> list[str]:
        own, uids = replace(archive, index=index), []
        study, series = generate_uid(), generate_uid()
        for number in range(each):
            dataset = make_dataset(StudyInstanceUID=study, SeriesInstanceUID=series)
            send(own, dataset)
            uids.append(f"stored {dataset.SOPInstanceUID}")
            if number % 3 == 2:
                delete_instances(own, study, series, dataset.SOPInstanceUID)
                uids.append(f"deleted {dataset.SOPInstanceUID}")
        return uids

    def read(limit: int) -> list[Change]:
        changes: list[Change] = []
        since = 0
        while True:
            last_look = done.is_set()
            page = read_changes(archive, since, limit)
            changes += page.changes
            if last_look and page.last == since:
                return changes
            since = page.last

    def seal() -> None:
        while not written_all.wait(0.05):
            seal_ledger(archive)

    with ThreadPoolExecutor(writers + 3) as pool:
        readers = [pool.submit(read, limit) for limit in (1000, 3)]
        sealing = pool.submit(seal)
        written = [uid for uids in pool.map(write, indexes) for uid in uids]
        written_all.set()
        sealing.result()  # while a segment is being put nothing gets a number, and a last look would miss it
        done.set()
        seen = [reader.result() for reader in readers]
    for index in indexes:
        index.close()
    for changes in seen:
        assert Counter(f"{one.action} {one.sop_instance_uid}" for one in changes) == Counter(written)
        assert [one.sequence for one in changes] == list(range(1, len(written) + 1))
    assert seen[0] == seen[1] == list(follow(archive))
