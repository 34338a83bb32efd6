from __future__ import annotations

import numpy as np
import pytest

from pacs.pixels.resampling import can_halve, halve, thin


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_halving_averages_four_pixels_without_overflow(dtype: str) -> None:
    limits = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(limits.min, limits.max, (10, 14), dtype, endpoint=True)
    blocks = values.astype(np.int64).reshape(5, 2, 7, 2).sum((1, 3))
    halved = halve(values)
    assert halved.dtype == values.dtype and np.array_equal(halved, (blocks + 2) // 4)
    assert (halve(np.full((2, 2), limits.max, dtype)) == limits.max).all()
    assert (halve(np.full((2, 2), limits.min, dtype)) == limits.min).all()


def test_an_odd_row_and_column_at_the_end_are_left_out() -> None:
    assert halve(np.arange(15, dtype=np.uint8).reshape(3, 5)).shape == (1, 2)


def test_thinning_leaves_twice_of_what_is_shown() -> None:
    assert thin(np.zeros((100, 200)), (10, 10)).shape == (20, 40)
    assert thin(np.zeros((100, 200)), (60, 60)).shape == (100, 200)
    assert can_halve(np.zeros((100, 200)), (100, 50)) and not can_halve(np.zeros((100, 200)), (101, 50))
