from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.palette import Palette, expand_segments, read_palette
from tests.unit.pacs.pixels.images import BIG_ENDIAN, EXPLICIT, describe

COLORS = ("Red", "Green", "Blue")


def palette(descriptor: list[int], *data: bytes, prefix: str = "") -> Dataset:
    attributes = Dataset()
    for color, entries in zip(COLORS, data, strict=True):
        attributes.add_new(f"{color}PaletteColorLookupTableDescriptor", "US", descriptor)
        attributes.add_new(f"{prefix}{color}PaletteColorLookupTableData", "OW", entries)
    return attributes


def indices(transfer_syntax_uid: str = EXPLICIT, **changes: Any) -> Any:
    return describe(transfer_syntax_uid, PhotometricInterpretation="PALETTE COLOR", **changes)


def words(*values: int, order: str = "<") -> bytes:
    return np.array(values, f"{order}u2").tobytes()


def test_entries_of_sixteen_bits_are_reduced_to_eight() -> None:
    attributes = palette([2, 0, 16], words(0, 0xFF00), words(0x1234, 0x8000), words(0, 0xFFFF))
    colors = read_palette(attributes, indices()).apply(np.array([[0, 1, 2]]))
    assert colors.tolist() == [[[0, 0x12, 0], [255, 0x80, 255], [255, 0x80, 255]]]


def test_entries_of_eight_bits_come_in_bytes_or_words() -> None:
    for data in (bytes([1, 2]), words(1, 2)):
        assert read_palette(palette([2, 0, 8], data, data, data), indices()).colors[:, 0].tolist() == [1, 2]


def test_eight_bits_under_the_name_of_sixteen_are_shown() -> None:
    attributes = palette([2, 0, 16], words(0, 255), words(0, 128), words(0, 1))
    assert read_palette(attributes, indices()).colors.tolist() == [[0, 0, 0], [255, 128, 1]]


def test_big_endian_words() -> None:
    data = words(0x1200, 0x3400, order=">")
    assert read_palette(palette([2, 0, 16], data, data, data), indices(BIG_ENDIAN)).colors[:, 0].tolist() == [
        0x12,
        0x34,
    ]


def test_the_palette_begins_at_its_first_value() -> None:
    attributes = palette([2, 100, 8], b"\1\2", b"\3\4", b"\5\6")
    colors = read_palette(attributes, indices()).apply(np.array([[0, 100, 101, 9999]], np.uint16))
    assert colors[0, :, 0].tolist() == [1, 1, 2, 2]


def test_a_negative_first_value_goes_with_signed_pixels() -> None:
    attributes = palette([2, 0xFFFF, 8], b"\1\2", b"\3\4", b"\5\6")
    colors = read_palette(attributes, indices(PixelRepresentation=1)).apply(np.array([[-1, 0]], np.int16))
    assert colors[0, :, 0].tolist() == [1, 2]


def test_segments_of_each_kind() -> None:
    # PS3.3 C.7.9.2: discrete 10, 20; linear 4 steps to 60; then the two segments from byte 0 on again
    segments = np.array([0, 2, 10, 20, 1, 4, 60, 2, 2, 0, 0], np.uint16)
    expected = [10, 20, 30, 40, 50, 60, 10, 20, 30, 40, 50, 60]
    assert expand_segments(segments, 12).tolist() == expected
    assert expand_segments(segments, 8).tolist() == expected[:8]


def test_the_offset_of_an_indirect_segment_counts_bytes() -> None:
    segments = np.array([0, 1, 9, 0, 2, 7, 8, 2, 1, 6, 0], np.uint16)
    assert expand_segments(segments, 5).tolist() == [9, 7, 8, 7, 8]
    packed = np.array([0, 1, 9, 0, 2, 7, 8, 2, 1, 3, 0, 0, 0], np.uint8)
    assert expand_segments(packed, 5).tolist() == [9, 7, 8, 7, 8]


def test_a_segmented_palette_is_read() -> None:
    data = words(0, 1, 0, 1, 3, 0xFF00)
    attributes = palette([4, 0, 16], data, data, data, prefix="Segmented")
    assert read_palette(attributes, indices()).colors[:, 0].tolist() == [0, 85, 170, 255]


def test_a_big_endian_segmented_palette_is_read() -> None:
    data = words(0, 1, 0, 1, 3, 0xFF00, order=">")
    attributes = palette([4, 0, 16], data, data, data, prefix="Segmented")
    assert read_palette(attributes, indices(BIG_ENDIAN)).colors[:, 0].tolist() == [0, 85, 170, 255]


def test_a_segmented_palette_of_bytes_is_read() -> None:
    data = bytes([0, 1, 0, 1, 3, 255])
    attributes = palette([4, 0, 8], data, data, data, prefix="Segmented")
    assert read_palette(attributes, indices()).colors[:, 0].tolist() == [0, 85, 170, 255]


@pytest.mark.parametrize(
    "numbers",
    [[1, 4, 60], [3, 1, 1], [0, 0, 0], [0, 1, 5, 1, 0, 9], [0, 1, 5, 2, 1, 6, 0], [2, 1, 0, 0], [0], []],
)
def test_impossible_segments_are_refused(numbers: list[int]) -> None:
    with pytest.raises(UndecodablePixels):
        expand_segments(np.array(numbers, np.uint16), 100)


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 8, 65535]) | st.integers(0, 65535), max_size=40),
    st.integers(1, 65536),
)
def test_hostile_segments_expand_within_the_table(numbers: list[int], number_of_entries: int) -> None:
    try:
        entries = expand_segments(np.array(numbers, np.uint16), number_of_entries)
    except UndecodablePixels:
        return
    assert 1 <= len(entries) <= number_of_entries


def test_colour_without_a_palette_is_unavailable() -> None:
    with pytest.raises(PixelsUnavailable):
        read_palette(Dataset(), indices())
    attributes = palette([2, 0, 8], b"\1\2", b"\1\2", b"\1\2")
    del attributes.GreenPaletteColorLookupTableData
    with pytest.raises(PixelsUnavailable):
        read_palette(attributes, indices())


def test_a_large_image_is_looked_up_all_over() -> None:
    values = np.random.default_rng(0).integers(0, 300, (400, 500), np.uint16)
    colors = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    assert np.array_equal(Palette(10, colors).apply(values), colors[np.clip(values.astype(int) - 10, 0, 255)])
