"""Conditions on one column, or on a date and its time, whichever table they are of (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import ColumnElement, and_, or_

from pacs.errors import InvalidRequest
from pacs.index.like import matches
from pacs.index.ranges import date_bounds, parse_range, time_bounds

MAX_LISTED_VALUES: Final = 1000


def any_of(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Match any value of a list, each by single value or wildcard."""
    return or_(*(matches(column, one) for one in listed(value)))


def listed(value: str) -> list[str]:
    """Split a list of values: a comma as web clients write it, a backslash as DIMSE does.

    Raises
    ------
    InvalidRequest
    """
    parts = (one.strip() for one in value.replace("\\", ",").split(","))
    values = list(dict.fromkeys(one for one in parts if one))
    if not 0 < len(values) <= MAX_LISTED_VALUES:
        raise InvalidRequest(f"a list has 1 to {MAX_LISTED_VALUES} values")
    return values


def integer(value: str) -> int:
    """Read an integer.

    Raises
    ------
    InvalidRequest
    """
    if not re.fullmatch(r"[+-]?\d{1,9}", value, re.ASCII):
        raise InvalidRequest("not an integer")
    return int(value)


def between(column: ColumnElement[str], first: str | None, last: str | None) -> ColumnElement[bool]:
    """Match a range, an end of which may be open."""
    bounds = []
    if first is not None:
        bounds.append(column >= first)
    if last is not None:
        bounds.append(column <= last)
    return and_(*bounds)


def are_of_one_form(dates: str, times: str) -> bool:
    """Tell whether a range of dates and one of times have the same ends: together they are of moments.

    Raises
    ------
    InvalidRequest
    """
    return [bool(end) for end in parse_range(dates)] == [bool(end) for end in parse_range(times)]


def within_moments(
    date: ColumnElement[str], time: ColumnElement[str], dates: str, times: str
) -> ColumnElement[bool]:
    """Match the moments from the first date and time to the last (PS3.4 C.2.2.2.5.3).

    Raises
    ------
    InvalidRequest
    """
    (first_date, last_date), (first_time, last_time) = date_bounds(dates), time_bounds(times)
    bounds = []
    if first_date is not None:
        bounds.append(or_(date > first_date, and_(date == first_date, time >= first_time)))
    if last_date is not None:
        bounds.append(or_(date < last_date, and_(date == last_date, time <= last_time)))
    return and_(*bounds, time.is_not(None))
