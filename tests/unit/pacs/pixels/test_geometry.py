from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest
from pacs.pixels.geometry import fit_size, read_pixel_aspect_ratio


def spaced(**values: Any) -> Dataset:
    attributes = Dataset()
    for keyword, value in values.items():
        setattr(attributes, keyword, value)
    return attributes


@pytest.mark.parametrize(
    ("values", "ratio"),
    [
        ({}, 1.0),
        ({"PixelSpacing": [0.5, 0.5]}, 1.0),
        ({"PixelSpacing": [1.0, 0.5]}, 2.0),
        ({"PixelSpacing": [0.25, 0.5]}, 0.5),
        ({"PixelSpacing": [0.5, 0.5001]}, 1.0),
        ({"PixelSpacing": [0, 0.5], "PixelAspectRatio": [4, 3]}, 4 / 3),
        ({"PixelSpacing": "", "ImagerPixelSpacing": [0.2, 0.1]}, 2.0),
        ({"PixelAspectRatio": [3, 4]}, 0.75),
        ({"PixelAspectRatio": [1000, 1]}, 1.0),
        ({"PixelSpacing": [0.5, 0.5], "PixelAspectRatio": [2, 1]}, 1.0),
    ],
)
def test_height_by_width_of_a_pixel(values: dict[str, Any], ratio: float) -> None:
    assert read_pixel_aspect_ratio(spaced(**values), 0) == pytest.approx(ratio)


def test_the_spacing_of_the_frame_comes_first() -> None:
    attributes = spaced(PixelSpacing=[1, 1])
    attributes.PerFrameFunctionalGroupsSequence = [
        spaced(PixelMeasuresSequence=[spaced(PixelSpacing=[2, 1])]),
        Dataset(),
    ]
    assert read_pixel_aspect_ratio(attributes, 0) == 2.0
    assert read_pixel_aspect_ratio(attributes, 1) == 1.0


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((100, 200, 1.0, None), (200, 100)),
        ((100, 200, 2.0, None), (200, 200)),
        ((100, 200, 0.5, None), (400, 100)),
        ((100, 200, 1.0, (50, 50)), (50, 25)),
        ((100, 200, 1.0, (1000, 20)), (40, 20)),
        ((100, 200, 1.0, (1000, 1000)), (200, 100)),
        ((100, 200, 1.0, (1000, 1000), True), (1000, 500)),
        ((100, 200, 2.0, (1000, 1000), True), (1000, 1000)),
        ((1, 1000, 1.0, (10, 10)), (10, 1)),
    ],
)
def test_frames_fit_with_their_aspect_kept(arguments: tuple[Any, ...], shown: tuple[int, int]) -> None:
    assert fit_size(*arguments) == shown


@pytest.mark.parametrize("size", [(0, 10), (10, -1), (10**6, 10**6)])
def test_an_impossible_size_is_an_invalid_request(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidRequest):
        fit_size(100, 100, 1.0, size, enlarge=True)
