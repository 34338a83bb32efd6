"""The archives that are put under fire: settings for an empty one, with a PostgreSQL that can be killed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest

from pacs.archive import open_archive
from pacs.jobs.sweep import sweep
from pacs.settings import Settings
from tests.e2e.archive_process import ArchiveProcess
from tests.servers import PostgresqlServer, postgresql_server, shared_seaweedfs
from tests.soak.judge import Verdict, judge
from tests.soak.modality import Ledger

BACK_WITHIN_S = 60.0


def shortened(variable: str, usual: int) -> int:
    """Length of a soak; ``SOAK_ROUNDS`` and ``SOAK_SECONDS`` in the environment make all of them shorter."""
    return int(os.environ.get(variable, usual))


@dataclass(frozen=True, slots=True)
class Setup:
    """Settings of an empty archive, and its database server where there is one."""

    environment: Mapping[str, str]
    database: PostgresqlServer | None = None


@contextmanager
def sqlite_and_folder(folder: Path) -> Iterator[Setup]:
    """The defaults."""
    yield Setup({"FILMLESS_DATA_DIR": str(folder / "data")})


@contextmanager
def postgresql_and_s3(folder: Path) -> Iterator[Setup]:
    """A PostgreSQL of its own that syncs, and a prefix of its own on a real S3 server."""
    with postgresql_server(durable=True) as database:
        s3 = shared_seaweedfs()
        environment = {
            "FILMLESS_DATA_DIR": str(folder / "data"),
            "FILMLESS_DATABASE_URL": database.url,
            "FILMLESS_STORE_URL": s3.store_url("soak", uuid4().hex),
            **s3.environment,
        }
        yield Setup(environment, database)


SETUPS = {"sqlite-folder": sqlite_and_folder, "postgresql-s3": postgresql_and_s3}


def wait_until(condition: Callable[[], object], what: str, within_s: float = BACK_WITHIN_S) -> None:
    """Wait for what must come by itself."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def judge_twice(archive: ArchiveProcess, setup: Setup, folder: Path, ledger: Ledger) -> Verdict:
    """Judge what is there, let the sweep adopt what crashes left between store and index, and judge again."""
    judge(archive.http_url, ledger).require_clean()
    sweep_now(setup, folder)
    verdict = judge(archive.http_url, ledger)
    verdict.require_clean()
    return verdict


def sweep_now(setup: Setup, folder: Path) -> None:
    """Sweep as the worker does, but without waiting until what nobody sends any more has settled."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        for variable, value in setup.environment.items():
            monkeypatch.setenv(variable, value)
        archive = open_archive(Settings())
        try:
            report = sweep(archive, Event(), timedelta(0))
            assert not report.unreadable, f"the sweep found damaged objects: {report}"
            assert not report.postponed, f"the sweep could not read objects: {report}"
            assert not report.missing, f"the sweep found rows without objects: {report}"
            assert not sweep(archive, Event(), timedelta(0)).adopted, "a second sweep found more"
        finally:
            archive.close()
