from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest
from pacs.pixels.window import Window, default_windows


@pytest.mark.parametrize(
    ("value", "shown"),
    # PS3.3 C.11.2.1.2.1 with c = 2048, w = 4096: black up to 0, white above 4095, in between x / 4095
    [(-5, 0), (0, 0), (1, 1 / 4095), (2047, 2047 / 4095), (4095, 1), (5000, 1)],
)
def test_linear_follows_the_standard(value: float, shown: float) -> None:
    assert Window(2048, 4096).apply(np.array([value])) == pytest.approx([shown])


def test_linear_of_width_one_is_a_threshold() -> None:
    assert Window(10, 1).apply(np.array([9.0, 9.5, 9.6, 10.0])).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(("value", "shown"), [(-1, 0), (0, 0), (1, 0.25), (2, 0.5), (4, 1), (9, 1)])
def test_linear_exact_follows_the_standard(value: float, shown: float) -> None:
    assert Window(2, 4, "LINEAR_EXACT").apply(np.array([value])) == pytest.approx([shown])


def test_linear_below_a_width_of_one_is_taken_as_exact() -> None:
    assert Window(0.5, 0.5).apply(np.array([0.25, 0.5, 0.75])).tolist() == [0, 0.5, 1]


def test_sigmoid_follows_the_standard() -> None:
    shown = Window(100, 50, "SIGMOID").apply(np.array([100.0, 150.0, 50.0, 1e9, -1e9]))
    assert shown == pytest.approx([0.5, 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(4)), 1, 0])


@pytest.mark.parametrize(
    "arguments",
    [(0, 0), (0, -1), (float("nan"), 1), (0, float("inf")), (0, 1, "CUBIC")],
)
def test_an_impossible_window_is_an_invalid_request(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidRequest):
        Window(*arguments)


def windowed(**values: Any) -> Dataset:
    attributes = Dataset()
    for keyword, value in values.items():
        setattr(attributes, keyword, value)
    return attributes


def test_every_window_is_listed_with_its_explanation() -> None:
    attributes = windowed(
        WindowCenter=[40, -600], WindowWidth=[400, 1500], WindowCenterWidthExplanation=["MEDIASTINUM", "LUNG"]
    )
    windows = default_windows(attributes, 0)
    assert windows == [Window(40, 400), Window(-600, 1500)]
    assert [window.explanation for window in windows] == ["MEDIASTINUM", "LUNG"]


def test_the_function_of_the_data_set_goes_with_its_windows() -> None:
    attributes = windowed(WindowCenter=40, WindowWidth=400, VOILUTFunction="SIGMOID")
    assert default_windows(attributes, 0) == [Window(40, 400, "SIGMOID")]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"WindowCenter": 40},
        {"WindowCenter": 40, "WindowWidth": 0},
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": 40, "WindowWidth": 400, "VOILUTFunction": "VENDOR"},
    ],
)
def test_unusable_windows_are_left_out(values: dict[str, Any]) -> None:
    assert default_windows(windowed(**values), 0) == []


def test_one_unusable_window_does_not_hide_the_others() -> None:
    attributes = windowed(WindowCenter=[40, 50], WindowWidth=[0, 100])
    assert default_windows(attributes, 0) == [Window(50, 100)]


def macro(center: float, width: float) -> Dataset:
    return windowed(FrameVOILUTSequence=[windowed(WindowCenter=center, WindowWidth=width)])


def test_the_window_of_the_frame_comes_before_the_shared_one_and_the_data_set() -> None:
    attributes = windowed(WindowCenter=1, WindowWidth=2)
    attributes.SharedFunctionalGroupsSequence = [macro(3, 4)]
    assert default_windows(attributes, 0) == [Window(3, 4)]
    attributes.PerFrameFunctionalGroupsSequence = [macro(5, 6), macro(7, 8), Dataset()]
    assert [default_windows(attributes, index)[0] for index in range(4)] == [
        Window(5, 6),
        Window(7, 8),
        Window(3, 4),
        Window(3, 4),
    ]


def test_an_unusable_window_of_the_frame_gives_way_to_the_data_set() -> None:
    attributes = windowed(WindowCenter=1, WindowWidth=2, SharedFunctionalGroupsSequence=[macro(3, 0)])
    assert default_windows(attributes, 0) == [Window(1, 2)]
