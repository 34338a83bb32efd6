from __future__ import annotations

from typing import Any

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from pacs.errors import UndecodablePixels
from pacs.pixels.elements import read_decimals, read_integer, read_items, read_texts, read_value


def raw(keyword: str, vr: str, value: bytes) -> Dataset:
    """A data set as it comes from a file: pydicom has not looked at the value yet."""
    tag = Tag(tag_for_keyword(keyword) or 0)
    attributes = Dataset()
    attributes[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)  # type: ignore[arg-type]
    return attributes


def test_absent_and_empty_are_the_same() -> None:
    for attributes in (Dataset(), raw("Rows", "US", b""), raw("WindowCenter", "DS", b"")):
        assert read_value(attributes, "Rows") is None and read_integer(attributes, "Rows") is None
        assert (
            read_decimals(attributes, "WindowCenter") == [] and read_texts(attributes, "WindowCenter") == []
        )


@pytest.mark.parametrize(
    ("vr", "value", "integer"), [("US", b"\2\1", 258), ("US", b"\2\0\3\0", 2), ("IS", b"12 ", 12)]
)
def test_the_first_integer_is_read(vr: str, value: bytes, integer: int) -> None:
    assert read_integer(raw("Rows", vr, value), "Rows") == integer


@pytest.mark.parametrize(
    ("vr", "value"), [("US", b"abc"), ("IS", b"x1"), ("OB", b"12"), ("FD", b"\0" * 6 + b"\xf0\x7f")]
)
def test_what_is_no_integer_is_refused(vr: str, value: bytes) -> None:
    with pytest.raises(UndecodablePixels):
        read_integer(raw("Rows", vr, value), "Rows")


@pytest.mark.parametrize(
    ("value", "decimals"),
    [(b"1.5", [1.5]), (b"1\\-2e1 ", [1, -20]), (b"1\\x", []), (b"1\\1e999", []), (b"nan", [])],
)
def test_decimals_are_all_finite_or_none(value: bytes, decimals: list[float]) -> None:
    assert read_decimals(raw("WindowCenter", "DS", value), "WindowCenter") == decimals


def test_texts_are_stripped() -> None:
    attributes = raw("WindowCenterWidthExplanation", "LO", b"LUNG \\ BONE")
    assert read_texts(attributes, "WindowCenterWidthExplanation") == ["LUNG", "BONE"]


@pytest.mark.parametrize(("vr", "value"), [("SQ", b"abc"), ("OB", b"abcd"), ("LO", b"text")])
def test_what_is_no_sequence_has_no_items(vr: str, value: bytes) -> None:
    assert list(read_items(raw("VOILUTSequence", vr, value), "VOILUTSequence")) == []


@pytest.mark.parametrize("read", [read_decimals, read_texts])
def test_damaged_values_of_no_consequence_are_left_out(read: Any) -> None:
    assert read(raw("WindowCenter", "FD", b"abc"), "WindowCenter") == []
