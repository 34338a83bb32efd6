from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pacs.errors import PixelsUnavailable
from pacs.pixels.color import convert_to_rgb, reduce_to_8_bits, ybr_full_to_rgb
from pacs.pixels.ybr import rgb_to_ybr_full
from tests.unit.pacs.pixels.images import EXPLICIT, JPEG_2000, JPEG_XL, describe_rgb

# RGB, and YBR_FULL by the equations of PS3.3 C.7.6.3.1.2
PAIRS = [
    ((0, 0, 0), (0, 128, 128)),
    ((255, 255, 255), (255, 128, 128)),
    ((128, 128, 128), (128, 128, 128)),
    ((255, 0, 0), (76, 85, 255)),
    ((0, 255, 0), (150, 44, 21)),
    ((0, 0, 255), (29, 255, 107)),
]


@pytest.mark.parametrize(("rgb", "ybr"), PAIRS)
def test_ybr_full_by_the_equations(rgb: tuple[int, ...], ybr: tuple[int, ...]) -> None:
    converted = ybr_full_to_rgb(np.array([[ybr]], np.uint8))
    assert np.abs(converted[0, 0].astype(int) - rgb).max() <= 1
    assert np.abs(rgb_to_ybr_full(np.array([[rgb]], np.uint8), 8)[0, 0].astype(int) - ybr).max() <= 1


def test_ybr_full_of_twelve_bits() -> None:
    converted = rgb_to_ybr_full(np.array([[(4095, 0, 0)]], np.uint16), 12)
    assert np.abs(converted[0, 0].astype(int) - (1224, 1357, 4095)).max() <= 1


@pytest.mark.parametrize("name", ["YBR_FULL", "YBR_FULL_422"])
def test_stored_ybr_is_converted_once(name: str) -> None:
    values = np.array([[ybr for _, ybr in PAIRS]], np.uint8)
    rgb = convert_to_rgb(values, Dataset(), describe_rgb(PhotometricInterpretation=name))
    assert np.abs(rgb[0].astype(int) - [rgb for rgb, _ in PAIRS]).max() <= 1


@pytest.mark.parametrize(
    ("name", "transfer_syntax_uid"),
    [
        ("RGB", EXPLICIT),
        ("YBR_RCT", JPEG_2000),
        ("YBR_ICT", JPEG_2000),
        ("YBR_FULL_422", JPEG_XL),
        ("XYB", JPEG_XL),
    ],
)
def test_what_decoders_made_rgb_stays_as_it_is(name: str, transfer_syntax_uid: str) -> None:
    values = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    description = describe_rgb(transfer_syntax_uid, PhotometricInterpretation=name)
    assert np.array_equal(convert_to_rgb(values, Dataset(), description), values)


@pytest.mark.parametrize(
    ("ybr", "rgb"),
    [((16, 128, 128), (0, 0, 0)), ((235, 128, 128), (255, 255, 255)), ((81, 90, 240), (255, 0, 0))],
)
def test_partial_ranges_are_stretched(ybr: tuple[int, ...], rgb: tuple[int, ...]) -> None:
    description = describe_rgb(Rows=1, Columns=1, PhotometricInterpretation="YBR_PARTIAL_422")
    converted = convert_to_rgb(np.array([[ybr]], np.uint8), Dataset(), description)
    assert np.abs(converted[0, 0].astype(int) - rgb).max() <= 1


def test_a_large_image_is_converted_all_over() -> None:
    description = describe_rgb(Rows=300, Columns=700, PhotometricInterpretation="YBR_PARTIAL_422")
    stored = np.random.default_rng(0).integers(16, 236, (300, 700, 3), np.uint8)
    whole = convert_to_rgb(stored, Dataset(), description)
    parts = [convert_to_rgb(stored[row : row + 1], Dataset(), description) for row in range(300)]
    assert np.array_equal(whole, np.concatenate(parts)) and len(np.unique(whole)) == 256


@pytest.mark.parametrize("name", ["YBR_PARTIAL_420", "XYB"])
def test_a_colour_space_without_conversion_is_unavailable(name: str) -> None:
    with pytest.raises(PixelsUnavailable):
        convert_to_rgb(np.zeros((4, 6, 3), np.uint8), Dataset(), describe_rgb(PhotometricInterpretation=name))


@pytest.mark.parametrize(
    ("values", "bits_stored", "reduced"),
    [
        (np.array([0, 255, 256, 65535], np.uint16), 16, [0, 0, 1, 255]),
        (np.array([0, 15, 16, 4095], np.uint16), 12, [0, 0, 1, 255]),
        (np.array([0, 2**24, 2**32 - 1], np.uint32), 32, [0, 1, 255]),
        (np.array([0, 7, 15], np.uint8), 4, [0, 119, 255]),
        (np.array([0, 1], np.uint8), 1, [0, 255]),
        (np.array([0, 200], np.uint16), 8, [0, 200]),
    ],
)
def test_samples_are_scaled_to_eight_bits(values: np.ndarray, bits_stored: int, reduced: list[int]) -> None:
    scaled = reduce_to_8_bits(values, bits_stored)
    assert scaled.dtype == np.uint8 and scaled.tolist() == reduced
