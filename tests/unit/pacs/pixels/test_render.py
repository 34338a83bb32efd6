from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest, PixelsUnavailable
from pacs.pixels.appearance import Appearance, Region
from pacs.pixels.description import describe_pixels
from pacs.pixels.gsdf import Display
from pacs.pixels.render import render_frame
from pacs.pixels.voi import VoiChoice
from pacs.pixels.window import Window
from tests.unit.pacs.pixels.images import EXPLICIT, gradient, image_attributes, rgb_attributes
from tests.unit.pacs.pixels.test_grayscale import dataset, table_item
from tests.unit.pacs.pixels.test_icc import profile_with_red_and_blue_exchanged
from tests.unit.pacs.pixels.test_overlays import PLANE, add_plane


def render_gray(stored: np.ndarray, changes: dict[str, Any] | None = None, **options: Any) -> np.ndarray:
    attributes = image_attributes(Rows=stored.shape[0], Columns=stored.shape[1], **(changes or {}))
    return render_frame(stored, attributes, describe_pixels(attributes, EXPLICIT), 0, Appearance(**options))


def test_grayscale_of_the_stored_size_is_the_transformation() -> None:
    picture = render_gray(np.array([[0, 500, 1000]], np.uint16), voi=Window(500, 1000, "LINEAR_EXACT"))
    assert picture.dtype == np.uint8 and picture.tolist() == [[0, 127, 255]]


def test_colour_has_three_samples_and_no_window() -> None:
    stored = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    attributes = rgb_attributes()
    description = describe_pixels(attributes, EXPLICIT)
    appearance = Appearance(voi=Window(1, 1))
    assert np.array_equal(render_frame(stored, attributes, description, 0, appearance), stored)


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


def test_a_region_looks_as_it_does_in_its_image() -> None:
    stored = gradient(40, 60)
    part = render_gray(stored, region=Region(10, 5, 20, 8))
    assert np.array_equal(part, render_gray(stored)[5:13, 10:30])


@pytest.mark.parametrize("region", [(50, 0, 11, 5), (0, 36, 5, 5), (-1, 0, 5, 5), (0, 0, 0, 5)])
def test_a_region_outside_of_the_image_is_an_invalid_request(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(InvalidRequest):
        render_gray(gradient(40, 60), region=Region(*region))


def test_a_picture_is_flipped_on_request() -> None:
    stored = gradient(6, 4)
    plain = render_gray(stored)
    assert np.array_equal(render_gray(stored, flipped_horizontally=True), plain[:, ::-1])
    assert np.array_equal(render_gray(stored, flipped_vertically=True), plain[::-1])


def test_a_choice_among_the_windows_of_the_data_set_is_shown() -> None:
    changes = {"WindowCenter": [0, 500], "WindowWidth": [1, 1000], "VOILUTFunction": "LINEAR_EXACT"}
    stored = np.array([[0, 500, 1000]], np.uint16)
    assert render_gray(stored, changes, voi=VoiChoice(index=2)).tolist() == [[0, 127, 255]]


def test_padding_is_black_whatever_the_polarity() -> None:
    stored = np.array([[5, 0, 1000]], np.uint16)
    changes = {"PixelPaddingValue": 5, "PhotometricInterpretation": "MONOCHROME1"}
    assert render_gray(stored, changes, voi=Window(500, 1000, "LINEAR_EXACT")).tolist() == [[0, 255, 0]]


def test_a_presentation_lut_of_the_image_makes_its_p_values() -> None:
    item = table_item(0, [1023, 0, 1023], 10)
    changes = {"PresentationLUTSequence": [item]}
    stored = np.array([[0, 500, 1000]], np.uint16)
    assert render_gray(stored, changes, voi=Window(500, 1000, "LINEAR_EXACT")).tolist() == [[255, 0, 255]]


def test_where_levels_rise_and_fall_the_levels_are_averaged_not_the_stored_values() -> None:
    stored = np.zeros((64, 64), np.uint16)
    stored[::2] = 1000  # the average, 500, is as bright as neither
    changes = {"PresentationLUTSequence": [table_item(0, [0, 1023, 0], 10)]}
    assert render_gray(stored, changes, voi=Window(500, 1000, "LINEAR_EXACT"), size=(32, 32)).max() == 0


def test_overlays_are_white_over_whatever_is_shown() -> None:
    stored = np.zeros((4, 6), np.uint16)
    attributes = add_plane(image_attributes(PhotometricInterpretation="MONOCHROME1"), origin=[2, 2])
    description = describe_pixels(attributes, EXPLICIT)
    appearance = Appearance(voi=Window(-500, 10), region=Region(1, 1, 5, 3), flipped_horizontally=True)
    shown = render_frame(stored, attributes, description, 0, appearance)
    assert np.array_equal(shown == 255, PLANE[:3, 4::-1]) and shown.min() == 0


def test_overlays_in_unused_bits_are_shown_where_the_encoded_frame_is_at_hand() -> None:
    attributes = image_attributes(BitsStored=12, HighBit=11)
    add_plane(attributes, data=None, bits_allocated=16, bit_position=15)
    cells = (PLANE.astype("<u2") << 15).tobytes()
    description = describe_pixels(attributes, EXPLICIT)
    shown = render_frame(np.zeros((4, 6), np.uint16), attributes, description, 0, encoded_frame=cells)
    assert np.array_equal(shown == 255, PLANE)


def test_an_overlay_fades_with_the_share_of_a_pixel_that_it_covers() -> None:
    attributes = image_attributes(Rows=8, Columns=8, BitsAllocated=8, BitsStored=8)
    add_plane(attributes, rows=8, columns=8, data=b"\x55" * 8)  # every other column
    stored = np.full((8, 8), 100, np.uint8)
    shown = render_frame(
        stored, attributes, describe_pixels(attributes, EXPLICIT), 0, Appearance(size=(4, 4))
    )
    assert np.abs(shown.astype(int) - (100 + 255) / 2).max() <= 1


def test_colour_has_overlays_too() -> None:
    attributes = add_plane(rgb_attributes())
    stored = np.full((4, 6, 3), 7, np.uint8)
    shown = render_frame(stored, attributes, describe_pixels(attributes, EXPLICIT), 0)
    assert np.array_equal((shown == 255).all(-1), PLANE) and shown.min() == 7


def add_palette(attributes: Dataset, first_value: int, colors: list[tuple[int, int, int]]) -> Dataset:
    for name, entries in zip(("Red", "Green", "Blue"), zip(*colors, strict=True), strict=True):
        keyword = f"{name}PaletteColorLookupTable"
        attributes.add_new(f"{keyword}Descriptor", "US", [len(colors), first_value, 8])
        attributes.add_new(f"{keyword}Data", "OW", bytes(entries))
    return attributes


def test_a_supplemental_palette_colours_the_values_from_its_first_one_on() -> None:
    attributes = image_attributes(Rows=1, Columns=4, PixelPresentation="COLOR")
    add_palette(attributes, 1000, [(255, 0, 0), (0, 255, 0)])
    stored = np.array([[0, 500, 1000, 1001]], np.uint16)
    description = describe_pixels(attributes, EXPLICIT)
    appearance = Appearance(voi=Window(500, 1000, "LINEAR_EXACT"))
    shown = render_frame(stored, attributes, description, 0, appearance)
    assert shown.tolist() == [[[0, 0, 0], [127, 127, 127], [255, 0, 0], [0, 255, 0]]]
    attributes.PixelPresentation = "MONOCHROME"
    assert render_frame(stored, attributes, description, 0, appearance).tolist() == [[0, 127, 255, 255]]


def test_each_frame_may_have_its_own_pixel_presentation() -> None:
    attributes = add_palette(image_attributes(Rows=1, Columns=1, PixelPresentation="MIXED"), 5, [(1, 2, 3)])
    frames = [
        dataset(CTImageFrameTypeSequence=[dataset(PixelPresentation=name)])
        for name in ("MONOCHROME", "COLOR")
    ]
    attributes.PerFrameFunctionalGroupsSequence = frames
    description = describe_pixels(attributes, EXPLICIT)
    stored = np.array([[5]], np.uint16)
    assert [render_frame(stored, attributes, description, index).ndim for index in (0, 1)] == [2, 3]


def test_colours_are_shown_in_srgb_unless_they_are_asked_for_as_they_are() -> None:
    attributes = rgb_attributes(ICCProfile=profile_with_red_and_blue_exchanged())
    stored = np.full((4, 6, 3), (200, 100, 50), np.uint8)
    description = describe_pixels(attributes, EXPLICIT)
    shown = render_frame(stored, attributes, description, 0)
    assert np.abs(shown.astype(int) - [50, 100, 200]).max() <= 2
    assert np.array_equal(render_frame(stored, attributes, description, 0, Appearance(in_srgb=False)), stored)


def test_p_values_are_shown_right_on_a_display_that_is_described() -> None:
    stored = np.array([[0, 128, 255]], np.uint8)
    shown = render_gray(stored, {"BitsAllocated": 8, "BitsStored": 8}, display=Display(0.5, 500))
    assert shown.tolist() == [Display(0.5, 500).driving_levels()[[0, 128, 255]].tolist()]
