from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.pixels.description import describe_pixels
from pacs.pixels.mask_subtraction import MaskOperation, describe_difference, read_mask_operation, subtract
from tests.datasets import make_dataset

XA = "1.2.840.10008.5.1.4.1.1.12.1"


def angiogram(*operations: dict[str, Any], **attributes: Any) -> Dataset:
    dataset = make_dataset(
        **{"SOPClassUID": XA, "RecommendedViewingMode": "SUB", "NumberOfFrames": 9, **attributes}
    )
    dataset.MaskSubtractionSequence = []
    for operation in operations:
        item = Dataset()
        for keyword, value in operation.items():
            setattr(item, keyword, value)
        dataset.MaskSubtractionSequence.append(item)
    return dataset


def operation(dataset: Dataset, frame_number: int) -> MaskOperation | None:
    return read_mask_operation(dataset, frame_number, 9)


AVERAGE = {"MaskOperation": "AVG_SUB", "MaskFrameNumbers": [1, 2]}


def test_an_average_of_frames_is_the_mask_of_the_others() -> None:
    found = [operation(angiogram(AVERAGE), number) for number in range(1, 10)]
    assert found == [None, None, *(MaskOperation((number,), (1, 2)) for number in range(3, 10))]


def test_a_frame_some_frames_before_is_the_mask_in_time_interval_differencing() -> None:
    dataset = angiogram({"MaskOperation": "TID", "TIDOffset": 2})
    assert [operation(dataset, number) for number in (2, 3)] == [None, MaskOperation((3,), (1,))]
    assert operation(angiogram({"MaskOperation": "TID", "TIDOffset": None}), 3) == MaskOperation((3,), (2,))


def test_each_operation_applies_to_its_ranges_of_frames() -> None:
    first = {**AVERAGE, "ApplicableFrameRange": [3, 4, 6, 6]}
    second = {"MaskOperation": "TID", "TIDOffset": 1, "ApplicableFrameRange": [5, 5]}
    masks = [one and one.mask_frames for one in (operation(angiogram(first, second), n) for n in range(3, 8))]
    assert masks == [(1, 2), (1, 2), (4,), (1, 2), None]


def test_contrast_frames_may_be_averaged_and_the_mask_moved() -> None:
    dataset = angiogram({**AVERAGE, "ContrastFrameAveraging": 3, "MaskSubPixelShift": [0.5, -1.0]})
    assert operation(dataset, 4) == MaskOperation((4, 5, 6), (1, 2), (0.5, -1.0))
    assert operation(dataset, 8) is None  # frames 8 to 10 are not there


@pytest.mark.parametrize(
    "dataset",
    [
        angiogram(AVERAGE, RecommendedViewingMode="NAT"),
        angiogram(AVERAGE, RecommendedViewingMode=""),
        angiogram(AVERAGE, SOPClassUID="1.2.840.10008.5.1.4.1.1.2"),
        angiogram({"MaskOperation": "NONE"}),
        angiogram({"MaskOperation": "REV_TID", "TIDOffset": 1}),
        angiogram({"MaskOperation": "AVG_SUB"}),
        angiogram({"MaskOperation": "AVG_SUB", "MaskFrameNumbers": [10]}),
        angiogram({"MaskOperation": "AVG_SUB", "MaskFrameNumbers": [1] * 33}),
        angiogram({**AVERAGE, "ContrastFrameAveraging": 65535}),
        angiogram(),
    ],
)
def test_everything_else_is_viewed_as_it_is_stored(dataset: Dataset) -> None:
    assert operation(dataset, 5) is None


def test_averages_are_subtracted_without_rounding() -> None:
    contrast = [np.array([[10, 200]], np.uint8), np.array([[11, 100]], np.uint8)]
    masks = [np.array([[20, 50]], np.uint8)] * 3
    assert subtract(contrast, masks).tolist() == [[-9.5, 100.0]]


def test_the_mask_moves_down_and_to_the_left() -> None:
    mask = np.zeros((5, 5), np.uint16)
    mask[1, 3] = 8
    moved = -subtract([np.zeros((5, 5), np.uint16)], [mask], (1.0, 2.0))
    assert np.argwhere(moved).tolist() == [[2, 1]] and moved[2, 1] == 8
    between = -subtract([np.zeros((5, 5), np.uint16)], [mask], (0.25, 0.0))
    assert (between[1, 3], between[2, 3]) == (6, 2)


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_mask_that_is_moved_away_leaves_that_of_its_edge(down: float, left: float) -> None:
    mask = np.full((4, 6), 7, np.uint8)
    difference = subtract([mask], [mask], (down, left))
    np.testing.assert_allclose(difference, 0, atol=1e-9)  # a sum of two parts may be wrong in its last digit


def test_no_window_of_the_image_is_one_of_the_difference() -> None:
    dataset = angiogram(AVERAGE, WindowCenter="40", WindowWidth="400")
    own, description = describe_difference(dataset, describe_pixels(dataset, "1.2.840.10008.1.2.1"))
    assert "WindowCenter" not in own and dataset.WindowCenter == 40
    assert description.dtype == np.float32 and description.rows == dataset.Rows
