"""Wildcards of the Standard (PS3.4 C.2.2.2.4) as patterns of SQL, and values that are no patterns."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import ColumnElement

from pacs.errors import InvalidRequest

MAX_WILDCARDS: Final = 8
EMPTY: Final = '""'  # where it was asked for, the value that matches what has none (PS3.4 C.2.2.2.7)
LIKE_ANY: Final = "%"
LIKE_ESCAPE: Final = "\\"


def has_wildcard(value: str) -> bool:
    """Tell whether a value has wildcards."""
    return "*" in value or "?" in value


def matches(column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
    """Match a column by single value or wildcard.

    Raises
    ------
    InvalidRequest
        There are more than 8 stars.
    """
    return column.like(like_pattern(value), escape=LIKE_ESCAPE) if has_wildcard(value) else column == value


def like_pattern(value: str) -> str:
    """Write a value with wildcards as a pattern of LIKE.

    Raises
    ------
    InvalidRequest
        There are more than 8 stars.
    """
    value = re.sub(r"\*+", "*", value)
    if value.count("*") > MAX_WILDCARDS:
        raise InvalidRequest(f"more than {MAX_WILDCARDS} wildcards")
    return escape_like(value).replace("*", LIKE_ANY).replace("?", "_")


def escape_like(value: str) -> str:
    """Take what is special to LIKE for itself."""
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
