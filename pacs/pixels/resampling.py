"""Making pictures of the size in which they are shown, at little cost.

A frame much larger than its picture is thinned first: every n-th row and column are kept, n as large as
leaves twice of what is shown. Then, where the picture has at most half of the rows and columns, stored values
are averaged: for each row of the picture those rows, two or more, that lie nearest to it, and for each column
likewise. Where the picture has more, a Hamming filter makes its size of the levels; it is as sharp as bicubic
at the price of bilinear.

Stored values are averaged only where gray levels only rise or only fall with them. Then the level of an
average lies between those of its pixels; it may differ from the average of their levels where a window clips
some of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_BLOCK_ROWS = 64  # of a detector's width, these fit into the second-level cache


def thin(values: npt.NDArray[Any], shown_size: tuple[int, int]) -> npt.NDArray[Any]:
    """Pick every n-th row and column, leaving at least twice of ``shown_size`` (width, height) to average."""
    rows, columns = values.shape[:2]
    step = min(columns // (2 * shown_size[0]), rows // (2 * shown_size[1]))
    return values if step < 2 else np.ascontiguousarray(values[::step, ::step])


def can_average(values: npt.NDArray[Any], shown_size: tuple[int, int]) -> bool:
    """Tell whether ``shown_size`` (width, height) has at most half of the rows and columns."""
    rows, columns = values.shape[:2]
    return bool(columns >= 2 * shown_size[0] and rows >= 2 * shown_size[1])


def average(
    values: npt.NDArray[Any], shown_size: tuple[int, int], lowest: int, highest: int
) -> npt.NDArray[Any]:
    """Average those rows and columns, two or more, that lie nearest to each of the picture's.

    Parameters
    ----------
    values
        ``(rows, columns)`` integers of at most 16 bits, at least twice as many of both as are shown.
    shown_size
        (width, height) of the picture.
    lowest, highest
        Of the values.

    Returns
    -------
    ndarray
        ``(height, width)``, rounded, of the same type.
    """
    columns, many_columns = _nearest(values.shape[1], shown_size[0])
    rows, many_rows = _nearest(values.shape[0], shown_size[1])
    many = many_rows * many_columns
    limits = np.iinfo(values.dtype)
    room = many * highest + many // 2 <= limits.max and many * lowest >= limits.min
    out = np.empty(shown_size[::-1], values.dtype)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        sums = values[rows[block]].astype(values.dtype if room else np.int32, copy=False)
        for following in range(1, many_rows):
            sums += values[rows[block] + following]
        wide = sums[
            :, : sums.shape[1] - many_columns + 1
        ].copy()  # sums of neighbours, of which some are taken
        for following in range(1, many_columns):
            wide += sums[:, following : wide.shape[1] + following]
        cells = np.take(wide, columns, axis=1, mode="clip")
        cells += many // 2
        out[block] = cells // many
    return out


def _nearest(stored: int, shown: int) -> tuple[npt.NDArray[np.intp], int]:
    """Tell for each row or column of a picture the first of those that lie nearest, and how many they are."""
    many = round(stored / shown)
    middles = (np.arange(shown) + 0.5) * stored / shown
    return np.clip(np.rint(middles - many / 2).astype(np.intp), 0, stored - many), many


def resize(picture: npt.NDArray[np.uint8], shown_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Bring a picture to the size (width, height) in which it is shown."""
    if (picture.shape[1], picture.shape[0]) == shown_size:
        return picture
    shrinks = shown_size[0] <= picture.shape[1] and shown_size[1] <= picture.shape[0]
    method = Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize(shown_size, method, reducing_gap=1.0))
