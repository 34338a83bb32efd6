"""A database or store that holds its connections and answers nothing: an error in time, and then it goes on.

The deadlines are shorter here than in earnest. What hangs fails by `ends`, which waits far longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from pacs.archive import Archive
from pacs.errors import IndexUnavailable
from pacs.index import engine, postgresql
from pacs.ingest import IncomingInstance, Origin, store_instance
from pacs.retrieve import find_instances, read_chunks
from storage import s3_bucket, s3_requests
from storage.errors import StoreUnavailable
from tests.backends import fresh_archive
from tests.datasets import CT_IMAGE_STORAGE, encode, make_dataset
from tests.integration.test_spool import EXPLICIT, read_all, store
from tests.servers import frozen, postgresql_process_id, shared_seaweedfs

T = TypeVar("T")
HANGS_AFTER_S = 25.0


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql.ImpatientConnection, "answer_timeout_s", 1.0)
    monkeypatch.setattr(postgresql, "ANSWER_TIMEOUT_S", 1.0)
    monkeypatch.setitem(postgresql.CONNECT_ARGUMENTS, "connect_timeout", 2)
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 1)
    for module in (s3_requests, s3_bucket):
        monkeypatch.setattr(module, "READ_TIMEOUT_S", 1.0)
    monkeypatch.setattr(s3_requests, "DEADLINE_S", 3.0 + s3_requests.CONNECT_TIMEOUT_S)


@pytest.fixture
def ends() -> Iterator[Callable[[Callable[[], T]], T]]:
    """Run a function, and fail if it hangs."""
    pool = ThreadPoolExecutor()

    def run(function: Callable[[], T]) -> T:
        future: Future[T] = pool.submit(function)
        return future.result(HANGS_AFTER_S)

    yield run
    pool.shutdown(wait=False)


def freeze_database(archive: Archive) -> AbstractContextManager[None]:
    return frozen(postgresql_process_id(archive.settings.resolved_database_url))


Ends = Callable[[Callable[[], object]], object]


def test_a_frozen_database_is_unavailable_and_comes_back(tmp_path: Path, ends: Ends) -> None:
    with fresh_archive("postgresql-spool", tmp_path) as archive:
        first = store(archive)
        with freeze_database(archive):
            with pytest.raises(IndexUnavailable):
                ends(lambda: store(archive))
            with pytest.raises(IndexUnavailable):
                ends(lambda: find_instances(archive, first.study_instance_uid))
            with pytest.raises(IndexUnavailable):
                ends(archive.index.check)
        read_all(archive, [first, store(archive)])


def test_writers_that_wait_for_a_frozen_database_are_all_told(tmp_path: Path, ends: Ends) -> None:
    with fresh_archive("postgresql-s3", tmp_path) as archive, ThreadPoolExecutor(8) as pool:
        store(archive)
        with freeze_database(archive):
            waiting = [pool.submit(store, archive) for _ in range(8)]
            for future in waiting:
                with pytest.raises(IndexUnavailable):
                    ends(future.result)
        read_all(archive, [store(archive)])


def test_a_client_that_fell_silent_in_a_transaction_does_not_keep_its_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = str(postgresql.CONNECT_ARGUMENTS["options"])
    impatient = options.replace(
        "idle_in_transaction_session_timeout=15s", "idle_in_transaction_session_timeout=300"
    )
    assert impatient != options
    monkeypatch.setitem(postgresql.CONNECT_ARGUMENTS, "options", impatient)
    with (
        fresh_archive("postgresql-s3", tmp_path) as archive,
        archive.index._engine.connect() as silent,  # as one whose packets no longer arrive
    ):
        silent.exec_driver_sql("LOCK TABLE study")
        read_all(archive, [store(archive)])
        silent.invalidate()


def send_all_but_the_commit(client: psycopg.Connection[object]) -> None:
    """As a group commit does; the last message of a pipeline is a Flush."""
    with client.pipeline(), client.cursor() as cursor:
        cursor.executemany("SELECT %s", [(1,)])


def send_half_of_a_pipeline(client: psycopg.Connection[object]) -> None:
    client.pgconn.enter_pipeline_mode()
    client.pgconn.send_query_params(b"SELECT 1", None)
    client.pgconn.send_flush_request()
    client.pgconn.flush()


@pytest.mark.parametrize("last_words", [send_all_but_the_commit, send_half_of_a_pipeline])
def test_a_client_that_fell_silent_around_a_pipeline_does_not_keep_its_locks(
    last_words: Callable[[psycopg.Connection[object]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_archive("postgresql-s3", tmp_path) as archive:
        archive.index._engine.dispose()
        with monkeypatch.context() as of_silent:
            of_silent.setattr(postgresql, "TRANSACTION_TIMEOUT", "400ms")
            silent = archive.index._engine.connect()
        silent.exec_driver_sql("LOCK TABLE study")
        client = silent.connection.driver_connection
        assert isinstance(client, psycopg.Connection)
        last_words(client)
        read_all(archive, [store(archive)])
        silent.invalidate()


def test_the_server_looks_for_clients_of_whom_it_hears_nothing(tmp_path: Path) -> None:
    with fresh_archive("postgresql-s3", tmp_path) as archive, archive.index._engine.connect() as connection:
        names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
        shown = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]
        assert shown == ["10", "5", "3", "25000"]  # s, s, times, ms


def test_a_locked_database_is_unavailable_and_comes_back(tmp_path: Path, ends: Ends) -> None:
    with fresh_archive("sqlite-folder", tmp_path) as archive:
        first = store(archive)
        with engine.writing(archive.index._engine), pytest.raises(IndexUnavailable):
            ends(lambda: store(archive))
        read_all(archive, [first, store(archive)])


def test_a_migration_may_take_longer_than_other_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "TRANSACTION_TIMEOUT", "1s")
    with fresh_archive("postgresql-s3", tmp_path) as archive, archive.index._engine.connect() as connection:
        with postgresql.without_haste(connection):
            connection.exec_driver_sql("SELECT pg_sleep(2)")
        with pytest.raises(Exception, match="does not answer"):
            connection.exec_driver_sql("SELECT pg_sleep(2)")


def test_a_frozen_store_is_unavailable_and_comes_back(tmp_path: Path, ends: Ends) -> None:
    with fresh_archive("postgresql-s3", tmp_path) as archive:
        first = store(archive)
        (found,) = find_instances(archive, first.study_instance_uid)
        with frozen(shared_seaweedfs().process_id):
            with pytest.raises(StoreUnavailable):
                ends(lambda: store(archive))
            with pytest.raises(StoreUnavailable):
                ends(lambda: list(read_chunks(archive, found)))
            with pytest.raises(StoreUnavailable):
                ends(lambda: list(archive.store.list()))
            with pytest.raises(StoreUnavailable):
                ends(archive.store.check)
        read_all(archive, [first, store(archive)])


def test_in_front_of_a_frozen_store_the_spool_takes_in_and_gives_out(tmp_path: Path, ends: Ends) -> None:
    dataset = make_dataset()
    incoming = IncomingInstance(EXPLICIT, CT_IMAGE_STORAGE, dataset.SOPInstanceUID, [encode(dataset)])
    with fresh_archive("sqlite-spool", tmp_path) as archive, frozen(shared_seaweedfs().process_id):
        outcome = ends(lambda: store_instance(archive, incoming, Origin("dimse")))
        ends(lambda: read_all(archive, [outcome]))  # type: ignore[list-item]
        ends(archive.store.check)
