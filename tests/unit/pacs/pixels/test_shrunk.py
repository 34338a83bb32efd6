from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.pixels.appearance import AS_STORED, Appearance, Region
from pacs.pixels.description import describe_pixels
from pacs.pixels.gsdf import Display
from pacs.pixels.render import render_frame
from pacs.pixels.shrunk import find_shrunk_size, read_shrunk_frame, render_shrunk_frame, shrink
from pacs.pixels.voi import VoiChoice
from pacs.pixels.window import Window
from tests.datasets import make_dataset

ROWS, COLUMNS = 190, 131
SYNTAX = "1.2.840.10008.1.2.1"


def image(**attributes: Any) -> Dataset:
    return make_dataset(
        **{"Rows": ROWS, "Columns": COLUMNS, "PixelData": bytes(2 * ROWS * COLUMNS), **attributes}
    )


def values_of(dataset: Dataset) -> np.ndarray:
    dtype = describe_pixels(dataset, SYNTAX).dtype
    y, x = np.mgrid[:ROWS, :COLUMNS]
    noise = np.random.default_rng(7).integers(0, 90, (ROWS, COLUMNS))
    return (800 * np.sin(x / 9) * np.cos(y / 11) + (0 if dtype.kind == "i" else 900) + noise).astype(dtype)


SIGNED = {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15}
IMAGES = {
    "plain": {},
    "with windows": {"WindowCenter": ["40", "500"], "WindowWidth": ["400", "90"]},
    "signed, rescaled": {**SIGNED, "RescaleSlope": "1.5", "RescaleIntercept": "-30"},
    "lowest white": {"PhotometricInterpretation": "MONOCHROME1"},
    "with padding": {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 200},
    "oblong pixels": {"PixelSpacing": ["0.2", "0.3"]},
}
APPEARANCES = {
    "as stored": Appearance(size=(60, 60)),
    "much smaller": Appearance(size=(20, 20)),
    "a window": Appearance(Window(300, 200), size=(50, 60)),
    "flipped": Appearance(size=(60, 60), flipped_horizontally=True, flipped_vertically=True),
    "on a display": Appearance(size=(60, 60), display=Display(0.5, 250.0)),
}


@pytest.mark.parametrize("attributes", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("appearance", APPEARANCES.values(), ids=APPEARANCES)
def test_averages_lead_to_the_picture_of_the_frame_itself(
    attributes: dict[str, Any], appearance: Appearance
) -> None:
    dataset = image(**attributes)
    description, stored = describe_pixels(dataset, SYNTAX), values_of(dataset)
    size = find_shrunk_size(dataset, description, 0, appearance)
    assert size is not None
    kept = read_shrunk_frame(shrink(stored, dataset, description, 0, size).to_bytes(), description.dtype)
    assert kept is not None
    of_averages = render_shrunk_frame(kept, dataset, description, 0, appearance)
    whole = render_frame(stored, dataset, description, 0, appearance)
    if of_averages is None:  # padding in the middle of the values: levels rise and fall
        assert "PixelPaddingValue" in attributes
    else:
        np.testing.assert_array_equal(of_averages, whole)
        assert whole.shape == size[::-1] and whole.std() > 5


def test_a_choice_among_windows_is_made_anew_for_each_picture() -> None:
    dataset = image(**IMAGES["with windows"])
    description, stored = describe_pixels(dataset, SYNTAX), values_of(dataset)
    kept = shrink(stored, dataset, description, 0, (40, 58))
    pictures = []
    for choice in (1, 2):
        appearance = Appearance(VoiChoice(choice), size=(40, 58))
        of_averages = render_shrunk_frame(kept, dataset, description, 0, appearance)
        np.testing.assert_array_equal(of_averages, render_frame(stored, dataset, description, 0, appearance))
        pictures.append(of_averages)
    assert not np.array_equal(*pictures)


@pytest.mark.parametrize(
    ("attributes", "appearance"),
    [
        ({}, AS_STORED),
        ({}, Appearance(size=(66, 100))),  # more than half of the columns
        ({}, Appearance(region=Region(0, 0, 130, 190), size=(20, 20))),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, Appearance(size=(20, 20))),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, Appearance(size=(20, 20))),
    ],
)
def test_what_takes_more_than_averages_is_told(attributes: dict[str, Any], appearance: Appearance) -> None:
    dataset = image(**attributes)
    assert find_shrunk_size(dataset, describe_pixels(dataset, SYNTAX), 0, appearance) is None


def test_an_image_with_an_overlay_takes_more_than_averages() -> None:
    dataset = image()
    dataset.add_new(0x60020010, "US", 4)
    assert find_shrunk_size(dataset, describe_pixels(dataset, SYNTAX), 0, Appearance(size=(20, 20))) is None


@given(st.binary(max_size=80))
def test_any_other_bytes_are_no_averages(data: bytes) -> None:
    found = read_shrunk_frame(data, np.dtype(np.uint16))
    assert found is None or found.values.size * 2 < len(data)
