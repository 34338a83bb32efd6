from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.pixels.description import describe_pixels
from pacs.pixels.overlays import Overlay, read_overlays
from tests.unit.pacs.pixels.images import BIG_ENDIAN, EXPLICIT, RLE, image_attributes

PLANE = np.array([[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0], [0, 0, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]], bool)


def add_plane(attributes: Dataset, group: int = 0x6000, **changes: Any) -> Dataset:
    """Add an overlay plane; None leaves an element out."""
    elements = {
        "rows": (0x10, "US", 4),
        "columns": (0x11, "US", 6),
        "frames": (0x15, "IS", None),
        "origin": (0x50, "SS", [1, 1]),
        "first_frame": (0x51, "US", None),
        "bits_allocated": (0x100, "US", 1),
        "bit_position": (0x102, "US", 0),
        "data": (0x3000, "OW", np.packbits(PLANE.reshape(-1), bitorder="little").tobytes() + b"\0"),
    }
    for name, (element, vr, value) in elements.items():
        changed = changes.get(name, value)
        if changed is not None:
            attributes.add_new((group, element), vr, changed)
    return attributes


def overlays(
    attributes: Dataset, frame_index: int = 0, syntax: str = EXPLICIT, **options: Any
) -> list[Overlay]:
    return list(read_overlays(attributes, frame_index, describe_pixels(attributes, syntax), **options))


def test_a_plane_is_read_bit_by_bit_the_lowest_first() -> None:
    (overlay,) = overlays(add_plane(image_attributes()))
    assert np.array_equal(overlay.bits, PLANE) and (overlay.top, overlay.left) == (0, 0)


def test_words_of_big_endian_objects_are_turned_around() -> None:
    packed = np.packbits(PLANE.reshape(-1), bitorder="little").tobytes() + b"\0"
    turned = np.frombuffer(packed, "u2").byteswap().tobytes()
    (overlay,) = overlays(add_plane(image_attributes(), data=turned), syntax=BIG_ENDIAN)
    assert np.array_equal(overlay.bits, PLANE)


def test_all_groups_are_read() -> None:
    attributes = add_plane(add_plane(image_attributes(), 0x6002), 0x601E)
    assert [overlay.group for overlay in overlays(attributes)] == [0x6002, 0x601E]


@pytest.mark.parametrize(
    ("origin", "row", "column"),
    [([1, 1], 0, 0), ([2, 3], 1, 2), ([0, 0], -1, -1), ([-3, -5], -4, -6), (None, 0, 0)],
)
def test_the_origin_may_lie_outside_of_the_image(origin: list[int] | None, row: int, column: int) -> None:
    (overlay,) = overlays(add_plane(image_attributes(), origin=origin))
    expected = np.zeros((4, 6), bool)
    for y, x in np.argwhere(PLANE):
        if 0 <= y + row < 4 and 0 <= x + column < 6:
            expected[y + row, x + column] = True
    assert np.array_equal(overlay.spread(4, 6), expected)


def test_frames_of_a_plane_lie_over_frames_of_the_image() -> None:
    second = ~PLANE
    bits = np.concatenate((PLANE.reshape(-1), second.reshape(-1)))
    data = np.packbits(bits, bitorder="little").tobytes()
    attributes = add_plane(image_attributes(NumberOfFrames=5), data=data, frames=2, first_frame=3)
    found = [overlays(attributes, index) for index in range(5)]
    assert [len(each) for each in found] == [0, 0, 1, 1, 0]
    assert np.array_equal(found[2][0].bits, PLANE) and np.array_equal(found[3][0].bits, second)


@pytest.mark.parametrize("position", [12, 15])
def test_a_plane_in_unused_bits_is_read_from_the_pixel_cells(position: int) -> None:
    attributes = image_attributes(BitsStored=12, HighBit=11)
    add_plane(attributes, data=None, bits_allocated=16, bit_position=position)
    cells = (np.arange(24, dtype="<u2").reshape(4, 6) + (PLANE.astype("<u2") << position)).tobytes()
    (overlay,) = overlays(attributes, encoded_frame=cells)
    assert np.array_equal(overlay.bits, PLANE)
    assert overlays(attributes) == [] and overlays(attributes, syntax=RLE, encoded_frame=cells) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 0},
        {"rows": 65535, "columns": 65535},
        {"data": b"\1"},
        {"data": None},  # bit 0 is a bit of the pixels
        {"frames": 9, "first_frame": 1, "data": b""},
    ],
)
def test_impossible_planes_are_left_out(changes: dict[str, Any]) -> None:
    assert overlays(add_plane(image_attributes(), **changes), encoded_frame=bytes(48)) == []


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_plane_is_more_than_left_out(data: st.DataObject) -> None:
    numbers = st.one_of(st.none(), st.integers(0, 20), st.sampled_from([255, 65535]))
    attributes = image_attributes(BitsStored=12, HighBit=11)
    names = ("rows", "columns", "frames", "first_frame", "bits_allocated", "bit_position")
    changes: dict[str, Any] = {name: data.draw(numbers) for name in names}
    changes["origin"] = data.draw(st.lists(st.integers(-32768, 32767), max_size=3))
    changes["data"] = data.draw(st.one_of(st.none(), st.binary(max_size=64)))
    add_plane(attributes, **changes)
    for overlay in overlays(attributes, data.draw(st.integers(0, 3)), encoded_frame=bytes(48)):
        assert overlay.spread(4, 6).shape == (4, 6)
