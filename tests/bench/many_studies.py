"""Studies by the million, made in minutes: rows straight into the tables, small ones, with real names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, create_engine, text

from pacs.index.engine import create_index_engine
from pacs.index.models import instance, study, study_term
from pacs.index.names import fold_name
from pacs.index.study_terms import WORD_FIELDS, Field, terms_of
from tests.vietnamese_names import vietnamese_names

INSTANCES_OF_A_STUDY = 5
NAMES = 5000  # different ones, repeated among the studies by their shares
MODALITIES = ("CR", "CR", "CR", "US", "US", "US", "CT", "CT", "MR", "MG")
DESCRIPTIONS = ("X-quang ngực thẳng", "Siêu âm ổ bụng", "CT ngực có cản quang", "MRI cột sống", "CT sọ não")
FIRST_YEAR, YEARS = 2021, 6
_AT_ONCE = 200_000
_SPREAD = 7919  # so that neighbours in time have different names


def fill_with_studies(database_url: str, studies: int, tell: Callable[[str], None]) -> None:
    """Fill an empty index whose tables are made; the newest studies have the highest numbers."""
    is_sqlite = database_url.startswith("sqlite")
    engine = create_index_engine(database_url) if is_sqlite else create_engine(database_url)
    try:
        with engine.begin() as connection:
            _make_names(connection)
            if not is_sqlite:
                _drop_indexes(connection)
        for first in range(1, studies + 1, _AT_ONCE):
            with engine.begin() as connection:
                _skip_checks(connection)
                _add(connection, first, min(first + _AT_ONCE - 1, studies), studies)
            tell(f"{min(first + _AT_ONCE - 1, studies):,} of {studies:,} studies made")
        with engine.begin() as connection:
            for table in ("bench_name", "bench_term"):
                connection.execute(text(f"DROP TABLE {table}"))
        if not is_sqlite:
            tell("making the indexes")
            with engine.begin() as connection:
                _make_indexes(connection)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
    finally:
        engine.dispose()


def patient_id(number: int) -> str:
    """Return the patient ID of a study."""
    return f"BN{number // 2 + 10_000_000}"


def accession_number(number: int) -> str:
    """Return the accession number of a study."""
    return f"A{number + 10_000_000}"


def _make_names(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE bench_name (k INTEGER PRIMARY KEY, name TEXT, folded TEXT)"))
    connection.execute(text("CREATE TABLE bench_term (k INTEGER, field INTEGER, term TEXT)"))
    names = list(enumerate(vietnamese_names(NAMES)))
    rows = [{"k": k, "name": name, "folded": fold_name(name)} for k, name in names]
    connection.execute(text("INSERT INTO bench_name VALUES (:k, :name, :folded)"), rows)
    terms = [
        {"k": k, "field": int(field), "term": term}
        for k, name in names
        for field, term in terms_of({"patient_name": name}, ())
    ]
    connection.execute(text("INSERT INTO bench_term VALUES (:k, :field, :term)"), terms)
    words = {(one["field"], one["term"]) for one in terms if one["field"] in WORD_FIELDS}
    words |= {one for text_ in DESCRIPTIONS for one in terms_of({"study_description": text_}, ())}
    values = [{"field": int(field), "word": word} for field, word in sorted(words)]
    connection.execute(text("INSERT INTO search_word VALUES (:field, :word)"), values)


def _drop_indexes(connection: Connection) -> None:
    """Take out what costs a row as much as the row itself: made at the end, it costs a sort."""
    for table in (study, study_term, instance):
        for index in table.indexes:
            index.drop(connection)
    connection.execute(text("ALTER TABLE study_term DROP CONSTRAINT pk_study_term"))


def _make_indexes(connection: Connection) -> None:
    connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
    columns = ", ".join(column.name for column in study_term.primary_key)
    connection.execute(text(f"ALTER TABLE study_term ADD CONSTRAINT pk_study_term PRIMARY KEY ({columns})"))
    for table in (study, study_term, instance):
        for index in table.indexes:
            index.create(connection)


def _skip_checks(connection: Connection) -> None:
    """Let PostgreSQL not look each reference up; they are right."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))


def _add(connection: Connection, first: int, last: int, studies: int) -> None:
    for statement in _statements(connection.dialect.name == "postgresql", studies):
        connection.execute(text(statement), {"first": first, "last": last})


def _statements(is_postgresql: bool, studies: int) -> Iterator[str]:
    numbers = (
        "(SELECT n FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS s(n)) AS numbers"
        if is_postgresql
        else "(WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last) "
        "SELECT n FROM s) AS numbers"
    )
    now = "now()" if is_postgresql else "'2026-11-23 00:00:00.000000'"
    days = YEARS * 336  # of 28 days a month
    day = f"(n * {days - 1} / {studies})"
    date = f"({FIRST_YEAR} + {day} / 336) * 10000 + (1 + {day} % 336 / 28) * 100 + 1 + {day} % 28"
    time = "(8 + n % 9) * 10000 + n % 60 * 100 + n / 60 % 60"
    moment = f"({date}) * 1000000 + {time}"
    clock = f"substr(CAST(1000000 + {time} AS text), 2)"
    name = f"(n * {_SPREAD}) % {NAMES}"
    of_ten = f"(n * {_SPREAD} / 3) % {len(MODALITIES)}"
    of_five = f"(n * {_SPREAD} / 3) % {len(DESCRIPTIONS)}"
    patient = "'BN' || CAST(n / 2 + 10000000 AS text)"
    accession = "'A' || CAST(n + 10000000 AS text)"
    yield (
        "INSERT INTO patient (id, patient_key, patient_id) "
        f"SELECT -n, 'bench' || CAST(n AS text), {patient} FROM {numbers}"
    )
    yield (
        "INSERT INTO study (id, patient_ref, study_instance_uid, patient_id, accession_number, study_date, "
        "study_time, moment, patient_name, patient_name_folded, study_description, "
        "study_description_folded, modalities_in_study, sop_classes_in_study, number_of_series, "
        "number_of_instances, received_at) "
        f"SELECT -n, -n, '2.25.1' || CAST(100000000 + n AS text), {patient}, {accession}, "
        f"CAST({date} AS text), {clock}, {moment}, name, folded, {_case(of_five, DESCRIPTIONS)}, "
        f"{_case(of_five, [fold_name(one) for one in DESCRIPTIONS])}, {_case(of_ten, MODALITIES)}, "
        f"'1.2.840.10008.5.1.4.1.1.2', 1, {INSTANCES_OF_A_STUDY}, {now} "
        f"FROM {numbers} JOIN bench_name ON k = {name}"
    )
    yield (
        "INSERT INTO series (id, study_ref, series_instance_uid, modality, series_number, "
        f"number_of_instances) SELECT -n, -n, '2.25.2' || CAST(100000000 + n AS text), "
        f"{_case(of_ten, MODALITIES)}, 1, {INSTANCES_OF_A_STUDY} FROM {numbers}"
    )
    for instance_number in range(1, INSTANCES_OF_A_STUDY + 1):
        yield (
            "INSERT INTO instance (id, series_ref, sop_class_uid, sop_instance_uid, instance_number, "
            "transfer_syntax_uid, object_key, size_bytes, sha256, dataset_offset, received_at) "
            f"SELECT -(n * {INSTANCES_OF_A_STUDY} + {instance_number}), -n, '1.2.840.10008.5.1.4.1.1.2', "
            f"'2.25.3' || CAST({instance_number}00000000 + n AS text), {instance_number}, "
            f"'1.2.840.10008.1.2.1', 'bench/' || CAST(n AS text), 1, '', 0, {now} FROM {numbers}"
        )
    into = "INSERT INTO study_term (field, term, moment, study_ref) SELECT"
    yield f"{into} field, term, {moment}, -n FROM {numbers} JOIN bench_term ON k = {name}"
    yield f"{into} {int(Field.PATIENT_ID)}, lower({patient}), {moment}, -n FROM {numbers}"
    yield f"{into} {int(Field.ACCESSION_NUMBER)}, lower({accession}), {moment}, -n FROM {numbers}"
    yield f"{into} {int(Field.MODALITY)}, {_case(of_ten, MODALITIES)}, {moment}, -n FROM {numbers}"
    for number, description in enumerate(DESCRIPTIONS):
        for _, word in sorted(terms_of({"study_description": description}, ())):
            yield (
                f"{into} {int(Field.DESCRIPTION)}, '{word}', {moment}, -n FROM {numbers} "
                f"WHERE {of_five} = {number}"
            )


def _case(number: str, values: Any) -> str:
    cases = " ".join(f"WHEN {position} THEN '{value}'" for position, value in enumerate(values))
    return f"CASE {number} {cases} END"
