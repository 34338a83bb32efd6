"""Statements for many rows, run by the driver itself.

They are Core statements, compiled once. For the few rows of a group SQLAlchemy's own way to run them costs
several times what the database does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.expression import UpdateBase

Row: TypeAlias = Mapping[str, Any]
_Convert: TypeAlias = Callable[[Any], Any]


class BulkStatement:
    """An INSERT, UPDATE or DELETE with bound parameters, for one kind of database.

    Parameters
    ----------
    dialect
        That of the connections it will run on.
    statement
        What to do with each row; the rows bring a value for each of its parameters.
    """

    def __init__(self, dialect: Dialect, statement: UpdateBase) -> None:
        compiled = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        self._positions: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._conversions = _conversions(dialect, compiled.binds)

    def execute(self, connection: Connection, rows: Sequence[Row]) -> Any:
        """Run it for all rows; return the driver's cursor, whose ``rowcount`` is theirs together.

        Inside `pipeline` the row count is there after its end.
        """
        cursor = connection.connection.cursor()
        cursor.executemany(self._sql, [self._parameters(row) for row in rows])
        return cursor

    def _parameters(self, row: Row) -> Any:
        if self._conversions:
            row = {**row, **{name: convert(row[name]) for name, convert in self._conversions}}
        return row if self._positions is None else [row[name] for name in self._positions]


def _conversions(dialect: Dialect, binds: Mapping[str, Any]) -> list[tuple[str, _Convert]]:
    """Find the parameters whose values this driver does not take as they are, such as times in SQLite."""
    found = ((name, bind.type.dialect_impl(dialect).bind_processor(dialect)) for name, bind in binds.items())
    return [(name, convert) for name, convert in found if convert is not None]


def pipeline(connection: Connection) -> AbstractContextManager[Any]:
    """Have the statements of a block sent without waiting for each one's answer, where the driver can."""
    driver_connection = connection.connection.driver_connection
    begin = getattr(driver_connection, "pipeline", None)
    return nullcontext() if begin is None else begin()
