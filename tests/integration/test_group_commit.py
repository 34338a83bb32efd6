from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import delete, event, text

from pacs.archive import Archive
from pacs.dicom.attributes import Level
from pacs.errors import IndexUnavailable
from pacs.index.engine import create_index_engine, reading, writing
from pacs.index.group_commit import GroupCommit
from pacs.index.models import study
from pacs.index.records import InstanceRecord, Query, WriteOutcome
from pacs.index.writer import IndexWriter
from storage.errors import StoreFull
from tests.integration.test_index import make_record

WAITS_S = 10.0


def write_together(writer: GroupCommit, records: Sequence[InstanceRecord]) -> list[Future[WriteOutcome]]:
    """Write records, of which the first leads alone while all others wait."""
    with ThreadPoolExecutor(len(records)) as pool, writer._writing:
        futures = [pool.submit(writer.write, record) for record in records]
        wait_until(lambda: len(writer._waiting) == len(records) - 1)
    return futures


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAITS_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@pytest.fixture
def writer(archive: Archive) -> GroupCommit:
    return archive.index._group_commit


def test_writers_that_come_together_share_one_transaction(archive: Archive, writer: GroupCommit) -> None:
    commits = []
    event.listen(writer._writer._engine, "commit", commits.append)
    futures = write_together(writer, [make_record(number) for number in range(20)])
    assert [future.result() for future in futures] == [WriteOutcome.ADDED] * 20
    assert len(commits) == 2
    (study,) = archive.index.search(Query(Level.STUDY)).matches
    assert study.values["NumberOfStudyRelatedInstances"] == 20


def test_a_record_that_cannot_be_written_does_not_take_the_others_along(
    archive: Archive, writer: GroupCommit
) -> None:
    records = [make_record(1), make_record(2, patient_name="\ud800"), make_record(3)]
    good, bad, other = write_together(writer, records)
    assert good.result() is other.result() is WriteOutcome.ADDED
    with pytest.raises(UnicodeEncodeError):
        bad.result()
    assert len(archive.index.find_instances("1.2.1")) == 2


def test_a_database_that_is_away_is_told_to_everyone_who_waits() -> None:
    writer = GroupCommit(IndexWriter(create_index_engine("postgresql://nobody@127.0.0.1:1/none")))
    for future in write_together(writer, [make_record(number) for number in range(5)]):
        with pytest.raises(IndexUnavailable):
            future.result()


def test_a_lone_writer_waits_for_nobody(writer: GroupCommit) -> None:
    assert writer.write(make_record()) is WriteOutcome.ADDED
    assert not writer._waiting


def test_no_row_is_written_before_its_object_is_durable(archive: Archive, writer: GroupCommit) -> None:
    rows_when_flushed: list[int] = []

    def make_durable() -> None:
        rows_when_flushed.append(archive.index.count_objects().objects)

    for number in range(3):
        writer.write(make_record(number), make_durable)
    assert rows_when_flushed == [0, 1, 2]


def test_an_object_that_cannot_be_made_durable_is_not_indexed_and_harms_no_other(
    archive: Archive, writer: GroupCommit
) -> None:
    def fail() -> None:
        raise StoreFull("no space")

    with ThreadPoolExecutor(3) as pool, writer._writing:
        steps = (lambda: None, fail, lambda: None)
        futures = [pool.submit(writer.write, make_record(n), step) for n, step in enumerate(steps)]
        wait_until(lambda: len(writer._waiting) == 2)
    assert futures[0].result() is futures[2].result() is WriteOutcome.ADDED
    with pytest.raises(StoreFull):
        futures[1].result()
    assert archive.index.count_objects().objects == 2


def test_a_leader_waits_for_those_who_came_together_before(writer: GroupCommit) -> None:
    writer._expected, writer._patience_s = 2, WAITS_S
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(writer.write, make_record(1))
        wait_until(lambda: writer._has_leader)
        time.sleep(0.05)
        assert not first.done()
        second = pool.submit(writer.write, make_record(2))
        assert first.result(WAITS_S / 2) is second.result(WAITS_S / 2) is WriteOutcome.ADDED


def test_who_does_not_come_again_is_waited_for_once(writer: GroupCommit) -> None:
    writer._expected, writer._patience_s = 5, 0.01
    assert writer.write(make_record(1)) is WriteOutcome.ADDED
    assert writer._expected == 1


def test_a_study_that_another_process_removed_is_written_again(archive: Archive) -> None:
    archive.index.write(make_record(1))
    with writing(archive.index._engine) as connection:
        connection.execute(delete(study))
    assert archive.index.write(make_record(2)) is WriteOutcome.ADDED
    (found,) = archive.index.search(Query(Level.STUDY)).matches
    assert found.values["NumberOfStudyRelatedInstances"] == 1


def test_a_connection_that_the_database_ended_is_replaced(archive: Archive) -> None:
    if archive.index._engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server that could end a connection")
    archive.index.write(make_record(1))
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with reading(archive.index._engine) as connection:
        connection.execute(text(f"{others} AND datname = current_database()"))
    assert archive.index.write(make_record(2)) is WriteOutcome.ADDED


def test_a_group_with_known_instances_writes_the_new_ones(archive: Archive, writer: GroupCommit) -> None:
    archive.index.write(make_record(2))
    records = [
        make_record(1),
        make_record(2),
        make_record(3),
        make_record(3),
        make_record(1, sha256="0" * 64),
    ]
    outcomes = [future.result() for future in write_together(writer, records)]
    assert Counter(outcomes) == {
        WriteOutcome.ADDED: 2,
        WriteOutcome.ALREADY_THERE: 2,
        WriteOutcome.CONFLICT: 1,
    }
    (found,) = archive.index.search(Query(Level.SERIES)).matches
    assert found.values["NumberOfSeriesRelatedInstances"] == 3


def test_other_bytes_of_a_known_instance_leave_no_empty_study_behind(archive: Archive) -> None:
    archive.index.write(make_record(1))
    moved = make_record(1, study="1.2.99", sha256="1" * 64)
    assert archive.index.write(moved) is WriteOutcome.CONFLICT
    assert len(archive.index.search(Query(Level.STUDY)).matches) == 1
