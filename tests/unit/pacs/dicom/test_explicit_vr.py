from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.dicom.explicit_vr import encode_head, encode_values, pad, require_vr
from pacs.errors import UnreadableInstance
from tests.datasets import encode


@pytest.mark.parametrize(
    ("keyword", "vr", "values"),
    [
        ("ImageType", "CS", ["ORIGINAL", "PRIMARY"]),
        ("StudyInstanceUID", "UI", ["1.2.3"]),
        ("PixelSpacing", "DS", ["0.5", "0.25"]),
        ("InstanceNumber", "IS", [7]),
        ("Rows", "US", [512]),
        ("TagAngleSecondAxis", "SS", [-5]),
        ("ReferencedContentItemIdentifier", "UL", [1, 2, 3]),
        ("RecommendedDisplayFrameRateInFloat", "FL", [12.5]),
        ("SlabThickness", "FD", [0.1]),
        ("FrameIncrementPointer", "AT", ["00181063"]),
        ("StudyDescription", "LO", ["CT ngực"]),
        ("ImageComments", "LT", ["a\\b"]),
        ("RetrieveURL", "UR", ["http://x/1"]),
        ("PatientAge", "AS", ["030Y"]),
    ],
)
def test_values_are_encoded_as_pydicom_encodes_them(keyword: str, vr: str, values: list[Any]) -> None:
    dataset = Dataset()
    if vr == "LO":
        dataset.SpecificCharacterSet = "ISO_IR 192"
    setattr(dataset, keyword, [int(value, 16) for value in values] if vr == "AT" else values)
    value = encode_values(vr, values)
    (tag,) = [element.tag for element in dataset if element.keyword == keyword]
    assert encode(dataset).endswith(encode_head(tag, vr, len(value)) + value)


@given(st.floats(-1e300, 1e300))
@settings(max_examples=100)
def test_a_number_fits_into_a_decimal_string_as_exactly_as_can_be(number: float) -> None:
    text = encode_values("DS", [number]).decode().rstrip(" ")
    assert len(text) <= 16
    assert math.isclose(float(text), number, rel_tol=1e-8, abs_tol=1e-300)


@pytest.mark.parametrize(
    ("vr", "values"),
    [
        ("US", [65536]),
        ("US", [-1]),
        ("US", [1.5]),
        ("US", [True]),
        ("US", ["x"]),
        ("FD", ["x"]),
        ("DS", [math.nan]),
        ("DS", [math.inf]),
        ("AT", ["0018106"[:3] + "x"]),
        ("AT", ["100000000"]),
        ("LO", [3]),
        ("LO", ["a\\b"]),
        ("LT", ["a", "b"]),
        ("CS", ["đ"]),
        ("LO", ["\ud800"]),
        ("OB", ["x"]),
        ("SQ", ["x"]),
    ],
)
def test_what_is_no_value_of_its_vr_is_refused(vr: str, values: list[Any]) -> None:
    with pytest.raises(UnreadableInstance):
        encode_values(vr, values)


@pytest.mark.parametrize(("tag", "vr", "length"), [(0x00080060, "CS", 65536), (0x7FE00010, "OW", 1 << 32)])
def test_a_value_that_is_too_long_for_its_vr_is_refused(tag: int, vr: str, length: int) -> None:
    with pytest.raises(UnreadableInstance):
        encode_head(tag, vr, length)


@pytest.mark.parametrize("vr", ["", "XX", "ob", None, 3])
def test_a_vr_that_there_is_not_is_refused(vr: object) -> None:
    with pytest.raises(UnreadableInstance):
        require_vr(vr)


def test_values_are_padded_by_what_their_vr_takes() -> None:
    assert [pad(vr, 3) for vr in ("UI", "OB", "LO", "CS")] == [b"\0", b"\0", b" ", b" "]
    assert pad("LO", 4) == b""
