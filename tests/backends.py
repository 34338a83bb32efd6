"""The back ends that the same tests run on: embedded (SQLite, folder) and real servers (PostgreSQL, S3)."""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

import psycopg
import pytest

from pacs.archive import Archive, open_archive
from pacs.settings import KNOWN_VARIABLES, Settings
from tests.empty_index import migrate_database, put_empty_index
from tests.servers import postgresql, shared_seaweedfs

_BUCKET = "filmless"

# PostgreSQL starts when the first test needs it and serves all tests of this process, as the S3 server does.
_running = ExitStack()
atexit.register(_running.close)


@dataclass(frozen=True, slots=True)
class Backend:
    """Environment variables that give an archive an empty index and an empty store of its own."""

    name: str
    environment: Mapping[str, str]


@contextmanager
def embedded(folder: Path) -> Iterator[Backend]:
    """SQLite and a folder: the defaults."""
    put_empty_index(folder / "data")
    yield Backend("sqlite-folder", {"FILMLESS_DATA_DIR": str(folder / "data")})


@contextmanager
def servers(folder: Path) -> Iterator[Backend]:
    """A database of its own on a real PostgreSQL, and a prefix of its own on a real S3 server: no spool."""
    with _database() as (name, url):
        environment = {
            "FILMLESS_DATA_DIR": str(folder / "data"),
            "FILMLESS_DATABASE_URL": url,
            "FILMLESS_STORE_URL": shared_seaweedfs().store_url(_BUCKET, name),
            "FILMLESS_STORE_DURABLE": "true",
            **shared_seaweedfs().environment,
        }
        yield Backend("postgresql-s3", environment)


@contextmanager
def embedded_with_spool(folder: Path) -> Iterator[Backend]:
    """SQLite, and a real S3 server behind a spool."""
    put_empty_index(folder / "data")
    environment = {
        "FILMLESS_DATA_DIR": str(folder / "data"),
        "FILMLESS_STORE_URL": shared_seaweedfs().store_url(_BUCKET, uuid4().hex),
        **shared_seaweedfs().environment,
    }
    yield Backend("sqlite-spool", environment)


@contextmanager
def servers_with_spool(folder: Path) -> Iterator[Backend]:
    """PostgreSQL, and a real S3 server behind a spool."""
    with servers(folder) as backend:
        yield Backend("postgresql-spool", {**backend.environment, "FILMLESS_STORE_DURABLE": "false"})


BACKENDS = {"sqlite-folder": embedded, "postgresql-s3": servers}
SPOOLING_BACKENDS = {"sqlite-spool": embedded_with_spool, "postgresql-spool": servers_with_spool}


@contextmanager
def _database() -> Iterator[tuple[str, str]]:
    """Make a database with an empty index; give its name and URL."""
    name = f"test_{uuid4().hex}"
    copied = f'CREATE DATABASE "{name}" TEMPLATE "{_database_template()}" STRATEGY file_copy'
    yield name, _execute(copied).replace("/postgres", f"/{name}")
    _execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@lru_cache(maxsize=1)
def _database_template() -> str:
    name = "empty_index"
    migrate_database(_execute(f'CREATE DATABASE "{name}"').replace("/postgres", f"/{name}"))
    return name


def _execute(statement: str) -> str:
    url = _postgresql_url()
    with psycopg.connect(url.replace("postgresql+psycopg:", "postgresql:"), autocommit=True) as connection:
        connection.execute(statement.encode())
    return url


@lru_cache(maxsize=1)
def _postgresql_url() -> str:
    return _running.enter_context(postgresql())


@contextmanager
def fresh_archive(
    name: str, folder: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Archive]:
    """Open an archive of its own on a back end, in this process; ``settings`` are more variables."""
    with (BACKENDS | SPOOLING_BACKENDS)[name](folder) as backend, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)  # no settings file of the developer's
        for variable in KNOWN_VARIABLES:  # nor what another archive of this process was opened with
            monkeypatch.delenv(variable, raising=False)
        for variable, value in {**backend.environment, **settings}.items():
            monkeypatch.setenv(variable, value)
        archive = open_archive(Settings())
        yield archive
        archive.close()
