"""What was looked for lately is known until anything changes, in this process or in another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest

from pacs.archive import Archive
from pacs.index.engine import create_index_engine
from pacs.index.index import Index
from pacs.index.recent_instances import RecentInstances
from pacs.index.records import StoredInstance
from tests.integration.test_index import make_record

UIDS = ("1.2.1", "1.2.1.1", "1.2.1.1.1")


@pytest.fixture
def other(archive: Archive) -> Iterator[Index]:
    """The same index, as another process has it open."""
    opened = Index(create_index_engine(archive.settings.resolved_database_url))
    yield opened
    opened.close()


def test_an_instance_is_found_from_the_moment_on_that_it_is_written(archive: Archive, other: Index) -> None:
    assert archive.index.find_instances(*UIDS) == []
    other.write(make_record())
    assert [one.sop_instance_uid for one in archive.index.find_instances(*UIDS)] == [UIDS[2]]
    archive.index.write(make_record(2))
    assert len(archive.index.find_instances(*UIDS[:2])) == 2
    assert len(other.find_instances(*UIDS[:2])) == 2


@pytest.mark.parametrize("by_another", [False, True])
def test_what_was_deleted_is_not_found_from_that_moment_on(
    archive: Archive, other: Index, by_another: bool
) -> None:
    archive.index.write(make_record())
    for uids in (UIDS, UIDS[:2], UIDS[:1]):
        assert len(archive.index.find_instances(*uids)) == 1
    index = other if by_another else archive.index
    index.delete_instances(UIDS, datetime.now(UTC), lambda _: make_record(), 10)
    for uids in (UIDS, UIDS[:2], UIDS[:1]):
        assert archive.index.find_instances(*uids) == []


def test_sqlite_needs_no_query_until_something_is_committed(archive: Archive, other: Index) -> None:
    is_sqlite = archive.settings.resolved_database_url.startswith("sqlite:")
    archive.index.write(make_record())
    assert archive.index.known_instances(*UIDS) is None
    found = archive.index.find_instances(*UIDS)
    assert archive.index.known_instances(*UIDS) == (tuple(found) if is_sqlite else None)
    assert archive.index.known_instances(*UIDS[:2]) is None
    other.write(make_record(2))
    assert archive.index.known_instances(*UIDS) is None


def test_a_list_that_was_given_out_is_its_takers_own(archive: Archive) -> None:
    archive.index.write(make_record())
    archive.index.find_instances(*UIDS).clear()
    archive.index.find_instances(*UIDS).clear()
    assert len(archive.index.find_instances(*UIDS)) == 1


@pytest.fixture
def recent(tmp_path: Path) -> Iterator[RecentInstances]:
    opened = RecentInstances(create_index_engine(f"sqlite:///{tmp_path}/index.sqlite"))
    yield opened
    opened.close()


def commit(folder: Path) -> None:
    with create_index_engine(f"sqlite:///{folder}/index.sqlite").begin() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS change (at INTEGER)")
        connection.exec_driver_sql("INSERT INTO change VALUES (1)")


def test_an_answer_that_a_commit_overtook_is_not_remembered(
    tmp_path: Path, recent: RecentInstances, archive: Archive
) -> None:
    archive.index.write(make_record())
    found = archive.index.find_instances(*UIDS)

    def overtaken() -> list[StoredInstance]:
        commit(tmp_path)
        recent.get(("another",))  # of another thread, which sees the commit
        return found

    assert recent.find(("1.2",), overtaken) == found
    assert recent.get(("1.2",)) is None
    assert recent.find(("1.2",), lambda: found) == found
    assert recent.get(("1.2",)) is not None


def test_what_is_not_there_is_not_remembered_so_that_asking_costs_no_memory(recent: RecentInstances) -> None:
    assert recent.find(UIDS, list) == []
    assert recent.get(UIDS) is None


def test_what_was_asked_longest_ago_is_forgotten_first(recent: RecentInstances, archive: Archive) -> None:
    archive.index.write(make_record())

    def many() -> list[StoredInstance]:
        return archive.index.find_instances(*UIDS) * 4000

    recent.find(("a",), many)
    recent.find(("b",), many)
    assert recent.get(("a",)) is not None
    recent.find(("c",), many)
    assert recent.get(("b",)) is None
    assert recent.get(("a",)) is not None


def test_many_threads_may_ask_while_another_process_writes(archive: Archive, other: Index) -> None:
    stop, failures = Event(), []

    def ask() -> None:
        last = 0
        while not stop.is_set():
            number = len(archive.index.find_instances(*UIDS[:1]))
            if number < last:
                failures.append((last, number))
            last = number

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 31):
        other.write(make_record(number))
        if len(archive.index.find_instances(*UIDS[:1])) != number:
            failures.append((number, "not seen"))
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
