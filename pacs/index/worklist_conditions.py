"""From the keys of a worklist query to conditions in SQL (PS3.4 K.2.2.2). Values are always bound."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Table, and_, exists, or_

from pacs.dicom.attributes import Matching
from pacs.dicom.uids import parse_uid
from pacs.dicom.worklist_attributes import BY_FIELD, CodeAttribute, Part, WorklistAttribute
from pacs.errors import InvalidRequest, InvalidUid
from pacs.index.column_conditions import any_of, are_of_one_form, between, integer, listed, within_moments
from pacs.index.contents import contains_value, value_pattern
from pacs.index.like import like_pattern, matches
from pacs.index.models import FOLDED_SUFFIX, imaging_order, order_code, scheduled_step
from pacs.index.name_conditions import other_name_condition
from pacs.index.ranges import date_bounds, date_moments, moment_bounds, time_bounds
from pacs.index.records import WorklistQuery
from pacs.text import fold

MAX_VALUE_LENGTH: Final = 1024
TABLES: Final[Mapping[Part, Table]] = {Part.ORDER: imaging_order, Part.STEP: scheduled_step}

_START_DATE: Final = BY_FIELD[Part.STEP]["start_date"]
_START_TIME: Final = BY_FIELD[Part.STEP]["start_time"]
_Keys: TypeAlias = dict[WorklistAttribute, str]


def worklist_conditions(query: WorklistQuery) -> list[ColumnElement[bool]]:
    """Return the conditions of a query; a value that matches everything (universal matching) has none.

    Raises
    ------
    InvalidRequest
        A value is not of its key's form; the message names the key and does not repeat the value.
    """
    keys = {key: _key_value(key, value) for key, value in query.keys}
    keys = {key: value for key, value in keys.items() if value}
    conditions = _start_conditions(keys)
    for key, value in keys.items():
        try:
            conditions.append(_condition(key, value, fuzzy=query.fuzzy))
        except (InvalidRequest, InvalidUid) as error:
            raise InvalidRequest(f"{key.keyword}: {error}") from error
    conditions += _code_conditions(query.codes)
    if query.open_only:
        conditions.append(scheduled_step.c.is_open)
    if query.station is not None:
        conditions.append(_for_station(query.station))
    return conditions


def _key_value(key: WorklistAttribute, value: str) -> str:
    if key.matching is Matching.UID:  # whose values are counted and checked one by one
        return value.strip(" *")
    return _value(key.keyword, value)


def _value(keyword: str, value: str) -> str:
    """Return what is to be matched; empty where everything does."""
    value = value.strip()
    if len(value) > MAX_VALUE_LENGTH or "\0" in value:
        raise InvalidRequest(f"the value of {keyword} is too long or has a NUL character")
    return "" if value == "*" else value


def _start_conditions(keys: _Keys) -> list[ColumnElement[bool]]:
    """Take a range of dates with one of times out of the keys: they are one, from moment to moment.

    References
    ----------
    PS3.4 Table K.6-1: July 5 to July 7 and 10 am to 6 pm is from July 5, 10 am, to July 7, 6 pm
    """
    dates, times = keys.get(_START_DATE, ""), keys.get(_START_TIME, "")
    if "-" not in dates or "-" not in times:
        return []
    try:
        if not are_of_one_form(dates, times):
            return []
        (first_date, last_date), (first_time, last_time) = date_bounds(dates), time_bounds(times)
        columns = scheduled_step.c.start_date, scheduled_step.c.start_time
        where = within_moments(*columns, dates, times)
    except InvalidRequest as error:
        raise InvalidRequest(f"{_START_DATE.keyword} and {_START_TIME.keyword}: {error}") from error
    del keys[_START_DATE], keys[_START_TIME]
    moments = moment_bounds(first_date, first_time, last_date, last_time)
    return [where, moments.hold(scheduled_step.c.moment)]


def _condition(key: WorklistAttribute, value: str, *, fuzzy: bool) -> ColumnElement[bool]:
    table = TABLES[key.part]
    column = table.c[key.field + FOLDED_SUFFIX] if key.is_folded else table.c[key.field]
    if key.field == "station_ae_titles":
        return or_(*map(_for_station, _titles(value)))
    if key is _START_DATE:
        return date_moments(*date_bounds(value)).hold(scheduled_step.c.moment)
    match key.matching:
        case Matching.PERSON_NAME:
            return other_name_condition(column, value, fuzzy=fuzzy).where
        case Matching.FOLDED_TEXT:
            return matches(column, fold(value))
        case Matching.UID:
            return column.in_([parse_uid(uid) for uid in listed(value)])
        case Matching.CODE_STRING:
            return any_of(column, value)
        case Matching.DATE:
            return between(column, *date_bounds(value))
        case Matching.TIME:
            return between(column, *time_bounds(value))
        case Matching.INTEGER:
            return column == integer(value)
        case Matching.TEXT:
            return matches(column, value)
    raise InvalidRequest("this attribute can be returned but not matched")


def _titles(value: str) -> list[str]:
    """Split a list of AE titles, which may have commas."""
    titles = [title for title in value.split("\\") if title.strip()]
    if not titles:
        raise InvalidRequest("a list without an AE title")
    return titles


def _for_station(ae_title: str) -> ColumnElement[bool]:
    """Match what is scheduled for a station, and what any station may perform, as none is named."""
    titles = scheduled_step.c.station_ae_titles
    return or_(titles.is_(None), contains_value(titles, value_pattern(ae_title.strip())))


def _code_conditions(
    codes: Iterable[tuple[Part, CodeAttribute, str]],
) -> list[ColumnElement[bool]]:
    """Match codes: all keys of a sequence must match one item (PS3.4 C.2.2.2.6)."""
    wanted: dict[Part, list[ColumnElement[bool]]] = {}
    for part, key, value in codes:
        if text := _value(key.keyword, value):
            like_pattern(text)  # refuses too many wildcards
            wanted.setdefault(part, []).append(matches(order_code.c[key.field], text))
    return [exists().where(_of_part(part), *conditions) for part, conditions in wanted.items()]


def _of_part(part: Part) -> ColumnElement[bool]:
    if part is Part.STEP:
        return order_code.c.step_ref == scheduled_step.c.id
    of_order: ColumnElement[Any] = order_code.c.order_ref == imaging_order.c.id
    return and_(of_order, order_code.c.step_ref.is_(None))
