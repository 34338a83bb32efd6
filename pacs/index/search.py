"""Searching the index: the newest first, in a stable order, as many as are asked for and no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, FromClause, Row, Select, and_, func, not_, select

from pacs.dicom.attributes import ATTRIBUTES, Attribute, Level
from pacs.index.condition import Condition
from pacs.index.conditions import TABLES, conditions_of
from pacs.index.contents import SEPARATOR
from pacs.index.engine import reading
from pacs.index.models import instance, procedure_code, request_attributes, series, study, study_term
from pacs.index.name_conditions import preferences
from pacs.index.paths import Path, choose_path, look_up, narrow
from pacs.index.records import Match, ProcedureCode, Query, RequestAttributes, SearchResult
from pacs.index.study_pages import select_page

STUDY_KEY, MOMENT, _SERIES_KEY = "_study_ref", "_moment", "_series_ref"
_CONTENTS = ("ModalitiesInStudy", "SOPClassesInStudy")
_MULTIPLE = tuple(attribute.keyword for attribute in ATTRIBUTES if attribute.multiple)


def search(engine: Engine, query: Query) -> SearchResult:
    """Find what matches a query, newest study first, in a stable order.

    Where a patient's name is asked for with diacritics, the names that are written so come first.

    Raises
    ------
    pacs.errors.InvalidRequest
        A value is not of its key's form.
    pacs.errors.IndexUnavailable
    """
    conditions, preferred = conditions_of(query), preferences(_typed_names(query))
    with reading(engine) as connection:
        if preferred:
            rows = _preferred_first(connection, query, conditions, preferred)
        else:
            rows = find_rows(connection, query.level, conditions, query.limit + 1, query.offset)
        matches = read_matches(connection, query.level, rows[: query.limit])
    return SearchResult(matches, truncated=len(rows) > query.limit)


def search_in_parts(query: Query) -> list[list[Condition]]:
    """Return the conditions of the searches whose answers, one after the other, are those of a query.

    What matches is in one of them only; each has the order of its terms.

    Raises
    ------
    pacs.errors.InvalidRequest
        A value is not of its key's form.
    """
    conditions, preferred = conditions_of(query), preferences(_typed_names(query))
    if not preferred:
        return [conditions]
    return [[*conditions, *preferred], [*conditions, _rest(preferred)]]


def _rest(preferred: Sequence[Condition]) -> Condition:
    return Condition(not_(and_(*(condition.where for condition in preferred))))


def read_matches(connection: Connection, level: Level, rows: Sequence[Row[Any]]) -> list[Match]:
    """Make answers of rows, with what other tables say of them."""
    codes = _procedure_codes(connection, {row._mapping[STUDY_KEY] for row in rows})
    requests: Mapping[int, list[RequestAttributes]] = {}
    if level >= Level.SERIES:
        requests = _request_attributes(connection, {row._mapping[_SERIES_KEY] for row in rows})
    return [_match(row, codes, requests) for row in rows]


def _typed_names(query: Query) -> Iterable[str]:
    yield from (value for key, value in query.keys if key.name == "PatientName")
    yield query.text or ""


def _preferred_first(
    connection: Connection, query: Query, conditions: Sequence[Condition], preferred: Sequence[Condition]
) -> Sequence[Row[Any]]:
    """Find what is preferred, then the rest: two searches, each in the order of its terms."""
    wanted, first = query.limit + 1, [*conditions, *preferred]
    rows = list(find_rows(connection, query.level, first, wanted, query.offset))
    if len(rows) == wanted:
        return rows
    before = len(rows) + query.offset if rows or not query.offset else None
    if before is None:
        before = _count(connection, query.level, first, query.offset)
    rest = [*conditions, _rest(preferred)]
    rows += find_rows(connection, query.level, rest, wanted - len(rows), max(query.offset - before, 0))
    return rows


def find_rows(
    connection: Connection, level: Level, conditions: Sequence[Condition], limit: int, offset: int
) -> Sequence[Row[Any]]:
    """Find the rows of a page, in their order."""
    statement = write_statement(connection, columns_of(level), level, conditions, limit, offset)
    return [] if statement is None else connection.execute(statement).all()


def _count(connection: Connection, level: Level, conditions: Sequence[Condition], most: int) -> int:
    statement = write_statement(connection, (study.c.id,), level, conditions, most, 0)
    if statement is None:
        return 0
    return connection.scalar(select(func.count()).select_from(statement.subquery())) or 0


def write_statement(
    connection: Connection,
    columns: Iterable[ColumnElement[Any]],
    level: Level,
    conditions: Sequence[Condition],
    limit: int | None,
    offset: int,
) -> Select[Any] | None:
    """Write the search, beginning where there is least to read; None where there is nothing."""
    moments = narrow(condition.moments for condition in conditions)
    of_studies = level is Level.STUDY
    path = None
    if not any(condition.unique for condition in conditions):
        conditions = _looked_up(connection, conditions)
        paths = [condition.path for condition in conditions if condition.path is not None]
        if any(one.leads_nowhere for one in paths):
            return None
        path = choose_path(connection, paths, moments, merge=of_studies) if paths else None
    if path is not None and of_studies:
        page = select_page(path, conditions, moments, limit, offset).subquery("page")
        studies = page.join(study, study.c.id == page.c.study_ref)
        return select(*columns).select_from(studies).order_by(page.c.moment.desc(), page.c.study_ref.desc())
    found, order, of_path = _begin(path)
    where = [one.where for one in conditions if not (one.exact and one.path is path)]
    if moments is not None:
        where.append(moments.hold(order[0]))
    statement = select(*columns).select_from(_joined(found, level)).where(*of_path, *where)
    statement = statement.order_by(*(column.desc() for column in order), *_order_below(level))
    return statement.limit(limit).offset(offset)


def _looked_up(connection: Connection, conditions: Sequence[Condition]) -> Sequence[Condition]:
    """Look up the words of all ways, once."""
    return [
        one if one.path is None else replace(one, path=look_up(connection, one.path)) for one in conditions
    ]


def _begin(
    path: Path | None,
) -> tuple[FromClause, tuple[ColumnElement[Any], ColumnElement[Any]], list[ColumnElement[bool]]]:
    """Return the studies to begin with, what they are in the order of, and the condition of the way."""
    if path is None:
        return study, (study.c.moment, study.c.id), []
    if path.in_order:
        found = study_term.join(study, study.c.id == study_term.c.study_ref)
        return found, (study_term.c.moment, study_term.c.study_ref), [path.condition()]
    gathered = (
        select(study_term.c.study_ref, study_term.c.moment)
        .where(path.condition())
        .distinct()
        .cte("gathered")
        .prefix_with("MATERIALIZED")
    )
    found = gathered.join(study, study.c.id == gathered.c.study_ref)
    return found, (gathered.c.moment, gathered.c.study_ref), []


def _attributes(level: Level) -> list[Attribute]:
    return [
        attribute
        for attribute in ATTRIBUTES
        if attribute.level <= level and attribute.column in TABLES[attribute.level].c
    ]


@cache
def columns_of(level: Level) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of an answer: what it is known by here, and its values by keyword."""
    keys: list[ColumnElement[Any]] = [study.c.id.label(STUDY_KEY), study.c.moment.label(MOMENT)]
    if level >= Level.SERIES:
        keys.append(series.c.id.label(_SERIES_KEY))
    values = (TABLES[one.level].c[one.column].label(one.keyword) for one in _attributes(level))
    return (*keys, *values)


def _joined(studies: FromClause, level: Level) -> FromClause:
    if level >= Level.SERIES:
        studies = studies.join(series, series.c.study_ref == study.c.id)
    if level >= Level.INSTANCE:
        studies = studies.join(instance, instance.c.series_ref == series.c.id)
    return studies


def _order_below(level: Level) -> Iterable[ColumnElement[Any]]:
    if level >= Level.SERIES:
        yield series.c.series_number.nulls_last()
        yield series.c.id
    if level >= Level.INSTANCE:
        yield instance.c.instance_number.nulls_last()
        yield instance.c.id


def _procedure_codes(connection: Connection, study_refs: set[int]) -> Mapping[int, list[ProcedureCode]]:
    if not study_refs:
        return {}
    rows = connection.execute(
        select(procedure_code).where(procedure_code.c.study_ref.in_(study_refs)).order_by(procedure_code.c.id)
    )
    found = defaultdict(list)
    for row in rows:
        found[row.study_ref].append(ProcedureCode(row.value, row.scheme, row.meaning, row.origin))
    return found


def _request_attributes(
    connection: Connection, series_refs: set[int]
) -> Mapping[int, list[RequestAttributes]]:
    if not series_refs:
        return {}
    rows = connection.execute(
        select(request_attributes)
        .where(request_attributes.c.series_ref.in_(series_refs))
        .order_by(request_attributes.c.id)
    )
    found = defaultdict(list)
    for row in rows:
        found[row.series_ref].append(
            RequestAttributes(row.requested_procedure_id or None, row.scheduled_procedure_step_id or None)
        )
    return found


def _match(
    row: Row[Any],
    codes: Mapping[int, list[ProcedureCode]],
    requests: Mapping[int, list[RequestAttributes]],
) -> Match:
    values = dict(zip(row._fields, row, strict=True))
    study_ref, series_ref = values.pop(STUDY_KEY), values.pop(_SERIES_KEY, None)
    del values[MOMENT]
    for keyword in _CONTENTS:
        values[keyword] = sorted(values[keyword].split(SEPARATOR)) if values[keyword] else []
    for keyword in _MULTIPLE:
        if values[keyword]:
            values[keyword] = values[keyword].split(SEPARATOR)
    return Match(values, codes.get(study_ref, ()), requests.get(series_ref, ()))
