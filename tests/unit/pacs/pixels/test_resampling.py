from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.pixels.resampling import average, can_average, thin


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
@pytest.mark.parametrize("many", [2, 3])
def test_averages_are_rounded_and_do_not_overflow(dtype: str, many: int) -> None:
    limits = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(limits.min, limits.max, (5 * many, 14), dtype, endpoint=True)
    sums = values.astype(np.int64).reshape(5, many, 7, 2).sum((1, 3))
    averages = average(values, (7, 5), int(values.min()), int(values.max()))
    assert averages.dtype == values.dtype and np.array_equal(averages, (sums + many) // (2 * many))
    for extreme in (limits.max, limits.min):
        assert (average(np.full((10, 4), extreme, dtype), (2, 5), extreme, extreme) == extreme).all()


def test_small_values_are_averaged_without_a_wider_type() -> None:
    assert average(np.array([[10, 20], [30, 41]], np.uint8), (1, 1), 10, 41).tolist() == [[25]]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(2, 3))
def test_each_row_and_column_is_made_of_those_that_lie_nearest(shown: int, other: int, ratio: float) -> None:
    stored = int(np.ceil(shown * ratio))
    places = np.repeat(np.arange(stored, dtype=np.uint16)[:, None] * 16, 2 * other, axis=1)
    middles = (np.arange(shown) + 0.5) * stored / shown - 0.5
    for turned, size in ((places, (other, shown)), (np.ascontiguousarray(places.T), (shown, other))):
        averages = average(turned, size, 0, 16 * stored)
        assert averages.shape == size[::-1]
        line = averages[:, 0] if turned is places else averages[0]
        assert np.abs(line / 16 - middles).max() <= 0.75


def test_thinning_leaves_twice_of_what_is_shown() -> None:
    assert thin(np.zeros((100, 200)), (10, 10)).shape == (20, 40)
    assert thin(np.zeros((100, 200)), (60, 60)).shape == (100, 200)
    assert can_average(np.zeros((100, 200)), (100, 50)) and not can_average(np.zeros((100, 200)), (101, 50))
