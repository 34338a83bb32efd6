"""Connections to PostgreSQL that do not wait for ever.

A server that is frozen, or behind a network that swallows packets, keeps no timeout of its own, and TCP sees
nothing wrong for minutes. So the client looks at the clock too.

A client that vanished so leaves a session with row locks behind. The server ends it: after 25 s where packets
get lost, and after a minute where something between the two, as a proxy, holds the server's end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection

ANSWER_TIMEOUT_S: Final = 10.0
CONNECT_ARGUMENTS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
    # The server's own timeout comes first wherever it can: then the connection lives on. And it ends the
    # transaction of a client that it hears nothing of, whose rows would stay locked for all others. Left to
    # itself it would begin to look for the client after two hours.
    "options": "-c synchronous_commit=on -c timezone=UTC -c statement_timeout=9s "
    "-c idle_in_transaction_session_timeout=15s -c tcp_user_timeout=25s "
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}
TRANSACTION_TIMEOUT: Final = "60s"  # the longest transactions, of rebuilds, take a few seconds

_LIMITS_TRANSACTIONS: Final = 170000  # since version 17; an older server would refuse such an option above
_LIFT_TIMEOUTS: Final = (
    "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN "
    "('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
)

_T = TypeVar("_T")


class NoAnswer(psycopg.OperationalError):
    """The server has not answered in time. Trying at once again would only take as long again."""

    sqlstate = "57014"  # query_canceled, as if the server had noticed itself


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection that is given up when the server is silent for too long."""

    answer_timeout_s: float | None = ANSWER_TIMEOUT_S

    def wait(self, gen: PQGen[_T], *arguments: Any, **options: Any) -> _T:
        """Wait for an answer, or raise NoAnswer and close the connection."""
        if self.answer_timeout_s is None:
            return super().wait(gen, *arguments, **options)
        try:
            return super().wait(_watched(gen, self.answer_timeout_s), *arguments, **options)
        except NoAnswer:
            self.pgconn.finish()  # nothing more is to be said to it, not even goodbye
            raise


def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> ImpatientConnection:
    """Connect; a listener of SQLAlchemy's event ``do_connect``.

    The limit of whole transactions is for what PostgreSQL's other two overlook. Amid a pipeline neither of
    them runs, and a Flush disarms that of idle transactions: psycopg sends one behind each pipeline, so that
    a lost COMMIT would leave the rows of a group locked for ever.
    """
    connection = ImpatientConnection.connect(*arguments, **options)
    if connection.info.server_version >= _LIMITS_TRANSACTIONS:
        connection.autocommit = True  # the end of a transaction could undo it
        connection.execute("SELECT set_config('transaction_timeout', %s, false)", [TRANSACTION_TIMEOUT])
        connection.autocommit = False
    return connection


@contextmanager
def without_haste(connection: Connection) -> Iterator[None]:
    """Let the statements of a transaction take as long as they need (migrations of large tables)."""
    driver_connection = connection.connection.driver_connection
    if isinstance(driver_connection, ImpatientConnection):
        connection.exec_driver_sql(_LIFT_TIMEOUTS)
        driver_connection.answer_timeout_s = None
        try:
            yield
        finally:
            driver_connection.answer_timeout_s = ANSWER_TIMEOUT_S
    else:
        yield


def _watched(gen: PQGen[_T], timeout_s: float) -> PQGen[_T]:
    """Pass a generator of psycopg's on; it is told every tenth of a second that nothing has come."""
    deadline = time.monotonic() + timeout_s
    try:
        awaited = next(gen)
        while True:
            ready = yield awaited
            if not ready and time.monotonic() > deadline:
                raise NoAnswer("the server does not answer")
            awaited = gen.send(ready)
    except StopIteration as end:
        result: _T = end.value
        return result
