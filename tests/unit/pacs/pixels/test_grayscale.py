from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pacs.errors import UndecodablePixels
from pacs.pixels.description import PixelDescription, describe_pixels
from pacs.pixels.grayscale import (
    GrayscaleTransformation,
    read_transformation,
)
from pacs.pixels.lookup_table import LookupTable
from pacs.pixels.modality_lut import Rescale, read_modality_lut
from pacs.pixels.presentation_lut import Polarity
from pacs.pixels.window import Window
from tests.unit.pacs.pixels.images import EXPLICIT, image_attributes

XA = "1.2.840.10008.5.1.4.1.1.12.1"


def dataset(**values: Any) -> Dataset:
    attributes = Dataset()
    for keyword, value in values.items():
        setattr(attributes, keyword, value)
    return attributes


def table_item(first_value: int, entries: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first_value & 0xFFFF, bits])
    item.add_new("LUTData", "US", entries)
    return item


def described(**changes: Any) -> tuple[Dataset, PixelDescription]:
    attributes = image_attributes(**changes)
    return attributes, describe_pixels(attributes, EXPLICIT)


def choose_window(
    stored: np.ndarray, attributes: Dataset, frame_index: int, description: PixelDescription
) -> Window:
    """Choose what is shown of a frame that nobody asks anything of."""
    voi = read_transformation(stored, attributes, description, frame_index, None).voi
    assert isinstance(voi, Window)
    return voi


def show(values: Any, window: Window | None = None, dtype: str = "u2", **changes: Any) -> list[int]:
    """Show a row of stored values as the data set or the window wants."""
    attributes, description = described(**changes)
    stored = np.array([values], dtype)
    return read_transformation(stored, attributes, description, 0, window).apply(stored)[0].tolist()


# Modality LUT


def test_rescale_comes_before_the_window() -> None:
    # -1024 + 1 * v, window 40/400: black up to -160, white above 239.5; 40 is (0.5 / 399 + 0.5) * 255 = 127.8
    shown = show(
        [0, 864, 1064, 1264, 4000], RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400
    )
    assert shown == [0, 0, 127, 255, 255]


def test_rescale_of_signed_values() -> None:
    shown = show(
        [-100, 0, 100], dtype="i2", PixelRepresentation=1, RescaleSlope=2, RescaleIntercept=10,
        WindowCenter=10, WindowWidth=400, VOILUTFunction="LINEAR_EXACT",
    )  # fmt: skip
    assert shown == [0, 127, 255]


@pytest.mark.parametrize(
    ("changes", "rescale"),
    [
        ({}, Rescale()),
        ({"RescaleSlope": 2}, Rescale(2, 0)),
        ({"RescaleIntercept": 5}, Rescale(1, 5)),
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, Rescale()),
        ({"RescaleSlope": "", "RescaleIntercept": ""}, Rescale()),
        ({"RescaleSlope": 2, "RescaleIntercept": 5, "SOPClassUID": XA}, Rescale()),
    ],
)
def test_the_rescale_of_a_data_set(changes: dict[str, Any], rescale: Rescale) -> None:
    attributes, description = described(**changes)
    assert read_modality_lut(attributes, 0, description) == rescale


def test_the_rescale_of_the_frame_comes_first() -> None:
    attributes, description = described(RescaleSlope=9, RescaleIntercept=9, NumberOfFrames=3)
    shared = dataset(RescaleSlope=3, RescaleIntercept=4)
    own = dataset(RescaleSlope=5, RescaleIntercept=6)
    attributes.SharedFunctionalGroupsSequence = [dataset(PixelValueTransformationSequence=[shared])]
    attributes.PerFrameFunctionalGroupsSequence = [Dataset(), dataset(PixelValueTransformationSequence=[own])]
    found = [read_modality_lut(attributes, index, description) for index in range(3)]
    assert found == [Rescale(3, 4), Rescale(5, 6), Rescale(3, 4)]


def test_a_modality_table_comes_before_the_window() -> None:
    shown = show(
        [0, 1, 2, 3, 9],
        ModalityLUTSequence=[table_item(1, [0, 100, 200], 8)],
        WindowCenter=100,
        WindowWidth=200,
        VOILUTFunction="LINEAR_EXACT",
    )
    assert shown == [0, 0, 127, 255, 255]


def test_a_damaged_table_is_refused() -> None:
    for keyword in ("ModalityLUTSequence", "VOILUTSequence"):
        with pytest.raises(UndecodablePixels):
            show([0, 1], **{keyword: [Dataset()]})


# VOI LUT


def test_a_voi_table_is_scaled_to_its_bits() -> None:
    shown = show([0, 10, 11, 12, 99], VOILUTSequence=[table_item(10, [0, 2048, 4095], 12)])
    assert shown == [0, 0, 127, 255, 255]


def test_a_voi_table_comes_before_the_windows_but_not_before_a_wanted_one() -> None:
    changes: dict[str, Any] = {
        "VOILUTSequence": [table_item(0, [255, 0], 8)],
        "WindowCenter": 0.5,
        "WindowWidth": 1,
        "VOILUTFunction": "LINEAR_EXACT",
    }
    assert show([0, 1], **changes) == [255, 0]
    assert show([0, 1], Window(0.5, 1, "LINEAR_EXACT"), **changes) == [0, 255]


def test_a_voi_table_after_a_negative_rescale_may_begin_below_zero() -> None:
    shown = show(
        [0, 1, 2, 3], RescaleIntercept=-2, RescaleSlope=1, VOILUTSequence=[table_item(-1, [10, 20], 8)]
    )
    assert shown == [10, 10, 20, 20]


# Polarity


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, [0, 255]),
        ({"PhotometricInterpretation": "MONOCHROME1"}, [255, 0]),
        ({"PresentationLUTShape": "INVERSE"}, [255, 0]),
        ({"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}, [255, 0]),
        ({"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"}, [255, 0]),
        ({"PresentationLUTShape": "IDENTITY"}, [0, 255]),
    ],
)
def test_polarity(changes: dict[str, Any], shown: list[int]) -> None:
    assert show([0, 1000], Window(500, 1000), **changes) == shown


# The window of those who have none


def test_eight_bits_without_a_window_are_shown_as_they_are() -> None:
    values = list(range(256))
    assert show(values, dtype="u1", BitsAllocated=8, BitsStored=8) == values


def test_single_bits_are_black_and_white() -> None:
    assert show([0, 1], dtype="u1", BitsAllocated=1, BitsStored=1) == [0, 255]


def test_the_window_of_the_pixels_leaves_out_half_a_percent_on_both_ends() -> None:
    attributes, description = described(Rows=1, Columns=1001)
    window = choose_window(np.arange(1001, dtype=np.uint16)[None], attributes, 0, description)
    assert window == Window(500, 990, "LINEAR_EXACT")


def test_padding_has_no_say_in_the_window() -> None:
    stored = np.array([[100, 200] + [63536] * 50], "u2")
    attributes, description = described(PixelPaddingValue=63536)
    window = choose_window(stored, attributes, 0, description)
    assert 100 <= window.center - window.width / 2 < window.center + window.width / 2 <= 200


def test_padding_may_be_a_range_and_signed_with_the_wrong_vr() -> None:
    stored = np.array([[-2000, -1990, 100, 200]], "i2")
    attributes, description = described(PixelRepresentation=1)
    attributes.add_new("PixelPaddingValue", "US", 63536)  # -2000
    attributes.add_new("PixelPaddingRangeLimit", "SS", -1990)
    window = choose_window(stored, attributes, 0, description)
    assert window.center - window.width / 2 >= 100


def test_a_frame_of_nothing_but_padding_is_shown() -> None:
    assert show([7, 7, 7], PixelPaddingValue=7) == [0, 0, 0]


def test_a_frame_that_is_nearly_all_background_shows_the_rest() -> None:
    stored = np.zeros((100, 100), np.uint32)
    stored[0, 0], stored[0, 1] = 1000, 500
    attributes, description = described(Rows=100, Columns=100, BitsAllocated=32, BitsStored=32)
    shown = read_transformation(stored, attributes, description, 0, None).apply(stored)
    assert shown[0, :3].tolist() == [255, 127, 0]


def test_float_pixels_are_shown_and_what_is_no_number_is_black() -> None:
    shown = show(
        [0.0, 0.5, 1.0, np.nan, np.inf, -np.inf, 1e308], dtype="f8",
        BitsAllocated=64, BitsStored=None, PixelRepresentation=None, DoubleFloatPixelPaddingValue=1e308,
    )  # fmt: skip
    assert shown == [0, 127, 255, 0, 255, 0, 0]


def test_a_window_of_the_data_set_comes_before_one_of_the_pixels() -> None:
    attributes, description = described(WindowCenter=[5, 6], WindowWidth=[7, 8])
    assert choose_window(np.zeros((4, 6), np.uint16), attributes, 0, description) == Window(5, 7)


def test_pixels_without_any_number_are_black() -> None:
    changes = {"BitsAllocated": 32, "BitsStored": None, "PixelRepresentation": None}
    assert show([np.nan, np.nan], dtype="f4", **changes) == [0, 0]


def test_damaged_padding_is_no_padding() -> None:
    attributes, description = described()
    attributes.add_new("PixelPaddingValue", "OB", b"??")
    assert choose_window(np.array([[1, 9]], "u2"), attributes, 0, description).width > 0


def test_large_images_of_numbers_that_no_table_holds_are_computed_all_over() -> None:
    stored = np.arange(400 * 500, dtype=np.uint32).reshape(400, 500)
    transformation = GrayscaleTransformation(Rescale(), Window(100_000.5, 200_001, "LINEAR_EXACT"))
    exact = stored / 200_001
    assert np.array_equal(transformation.apply(stored), np.floor(exact * 255 + 1e-7))
    assert np.array_equal(transformation.compute_16_bits(stored), np.rint(exact * 65535))


# The table of outcomes


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize(
    "voi",
    [Window(20, 90), Window(3, 50, "SIGMOID"), LookupTable(-5, np.arange(60, dtype=np.uint16) ** 2, 12)],
)
@pytest.mark.parametrize("inverted", [False, True])
def test_looking_up_gives_what_arithmetic_gives(
    dtype: str, voi: Window | LookupTable, inverted: bool
) -> None:
    limits = np.iinfo(dtype)
    stored = np.random.default_rng(0).integers(limits.min, limits.max, (301, 257), dtype, endpoint=True)
    stored[0, :2] = limits.min, limits.max
    transformation = GrayscaleTransformation(Rescale(0.5, -3), voi, Polarity(inverted))
    assert np.array_equal(transformation.apply(stored), transformation.apply(stored.astype(np.int64)))
