from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pacs.pixels.default_window import make_default_window
from pacs.pixels.lookup_table import LookupTable
from pacs.pixels.modality_lut import ModalityLut, Rescale
from pacs.pixels.padding import Padding
from tests.unit.pacs.pixels.images import describe


def ends(
    stored: np.ndarray, modality_lut: ModalityLut, padding: Padding | None = None
) -> tuple[float, float]:
    window = make_default_window(stored, modality_lut, padding, describe(PixelRepresentation=1))
    assert window.function == "LINEAR_EXACT"
    return window.center - window.width / 2, window.center + window.width / 2


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(np.int16, st.tuples(st.integers(1, 20), st.integers(1, 20))),
    st.sampled_from(
        [Rescale(2, -5), Rescale(-0.5, 3), LookupTable(0, (np.arange(500) * 7 % 256).astype("u2"), 8)]
    ),
)
def test_the_ends_are_the_percentiles_that_numpy_finds(stored: np.ndarray, modality_lut: ModalityLut) -> None:
    values = modality_lut.apply(stored)
    low, high = np.percentile(values, [0.5, 99.5])
    if low == high:
        low, high = float(values.min()), float(values.max())
    assert ends(stored, modality_lut) == pytest.approx((low, high if high != low else low + 1))


def test_of_many_pixels_every_nth_is_looked_at() -> None:
    stored = np.zeros((1024, 1024), np.int16)
    stored.reshape(-1)[::4] = 100  # 2^20 pixels: every fourth
    assert ends(stored, Rescale()) == (100, 101)


def test_values_beyond_all_numbers_have_no_say() -> None:
    stored = np.array([[0, 1, 2]], np.int16)
    assert ends(stored, Rescale(1e308, 0)) == (0, 1)


def test_padding_has_no_say_unless_there_is_nothing_else() -> None:
    stored = np.array([[-2000, -2000, 10, 30]], np.int16)
    low, high = ends(stored, Rescale(), Padding(-2000, -1000))
    assert 10 <= low < high <= 30
    assert ends(stored[:, :2], Rescale(), Padding(-2000, -1000)) == (-2000, -1999)
