from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import event

from pacs.archive import Archive
from pacs.dicom.attributes import Level
from pacs.errors import IndexUnavailable
from pacs.index.engine import create_index_engine
from pacs.index.group_commit import GroupCommit
from pacs.index.records import InstanceRecord, Query
from pacs.index.writer import WriteOutcome
from tests.integration.test_index import make_record

WAITS_S = 10.0


def write_together(writer: GroupCommit, records: Sequence[InstanceRecord]) -> list[Future[WriteOutcome]]:
    """Write records that all wait before the first leader begins."""
    with ThreadPoolExecutor(len(records)) as pool, writer._leading:
        futures = [pool.submit(writer.write, record) for record in records]
        deadline = time.monotonic() + WAITS_S
        while len(writer._waiting) < len(records) and time.monotonic() < deadline:
            time.sleep(0.01)
    return futures


@pytest.fixture
def writer(archive: Archive) -> GroupCommit:
    return archive.index._group_commit


def test_writers_that_come_together_share_one_transaction(archive: Archive, writer: GroupCommit) -> None:
    commits = []
    event.listen(writer._engine, "commit", commits.append)
    futures = write_together(writer, [make_record(number) for number in range(20)])
    assert [future.result() for future in futures] == [WriteOutcome.ADDED] * 20
    assert len(commits) == 1
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
    writer = GroupCommit(create_index_engine("postgresql://nobody@127.0.0.1:1/none"))
    for future in write_together(writer, [make_record(number) for number in range(5)]):
        with pytest.raises(IndexUnavailable):
            future.result()


def test_a_lone_writer_waits_for_nobody(writer: GroupCommit) -> None:
    assert writer.write(make_record()) is WriteOutcome.ADDED
    assert not writer._waiting
