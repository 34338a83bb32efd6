"""All answers of a search, however many, page by page: each is a short read from where the last one ended."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, select, tuple_

from pacs.dicom.attributes import PATIENT_ATTRIBUTES, Level
from pacs.index.condition import Condition
from pacs.index.conditions import conditions_of
from pacs.index.engine import reading
from pacs.index.models import study
from pacs.index.paths import Moments
from pacs.index.records import Match, Query
from pacs.index.search import (
    MOMENT,
    STUDY_KEY,
    columns_of,
    find_rows,
    read_matches,
    search_in_parts,
    write_statement,
)

PAGE_SIZE: Final = 500
_PATIENT_KEY: Final = "_patient_ref"


@dataclass(frozen=True, slots=True)
class _Position:
    """Behind which answer a page begins: the study that the last one was of, and how many were of it."""

    moment: int
    study_ref: int
    answers: int

    def condition(self) -> Condition:
        """Write that a study is this one, or comes behind it in the order of the answers."""
        place: ColumnElement[bool] = tuple_(study.c.moment, study.c.id) <= (self.moment, self.study_ref)
        return Condition(place, moments=Moments(0, self.moment))

    @classmethod
    def behind(cls, rows: Sequence[Row[Any]], before: _Position | None) -> _Position:
        """Return the position behind the rows of a page that began at another."""
        last = rows[-1]._mapping
        study_ref = last[STUDY_KEY]
        answers = sum(row._mapping[STUDY_KEY] == study_ref for row in rows)
        if before is not None and before.study_ref == study_ref:
            answers += before.answers
        return cls(last[MOMENT], study_ref, answers)


def search_pages(engine: Engine, query: Query, page_size: int = PAGE_SIZE) -> Iterator[Sequence[Match]]:
    """Find all that matches a query, in the order of `search`; limit and offset of the query do not count.

    Each page is read when it is asked for, and nothing of the database is held in between.

    Raises
    ------
    pacs.errors.InvalidRequest
        A value is not of its key's form.
    pacs.errors.IndexUnavailable
    """
    for conditions in search_in_parts(query):
        position, complete = None, False
        while not complete:
            with reading(engine) as connection:
                rows = _rows_behind(connection, query.level, conditions, position, page_size)
                matches = read_matches(connection, query.level, rows)
            complete = len(rows) < page_size
            if rows:
                position = _Position.behind(rows, position)
                yield matches


def _rows_behind(
    connection: Connection,
    level: Level,
    conditions: Sequence[Condition],
    position: _Position | None,
    page_size: int,
) -> Sequence[Row[Any]]:
    if position is None:
        return find_rows(connection, level, conditions, page_size, 0)
    return find_rows(connection, level, [*conditions, position.condition()], page_size, position.answers)


def search_patients(engine: Engine, query: Query, page_size: int = PAGE_SIZE) -> Iterator[Sequence[Match]]:
    """Find the patients who have a study that matches a query of studies, page by page.

    A patient is who has an ID of an issuer; where there is none, each study is of a patient of its own. What
    is told of a patient is what the newest of the matching studies says; the counts are of all studies. Only
    the keys of what matches are held, eight bytes each.

    Raises
    ------
    pacs.errors.InvalidRequest
        A value is not of its key's form.
    pacs.errors.IndexUnavailable

    References
    ----------
    PS3.4 C.6.1.1.2
    """
    conditions = conditions_of(query)
    with reading(engine) as connection:
        newest = _newest_studies(connection, conditions)
    for begin in range(0, len(newest), page_size):
        with reading(engine) as connection:
            yield _read_patients(connection, newest[begin : begin + page_size].tolist())


def _newest_studies(connection: Connection, conditions: Sequence[Condition]) -> array[int]:
    """Return, of each patient, the newest study of those that match."""
    columns = study.c.id, study.c.patient_ref, study.c.moment
    statement = write_statement(connection, columns, Level.STUDY, conditions, None, 0)
    if statement is None:
        return array("q")
    found = statement.order_by(None).subquery("found")
    newest_first = found.c.moment.desc(), found.c.id.desc()
    place = func.row_number().over(partition_by=found.c.patient_ref, order_by=newest_first).label("place")
    placed = select(found.c.id, found.c.moment, place).subquery("placed")
    newest = select(placed.c.id).where(placed.c.place == 1)
    ordered = newest.order_by(placed.c.moment.desc(), placed.c.id.desc())
    return array("q", connection.scalars(ordered.execution_options(yield_per=10_000)))


def _read_patients(connection: Connection, study_refs: Sequence[int]) -> list[Match]:
    statement = select(*columns_of(Level.STUDY), study.c.patient_ref.label(_PATIENT_KEY))
    rows = connection.execute(statement.where(study.c.id.in_(study_refs)))
    by_study = {row._mapping[STUDY_KEY]: row._mapping for row in rows}
    patients = [by_study[study_ref] for study_ref in study_refs if study_ref in by_study]
    counts = _count_of_patients(connection, [patient[_PATIENT_KEY] for patient in patients])
    return [
        Match(
            {one.keyword: patient[one.keyword] for one in PATIENT_ATTRIBUTES if not one.derived}
            | counts[patient[_PATIENT_KEY]]
        )
        for patient in patients
    ]


def _count_of_patients(connection: Connection, patient_refs: Sequence[int]) -> dict[int, dict[str, int]]:
    counts = (
        func.count().label("NumberOfPatientRelatedStudies"),
        func.sum(study.c.number_of_series).label("NumberOfPatientRelatedSeries"),
        func.sum(study.c.number_of_instances).label("NumberOfPatientRelatedInstances"),
    )
    statement = select(study.c.patient_ref, *counts).where(study.c.patient_ref.in_(patient_refs))
    rows = connection.execute(statement.group_by(study.c.patient_ref))
    return {row.patient_ref: {count.name: int(row._mapping[count.name]) for count in counts} for row in rows}
