"""Connections: the same Core code on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pacs.errors import IndexUnavailable, InvalidRequest, SettingsError
from pacs.index import postgresql
from pacs.index.write_turn import WriteTurn

BUSY_TIMEOUT_S = 10
POOL_TIMEOUT_S = 10
# Of one process to PostgreSQL; who finds none free waits. A server lets 97 in unless told otherwise, and
# turns the next away: that is a C-STORE refused. Four processes, and an operator's commands, fit in.
_MOST_CONNECTIONS = 20
_WRITES = "filmless_writes"
_CHECKPOINT_PAGES = 8000  # 32 MB of WAL: some commit pays for a checkpoint, and with 1000 pages too many do
# SQLSTATEs of PostgreSQL: the connection broke, the server ended it (also because we were silent in a
# transaction, or too long in it), serialization failure, deadlock.
_TRY_AGAIN = frozenset({None, "57P01", "25P03", "25P04", "40001", "40P01"})


class TransactionLost(IndexUnavailable):
    """The transaction is undone; the same again over a new connection may succeed at once."""


def create_index_engine(database_url: str) -> Engine:
    """Create the engine for a database URL; nothing is connected yet.

    Raises
    ------
    SettingsError
        The URL is malformed, or of another database than SQLite and PostgreSQL.
    """
    try:
        url = make_url(re.sub(r"^postgres:", "postgresql:", database_url))
    except (ArgumentError, ValueError) as error:
        raise SettingsError("DATABASE_URL is not a database URL") from error
    # Errors go to logs, and a statement's parameters hold names: hide_parameters keeps them out.
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url,
            module=_sqlite_module(),
            hide_parameters=True,
            pool_size=16,
            max_overflow=32,
            pool_timeout=POOL_TIMEOUT_S,
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.get_backend_name() == "postgresql":
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=_MOST_CONNECTIONS,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            connect_args=dict(postgresql.CONNECT_ARGUMENTS),
        )
        event.listen(engine, "do_connect", postgresql.connect)
        return engine
    raise SettingsError("DATABASE_URL names a database that is neither SQLite nor PostgreSQL")


def _sqlite_module() -> ModuleType:
    """Choose a SQLite: versions 3.7.0 to 3.51.2 can corrupt a WAL database that several processes write."""
    if sys.platform == "linux":
        from pysqlite3 import dbapi2  # noqa: PLC0415

        return dbapi2  # type: ignore[no-any-return]
    import sqlite3  # noqa: PLC0415

    return sqlite3


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = (
        None  # transactions begin where SQLAlchemy says so, not where the driver guesses
    )
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # NORMAL loses acknowledged commits on a power cut
    cursor.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA case_sensitive_like = ON")  # as PostgreSQL has it
    cursor.close()
    connection.create_function("split_part", 3, _split_part, deterministic=True)  # PostgreSQL has it


def _split_part(text: str | None, separator: str, place: int) -> str | None:
    """Return a part of a text, counted from 1; empty where there are not so many."""
    if text is None:
        return None
    parts = text.split(separator)
    return parts[place - 1] if place <= len(parts) else ""


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a read that turns into a write may fail instead of waiting."""
    writes = connection.get_execution_options().get(_WRITES, False)
    # By the driver: every transaction begins so, and SQLAlchemy's own way costs ten times as much.
    cursor = connection.connection.cursor()
    cursor.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    cursor.close()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection with one snapshot for several reads.

    Raises
    ------
    IndexUnavailable
    """
    with errors_translated(engine), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in a transaction that is durable when the block ends, or rolled back.

    Raises
    ------
    IndexUnavailable
    """
    turn = WriteTurn(engine.url)  # as the writer of instances takes it, who would leave us none otherwise
    try:
        with (
            errors_translated(engine),
            connect_to_write(engine) as connection,
            turn.taken(),
            connection.begin(),
        ):
            yield connection
    finally:
        turn.close()


def connect_to_write(engine: Engine) -> Connection:
    """Open a connection whose transactions take SQLite's write lock at their beginning."""
    return engine.connect().execution_options(**{_WRITES: True})


@contextmanager
def errors_translated(engine: Engine) -> Iterator[None]:
    """Tell errors that may pass from those that are ours to mend, also where the driver itself raised them.

    Raises
    ------
    InvalidRequest
        A value has a NUL character, which PostgreSQL's driver refuses; SQLite finds nothing by it.
    IndexUnavailable
    TransactionLost
        The connection broke, or the transaction was ended for another's sake.
    """
    dbapi = engine.dialect.loaded_dbapi
    try:
        yield
    except DataError as error:
        if getattr(error.orig, "sqlstate", "") is None:  # the server was not asked
            raise InvalidRequest("a value has a character that no value can have") from error
        raise
    except (IndexUnavailable, IntegrityError, NotSupportedError, ProgrammingError):
        raise
    except PoolTimeoutError as error:
        raise IndexUnavailable("all connections to the database are in use") from error
    except DBAPIError as error:
        raise _translated(error.orig) from error
    except dbapi.IntegrityError as error:
        raise IntegrityError(None, None, error) from error
    except (dbapi.DataError, dbapi.NotSupportedError, dbapi.ProgrammingError):
        raise
    except dbapi.Error as error:
        raise _translated(error) from error


def _translated(cause: BaseException | None) -> IndexUnavailable:
    kind = TransactionLost if getattr(cause, "sqlstate", "") in _TRY_AGAIN else IndexUnavailable
    return kind(f"the database refused or failed: {type(cause).__name__}")
