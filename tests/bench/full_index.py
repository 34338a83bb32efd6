"""An index as full as years of work leave it, made in a minute: rows straight into the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Engine,
    Table,
    Text,
    cast,
    create_engine,
    func,
    literal,
    select,
    text,
)

from pacs.index.engine import create_index_engine, reading, writing
from pacs.index.models import instance, patient, series, study

_SERIES_OF_A_STUDY, _INSTANCES_OF_A_SERIES = 2, 250
_ROWS_AT_ONCE = 50_000
_SPREAD = 2_654_435_761  # odd, so that no two rows below 2**32 get the same number: UIDs come in no order
_TEN_DIGITS = 2**32  # added to a number below 2**32

Number = ColumnElement[int]  # of a row, from 1
Values = Mapping[str, ColumnElement[Any]]


def fill_index(database_url: str, instances: int) -> None:
    """Add studies of two series of 250 instances, up to a number of instances.

    The index must hold one instance already: what does not tell rows apart is copied from it. The new rows
    have negative ids, so that those that the archive adds go on behind its own, and no objects in the store.
    """
    studies = instances // (_SERIES_OF_A_STUDY * _INSTANCES_OF_A_SERIES)
    engine = _patient_engine(database_url)
    try:
        _add(engine, patient, studies, _patient_values)
        _add(engine, study, studies, _study_values)
        _add(engine, series, studies * _SERIES_OF_A_STUDY, _series_values)
        _add(engine, instance, instances, _instance_values)
        _settle(engine)
    finally:
        engine.dispose()


def _patient_engine(database_url: str) -> Engine:
    """Open the database without the archive's deadlines, which are for small statements."""
    is_sqlite = database_url.startswith("sqlite")
    return create_index_engine(database_url) if is_sqlite else create_engine(database_url)


def _add(engine: Engine, table: Table, rows: int, values_of: Callable[[Number, Any], Values]) -> None:
    with reading(engine) as connection:
        template = connection.execute(select(table).where(table.c.id > 0).limit(1)).one()._mapping
    for first in range(1, rows + 1, _ROWS_AT_ONCE):
        numbers = select(literal(first, BigInteger).label("n")).cte("numbers", recursive=True)
        last = min(first + _ROWS_AT_ONCE - 1, rows)
        numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < last))
        own: Values = {"id": -numbers.c.n, **values_of(numbers.c.n, template)}
        values = [own.get(column.name, literal(template[column.name], column.type)) for column in table.c]
        with writing(engine) as connection:
            connection.execute(table.insert().from_select(list(table.c), select(*values)))


def _patient_values(number: Number, _template: Any) -> Values:
    patient_id = "F" + _digits(number)
    return {"patient_key": literal("\\", Text) + patient_id, "patient_id": patient_id}


def _study_values(number: Number, _template: Any) -> Values:
    date = 20_200_000 + number % 5 * 10_000 + (1 + number % 12) * 100 + 1 + number % 28
    return {
        "patient_ref": -number,
        "study_instance_uid": _uid(number, "1"),
        "patient_id": "F" + _digits(number),
        "accession_number": "A" + _digits(number),
        "study_date": cast(date, Text),
        "number_of_series": literal(_SERIES_OF_A_STUDY),
        "number_of_instances": literal(_SERIES_OF_A_STUDY * _INSTANCES_OF_A_SERIES),
    }


def _series_values(number: Number, _template: Any) -> Values:
    return {
        "study_ref": -((number - 1) // _SERIES_OF_A_STUDY + 1),
        "series_instance_uid": _uid(number, "2"),
        "number_of_instances": literal(_INSTANCES_OF_A_SERIES),
    }


def _instance_values(number: Number, template: Any) -> Values:
    return {
        "series_ref": -((number - 1) // _INSTANCES_OF_A_SERIES + 1),
        "sop_instance_uid": _uid(number, "3"),
        "instance_number": number % _INSTANCES_OF_A_SERIES + 1,
        "object_key": literal("filled/", Text) + _digits(number) + template["object_key"],
        "sha256": literal(template["sha256"][:-10], Text) + _digits(number),
    }


def _digits(number: Number) -> ColumnElement[str]:
    """Ten digits of a row's own."""
    return cast(number * _SPREAD % _TEN_DIGITS + _TEN_DIGITS, Text)


def _uid(number: Number, kind: str) -> ColumnElement[str]:
    return literal(f"2.25.{kind}", Text) + _digits(number)


def _settle(engine: Engine) -> None:
    """Do at once what the database would do in its own time, and would disturb a measurement with."""
    statements = ["VACUUM ANALYZE", "CHECKPOINT"]
    if engine.dialect.name == "sqlite":
        statements = ["PRAGMA wal_checkpoint(TRUNCATE)"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
        counted = connection.scalar(select(func.count()).select_from(instance))
        assert counted, "nothing was added"
