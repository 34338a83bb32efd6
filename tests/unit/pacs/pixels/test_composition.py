from __future__ import annotations

import numpy as np
import pytest

from pacs.pixels.composition import BLACK, WHITE, blend


def test_a_colour_hides_what_it_covers_and_lets_through_the_rest() -> None:
    picture = np.array([[10, 100, 200]], np.uint8)
    coverage = np.array([[0, 128, 255]], np.uint8)
    assert blend(picture, coverage, WHITE).tolist() == [[10, 178, 255]]  # 100 * 127 / 255 + 255 * 128 / 255
    assert blend(picture, coverage, BLACK).tolist() == [[10, 50, 0]]
    assert picture.tolist() == [[10, 100, 200]]


def test_a_gray_picture_gets_colour_where_it_needs_it() -> None:
    picture = np.array([[10, 100]], np.uint8)
    assert blend(picture, np.array([[0, 255]], np.uint8), (1, 2, 3)).tolist() == [[[10, 10, 10], [1, 2, 3]]]
    assert blend(picture, np.zeros((1, 2), np.uint8), (1, 2, 3)) is picture


@pytest.mark.parametrize("shape", [(700, 900), (700, 900, 3)])
def test_large_pictures_are_blended_all_over(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, shape, np.uint8)
    coverage = random.integers(0, 256, shape[:2], np.uint8) * (np.arange(700) % 300 < 20)[:, None]
    share = coverage.reshape(*shape[:2], *(1 for _ in shape[2:])) / 255
    expected = picture * (1 - share) + 200 * share
    assert np.abs(blend(picture, coverage.astype(np.uint8), (200, 200, 200)) - expected).max() <= 0.51
