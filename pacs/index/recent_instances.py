"""Which instances were looked for lately: known without a query until anything in the database changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.engine.interfaces import DBAPICursor

from pacs.index.engine import errors_translated
from pacs.index.records import StoredInstance

_MAX_INSTANCES: Final = 8192  # about 10 MB

Uids: TypeAlias = tuple[str | None, ...]


class RecentInstances:
    """The last answers to what instances there are. Safe for use by several threads.

    SQLite tells a connection in microseconds whether another one has committed anything since it asked last
    (``PRAGMA data_version``), in this process or another. Then nothing is known any more, so that what was
    deleted is gone at once. PostgreSQL has no such thing: there nothing is ever known.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._connection: PoolProxiedConnection | None = None
        self._cursor: DBAPICursor
        self._lock = threading.Lock()
        self._version: int | None = None
        self._known: OrderedDict[Uids, Sequence[StoredInstance]] = OrderedDict()
        self._number = 0  # of instances

    def get(self, uids: Uids) -> Sequence[StoredInstance] | None:
        """Return what is known, None where a query has to tell.

        Raises
        ------
        pacs.errors.IndexUnavailable
        """
        if not self._is_sqlite:
            return None
        with self._lock:
            self._forget_if_changed()
            found = self._known.get(uids)
            if found is not None:
                self._known.move_to_end(uids)
            return found

    def find(self, uids: Uids, query: Callable[[], list[StoredInstance]]) -> list[StoredInstance]:
        """Return what is known, or else what the query tells, which then is known unless it is nothing.

        What is not there has no end of names.

        Raises
        ------
        pacs.errors.IndexUnavailable
        """
        known = self.get(uids)
        if known is not None:
            return list(known)
        version = self._version  # before the query: what comes while it runs is not in its answer
        found = query()
        with self._lock:
            if self._is_sqlite and version == self._version and 0 < len(found) <= _MAX_INSTANCES:
                self._put(uids, tuple(found))
        return found

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _put(self, uids: Uids, found: Sequence[StoredInstance]) -> None:
        self._number += len(found) - len(self._known.pop(uids, ()))
        self._known[uids] = found
        while self._number > _MAX_INSTANCES:
            _, dropped = self._known.popitem(last=False)
            self._number -= len(dropped)

    def _forget_if_changed(self) -> None:
        with errors_translated(self._engine):
            if self._connection is None:
                self._connection = self._engine.raw_connection()
                self._cursor = self._connection.cursor()
            # All rows of one: a statement that is not at its end goes on reading the old version.
            ((version,),) = self._cursor.execute("PRAGMA data_version").fetchall()
        if version != self._version:
            self._version = version
            self._known.clear()
            self._number = 0
