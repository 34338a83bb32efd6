"""Reading that is asked for by the thousand, run by the driver itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, Engine, Select

from pacs.index.engine import errors_translated


class DriverSelect:
    """A SELECT with bound parameters, for one kind of database.

    It is a Core statement, compiled once. For a single row SQLAlchemy's own way to run it costs several times
    what the database does.
    """

    def __init__(self, dialect: Dialect, statement: Select[Any]) -> None:
        compiled = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        self._names: Sequence[str] | None = getattr(compiled, "positiontup", None)
        found = (
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in statement.selected_columns
        )
        self._conversions = [(n, convert) for n, convert in enumerate(found) if convert is not None]

    def rows(self, engine: Engine, parameters: Mapping[str, Any]) -> Iterator[list[Any]]:
        """Run it, and yield the values of each row. Raises IndexUnavailable."""
        bound = parameters if self._names is None else [parameters[name] for name in self._names]
        with errors_translated(engine):
            connection = engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(self._sql, bound)
                found = cursor.fetchall()
            finally:
                connection.close()
        for row in found:
            values = list(row)
            for number, convert in self._conversions:
                values[number] = convert(values[number])
            yield values
