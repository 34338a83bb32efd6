from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pacs.errors import InvalidRequest
from pacs.pixels.gsdf import Display, jnd_index, luminance


def test_the_function_spans_its_range_of_luminances() -> None:
    # PS3.14 7.1: 1023 indices from 0.05 to 3993.4 cd/m2
    assert luminance(np.array([1.0, 1023.0])) == pytest.approx([0.05, 3993.4], rel=0.001)


def test_the_index_of_a_luminance_is_the_inverse() -> None:
    indices = np.linspace(5, 1020, 200)
    assert jnd_index(luminance(indices)) == pytest.approx(indices, abs=0.2)


def test_equal_steps_of_p_values_are_equal_steps_for_the_eye() -> None:
    display = Display(0.5, 500)
    shown = 0.5 + 499.5 * (display.driving_levels() / 255) ** 2.2
    steps = np.diff(jnd_index(shown)[::16])
    assert steps.max() / steps.min() < 1.2  # eight bits; without the function it is 3.4
    assert display.driving_levels()[[0, 255]].tolist() == [0, 255]


@pytest.mark.parametrize("arguments", [(0, 100), (100, 100), (1, 5000), (1, 100, 0.5), (float("nan"), 100)])
def test_an_impossible_display_is_an_invalid_request(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidRequest):
        Display(*arguments)
