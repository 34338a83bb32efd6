"""Ranges of dates and times (PS3.4 C.2.2.2.5)."""

from __future__ import annotations

import re
from typing import Final

from pacs.errors import InvalidRequest
from pacs.index.paths import Moments
from pacs.index.study_terms import moment_of

_DATE = re.compile(r"\d{8}", re.ASCII)
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", re.ASCII)
_LAST_TIME: Final = "235959.999999"
_FIRST_DATE, _LAST_DATE = "00000000", "99999999"


def parse_range(value: str) -> tuple[str, str]:
    """Split a range; a single value is its beginning and its end.

    Raises
    ------
    InvalidRequest
        It has neither a beginning nor an end.
    """
    first, dash, last = value.partition("-")
    if dash and not first.strip() and not last.strip():
        raise InvalidRequest("a range needs a beginning or an end")
    return (first.strip(), last.strip()) if dash else (value, value)


def date_bounds(value: str) -> tuple[str | None, str | None]:
    """Read the bounds of a date or a range of dates; None where it is open.

    Raises
    ------
    InvalidRequest
        The value is not of that form.
    """
    bounds = parse_range(value)
    if any(bound and not _DATE.fullmatch(bound) for bound in bounds):
        raise InvalidRequest("a date is YYYYMMDD, a range YYYYMMDD-YYYYMMDD")
    return bounds[0] or None, bounds[1] or None


def time_bounds(value: str) -> tuple[str | None, str | None]:
    """Read the bounds of a time or a range of times, each as wide as its precision; None where it is open.

    10 to 11 means 10:00:00 to 11:59:59.999999 (PS3.5 6.2, VR TM). Times are compared as texts, so a beginning
    has no zeros behind it that would make it later than the same time written shorter.

    Raises
    ------
    InvalidRequest
        The value is not of that form.
    """
    first, last = parse_range(value)
    if any(bound and not _TIME.fullmatch(bound) for bound in (first, last)):
        raise InvalidRequest("a time is HHMMSS.FFFFFF or shorter, a range two of these with a dash")
    if last:
        last = last + (_LAST_TIME[len(last) :] if "." not in last else "9" * (13 - len(last)))
    return _earliest(first) if first else None, last or None


def _earliest(time: str) -> str:
    return time.rstrip("0").rstrip(".") if "." in time else time.ljust(6, "0")


def date_moments(first: str | None, last: str | None) -> Moments:
    """Return the moments of a range of dates."""
    return moment_bounds(first, None, last, _LAST_TIME)


def moment_bounds(
    first_date: str | None, first_time: str | None, last_date: str | None, last_time: str | None
) -> Moments:
    """Return the moments from a date and time to another, wide enough for fractions of seconds."""
    return Moments(
        moment_of(first_date or _FIRST_DATE, first_time), moment_of(last_date or _LAST_DATE, last_time)
    )
