from __future__ import annotations

import numpy as np
import pytest

from pacs.pixels.view import View

PICTURE = np.arange(6, dtype=np.uint8).reshape(2, 3)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_pixel_comes_to_lie_where_its_middle_is_mapped_to(turns: int, mirrored: bool) -> None:
    view = View(0, 0, 3, 2, (3, 2), turns, mirrored)
    turned = view.turn(PICTURE)
    assert turned.shape == view.picture_size[::-1]
    for row in range(2):
        for column in range(3):
            x, y = view.map_point((column + 0.5, row + 0.5))
            assert turned[int(y), int(x)] == PICTURE[row, column]


def test_turns_are_clockwise_and_come_before_the_mirror() -> None:
    view = View(0, 0, 3, 2, (3, 2), 1)
    assert view.turn(PICTURE).tolist() == [[3, 0], [4, 1], [5, 2]]
    assert View(0, 0, 3, 2, (3, 2), 1, True).turn(PICTURE).tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_flipping_a_view_flips_its_picture(turns: int, mirrored: bool) -> None:
    view = View(0, 0, 3, 2, (3, 2), turns, mirrored)
    turned = view.turn(PICTURE)
    assert np.array_equal(view.flipped(True, False).turn(PICTURE), turned[:, ::-1])
    assert np.array_equal(view.flipped(False, True).turn(PICTURE), turned[::-1])
    assert np.array_equal(view.flipped(True, True).turn(PICTURE), turned[::-1, ::-1])


def test_what_lies_beyond_the_frame_is_black() -> None:
    view = View(-1, -1, 4, 2, (5, 3))
    inner = view.clipped(2, 3)
    assert inner == View(0, 0, 3, 2, (3, 2))
    shown = view.lay_out(inner.cut(PICTURE), inner)
    assert shown.tolist() == [[0, 0, 0, 0, 0], [0, 0, 1, 2, 0], [0, 3, 4, 5, 0]]


def test_a_view_beside_the_frame_shows_nothing_of_it() -> None:
    assert View(3, 0, 5, 2, (2, 2)).clipped(2, 3) is None


def test_points_are_scaled_with_the_part_that_is_shown() -> None:
    assert View(10, 20, 20, 30, (100, 50)).map_point((15, 25)) == (50, 25)
