from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pacs.errors import InvalidRequest, PixelsUnavailable
from pacs.pixels.description import describe_pixels
from pacs.pixels.render import render_frame
from pacs.pixels.window import Window
from tests.unit.pacs.pixels.images import EXPLICIT, gradient, image_attributes, rgb_attributes


def render_gray(stored: np.ndarray, changes: dict[str, Any] | None = None, **options: Any) -> np.ndarray:
    attributes = image_attributes(Rows=stored.shape[0], Columns=stored.shape[1], **(changes or {}))
    return render_frame(stored, attributes, describe_pixels(attributes, EXPLICIT), 0, **options)


def test_grayscale_of_the_stored_size_is_the_transformation() -> None:
    picture = render_gray(np.array([[0, 500, 1000]], np.uint16), window=Window(500, 1000, "LINEAR_EXACT"))
    assert picture.dtype == np.uint8 and picture.tolist() == [[0, 128, 255]]


def test_colour_has_three_samples_and_no_window() -> None:
    stored = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    attributes = rgb_attributes()
    description = describe_pixels(attributes, EXPLICIT)
    assert np.array_equal(render_frame(stored, attributes, description, 0, window=Window(1, 1)), stored)


def test_a_palette_is_looked_up() -> None:
    attributes = image_attributes(
        Rows=1, Columns=2, PhotometricInterpretation="PALETTE COLOR", BitsAllocated=8, BitsStored=8
    )
    description = describe_pixels(attributes, EXPLICIT)
    stored = np.array([[0, 1]], np.uint8)
    with pytest.raises(PixelsUnavailable):
        render_frame(stored, attributes, description, 0)
    for color, entries in (("Red", b"\1\2"), ("Green", b"\3\4"), ("Blue", b"\5\6")):
        attributes.add_new(f"{color}PaletteColorLookupTableDescriptor", "US", [2, 0, 8])
        attributes.add_new(f"{color}PaletteColorLookupTableData", "OW", entries)
    assert render_frame(stored, attributes, description, 0).tolist() == [[[1, 3, 5], [2, 4, 6]]]


@pytest.mark.parametrize(
    ("shape", "options", "shown"),
    [
        ((40, 60), {"size": (30, 30)}, (20, 30)),
        ((40, 60), {"size": (600, 600)}, (40, 60)),
        ((40, 60), {"size": (600, 600), "enlarge": True}, (400, 600)),
        ((501, 333), {"size": (17, 17)}, (17, 11)),
    ],
)
def test_frames_fit_into_the_size(
    shape: tuple[int, int], options: dict[str, Any], shown: tuple[int, int]
) -> None:
    assert render_gray(gradient(*shape), **options).shape == shown


def test_pixels_that_are_not_square_are_made_square() -> None:
    assert render_gray(gradient(40, 60), {"PixelSpacing": [2, 1]}).shape == (80, 60)
    assert render_gray(gradient(40, 60), {"PixelAspectRatio": [1, 2]}).shape == (40, 120)
    assert render_gray(gradient(40, 60), {"PixelSpacing": [2, 1]}, size=(30, 30)).shape == (30, 22)


def test_a_thumbnail_has_the_brightness_of_its_image() -> None:
    stored = gradient(1000, 1400)
    whole, thumbnail = render_gray(stored), render_gray(stored, size=(70, 50))
    blocks = whole.reshape(50, 20, 70, 20).mean((1, 3))
    assert np.abs(thumbnail - blocks).max() < 8
    assert abs(float(thumbnail.mean()) - float(whole.mean())) < 1.5


def test_the_window_of_a_thumbnail_is_that_of_the_image() -> None:
    stored = np.full((1000, 1000), 1000, np.uint16)
    stored[::2, ::2] = 2000  # all that a thumbnail made by steps sees, and the brightest of the image
    assert render_gray(stored, size=(10, 10)).min() == 255


def test_an_impossible_size_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest):
        render_gray(gradient(), size=(0, 5))
