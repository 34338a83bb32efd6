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
        positions: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._parameters = _by_name if positions is None else _by_position(dialect, positions, compiled.binds)

    def execute(self, connection: Connection, rows: Sequence[Row]) -> Any:
        """Run it for all rows; return the driver's cursor, whose ``rowcount`` is theirs together.

        Inside `pipeline` the row count is there after its end.
        """
        cursor = connection.connection.cursor()
        cursor.executemany(self._sql, [self._parameters(row) for row in rows])
        return cursor


def _by_name(row: Row) -> Any:
    """Give a row to a driver that takes every value as it is, PostgreSQL's."""
    return row


def _by_position(dialect: Dialect, names: Sequence[str], binds: Mapping[str, Any]) -> Callable[[Row], Any]:
    """Give a row to a driver that counts parameters and does not take times as they are, SQLite's."""
    found = (binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)
    conversions: list[tuple[int, _Convert]] = [(n, c) for n, c in enumerate(found) if c is not None]

    def parameters(row: Row) -> list[Any]:
        values = [row[name] for name in names]
        for number, convert in conversions:
            values[number] = convert(values[number])
        return values

    return parameters


def pipeline(connection: Connection) -> AbstractContextManager[Any]:
    """Have the statements of a block sent without waiting for each one's answer, where the driver can."""
    driver_connection = connection.connection.driver_connection
    begin = getattr(driver_connection, "pipeline", None)
    return nullcontext() if begin is None else begin()
