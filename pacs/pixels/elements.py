"""Reading single values from a data set that a real device wrote: absent, empty, odd and damaged ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as ItemSequence

from pacs.errors import UndecodablePixels


def read_value(attributes: Dataset, keyword: str | int) -> Any:
    """Return the value of an element, by keyword or tag, None where it is absent or empty.

    Raises
    ------
    UndecodablePixels
        The value's bytes do not make a value of its VR.
    """
    try:
        value = attributes.get(keyword)
        value = value.value if isinstance(value, DataElement) else value
    except Exception as error:  # pydicom converts when asked, and each VR fails in its own way
        raise UndecodablePixels(f"{_name(keyword)} cannot be read") from error
    return None if _is_empty(value) else value


def read_integer(attributes: Dataset, keyword: str | int) -> int | None:
    """Return the first value as an integer, None where there is none.

    Raises
    ------
    UndecodablePixels
        The value is no integer.
    """
    value = read_value(attributes, keyword)
    if value is None:
        return None
    value = _as_sequence(value)[0]
    if isinstance(value, bytes):  # int() would read them as text
        raise UndecodablePixels(f"{_name(keyword)} is not an integer")
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UndecodablePixels(f"{_name(keyword)} is not an integer") from error


def read_decimals(attributes: Dataset, keyword: str) -> list[float]:
    """Return all values as finite numbers; an empty list where one of them is not, or there is none."""
    try:
        value = read_value(attributes, keyword)
        values = [float(each) for each in _as_sequence(value)]
    except (UndecodablePixels, TypeError, ValueError, OverflowError):
        return []
    return values if all(math.isfinite(each) for each in values) else []


def read_texts(attributes: Dataset, keyword: str | int) -> list[str]:
    """Return all values as stripped text; an empty list where there is none."""
    try:
        value = read_value(attributes, keyword)
    except UndecodablePixels:
        return []
    return [str(each).strip() for each in _as_sequence(value)]


def read_items(attributes: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence; none where it is absent, empty or not a sequence."""
    try:
        value = read_value(attributes, keyword)
    except UndecodablePixels:
        return []
    return value if isinstance(value, ItemSequence) else []


def _name(keyword: str | int) -> str:
    return keyword if isinstance(keyword, str) else f"({keyword >> 16:04X},{keyword & 0xFFFF:04X})"


def _is_empty(value: Any) -> bool:
    if value is None:
        return True
    return hasattr(value, "__len__") and not isinstance(value, Dataset) and len(value) == 0


def _as_sequence(value: Any) -> Sequence[Any]:
    if value is None:
        return []
    return value if isinstance(value, MultiValue | list | tuple) else [value]
