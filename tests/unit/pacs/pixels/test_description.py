from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.description import MAX_FRAME_SIZE_BYTES, describe_pixels
from tests.unit.pacs.pixels.images import (
    BIG_ENDIAN,
    EXPLICIT,
    JPEG_LS,
    RLE,
    describe,
    describe_rgb,
    image_attributes,
)


def test_a_complete_module_is_read_as_it_is() -> None:
    description = describe(BitsStored=12, HighBit=11, PixelRepresentation=1, NumberOfFrames=3)
    assert (description.rows, description.columns, description.samples_per_pixel) == (4, 6, 1)
    assert (description.bits_allocated, description.bits_stored, description.high_bit) == (16, 12, 11)
    assert description.is_signed and description.number_of_frames == 3
    assert description.keyword == "PixelData" and description.transfer_syntax_uid == EXPLICIT
    assert description.dtype == np.int16 and description.frame_shape == (4, 6)


@pytest.mark.parametrize("number_of_frames", [None, "", 0, 1])
def test_absent_empty_and_zero_frames_mean_one(number_of_frames: Any) -> None:
    assert describe(NumberOfFrames=number_of_frames).number_of_frames == 1


def test_what_devices_leave_out_is_filled_in() -> None:
    description = describe(
        BitsStored=None,
        PixelRepresentation=None,
        SamplesPerPixel=None,
        BitsAllocated=8,
        PlanarConfiguration=None,
    )
    assert (description.bits_stored, description.high_bit, description.pixel_representation) == (8, 7, 0)
    assert (description.samples_per_pixel, description.planar_configuration) == (1, 0)
    assert describe(PhotometricInterpretation=None).photometric_interpretation == "MONOCHROME2"
    assert describe_rgb(PhotometricInterpretation=None).photometric_interpretation == "RGB"


@pytest.mark.parametrize(("bits_stored", "high_bit"), [(12, 3), (12, 16), (12, 300)])
def test_an_impossible_high_bit_is_taken_for_the_usual_one(bits_stored: int, high_bit: int) -> None:
    assert describe(BitsStored=bits_stored, HighBit=high_bit).high_bit == bits_stored - 1


def test_a_high_bit_at_the_top_of_the_cell_is_kept() -> None:
    assert describe(BitsStored=12, HighBit=15).high_bit == 15


def test_a_single_bit_has_no_sign() -> None:
    description = describe(BitsAllocated=1, BitsStored=1, PixelRepresentation=1)
    assert not description.is_signed and description.dtype == np.uint8


@pytest.mark.parametrize(
    "changes",
    [
        {"Rows": 0},
        {"Columns": 0},
        {"BitsAllocated": 0},
        {"BitsAllocated": 33},
        {"BitsAllocated": 64},
        {"BitsStored": 17},
        {"PixelRepresentation": 2},
        {"PlanarConfiguration": 2},
        {"NumberOfFrames": -1},
        {"SamplesPerPixel": 3},
        {"PhotometricInterpretation": "RGB"},
    ],
)
def test_impossible_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UndecodablePixels):
        describe(**changes)


@pytest.mark.parametrize("bits", [2, 7, 12, 24, 31])
def test_cells_of_any_number_of_bits_are_packed_in_little_endian_native_pixels_only(bits: int) -> None:
    description = describe(EXPLICIT, BitsAllocated=bits, BitsStored=bits)
    assert description.is_packed and 8 * description.dtype.itemsize >= bits
    for transfer_syntax_uid in (BIG_ENDIAN, RLE, JPEG_LS):
        with pytest.raises(UndecodablePixels, match=f"{bits} bits"):
            describe(transfer_syntax_uid, BitsAllocated=bits, BitsStored=bits)


@pytest.mark.parametrize(
    "changes", [{"Rows": None}, {"Columns": None}, {"PhotometricInterpretation": "HSV", "SamplesPerPixel": 3}]
)
def test_a_data_set_without_a_known_image_has_no_pixels(changes: dict[str, Any]) -> None:
    with pytest.raises(PixelsUnavailable) as caught:
        describe(**changes)
    assert not isinstance(caught.value, UndecodablePixels)


def test_an_unknown_transfer_syntax_has_no_pixels() -> None:
    with pytest.raises(PixelsUnavailable):
        describe("1.2.3.4")


def test_a_frame_above_the_budget_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(UndecodablePixels):
        describe(Rows=65535, Columns=65535)
    side = int(MAX_FRAME_SIZE_BYTES**0.5)
    assert describe(Rows=side, Columns=side, BitsAllocated=8, BitsStored=8).frame_size_bytes == side * side
    with pytest.raises(UndecodablePixels):
        describe(Rows=side, Columns=side, BitsAllocated=16)


@pytest.mark.parametrize(
    ("bits", "keyword", "dtype"), [(32, "FloatPixelData", "f4"), (64, "DoubleFloatPixelData", "f8")]
)
def test_float_pixels_are_told_by_their_module(bits: int, keyword: str, dtype: str) -> None:
    description = describe(BitsAllocated=bits, BitsStored=None, PixelRepresentation=None)
    assert description.keyword == keyword and description.dtype == np.dtype(dtype)


def test_a_keyword_that_contradicts_the_bits_is_refused() -> None:
    with pytest.raises(UndecodablePixels):
        describe_pixels(image_attributes(BitsAllocated=16), EXPLICIT, "FloatPixelData")
    with pytest.raises(UndecodablePixels):
        describe_pixels(image_attributes(), EXPLICIT, "PatientName")


def test_a_dose_of_32_bits_is_made_of_integers() -> None:
    assert describe(BitsAllocated=32, BitsStored=32).dtype == np.uint32


_KEYWORDS = {
    "Rows": "US",
    "Columns": "US",
    "SamplesPerPixel": "US",
    "PhotometricInterpretation": "CS",
    "BitsAllocated": "US",
    "BitsStored": "US",
    "HighBit": "US",
    "PixelRepresentation": "US",
    "PlanarConfiguration": "US",
    "NumberOfFrames": "IS",
}


@settings(max_examples=150)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            keyword: st.tuples(
                st.sampled_from([vr, "UN", "OB", "LO"]),
                st.binary(max_size=6)
                | st.sampled_from([b"\1\0", b"\x10\0", b"\x20\0", b"RGB ", b"1 ", b"\0\x08"]),
            )
            for keyword, vr in _KEYWORDS.items()
        },
    )
)
def test_any_bytes_are_described_within_bounds_or_refused(elements: dict[str, tuple[str, bytes]]) -> None:
    attributes = _with_raw_elements(elements)
    try:
        description = describe_pixels(attributes, EXPLICIT)
    except PixelsUnavailable:
        return
    assert 1 <= description.bits_stored <= description.high_bit + 1 <= description.bits_allocated
    assert 1 <= description.frame_size_bytes <= MAX_FRAME_SIZE_BYTES
    assert description.samples_per_pixel in (1, 3) and description.number_of_frames >= 1


def _with_raw_elements(elements: dict[str, tuple[str, bytes]]) -> Dataset:
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    attributes = Dataset()
    for keyword, (vr, value) in elements.items():
        tag = Tag(tag_for_keyword(keyword) or 0)
        attributes[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)  # type: ignore[arg-type]
    return attributes
