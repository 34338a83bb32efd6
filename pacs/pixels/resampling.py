"""Making pictures of the size in which they are shown, at little cost.

A frame much larger than its picture is thinned first: every n-th row and column are kept, n as large as
leaves twice of what is shown. Then, where the picture has at most half of the rows and columns, stored values
are averaged: for each row of the picture those rows, two or more, that lie nearest to it, and columns in
pairs. Last, a Hamming filter makes the exact size; it is as sharp as bicubic at the price of bilinear.

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


def average(values: npt.NDArray[Any], height: int, lowest: int, highest: int) -> npt.NDArray[Any]:
    """Average rows to ``height`` rows, and columns in pairs; a last odd column is left out.

    Parameters
    ----------
    values
        ``(rows, columns)`` integers of at most 16 bits, of at least ``2 * height`` rows.
    lowest, highest
        Of the values.

    Returns
    -------
    ndarray
        ``(height, columns // 2)``, rounded, of the same type.
    """
    rows = values.shape[0]
    many = round(rows / height)
    limits = np.iinfo(values.dtype)
    room = 2 * many * highest + many <= limits.max and 2 * many * lowest >= limits.min
    nearest = (np.arange(height) + 0.5) * rows / height - many / 2
    first = np.clip(np.rint(nearest).astype(np.intp), 0, rows - many)
    out = np.empty((height, values.shape[1] // 2), values.dtype)
    for start in range(0, height, _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        sums = values[first[block]].astype(values.dtype if room else np.int32, copy=False)
        for following in range(1, many):
            sums += values[first[block] + following]
        pairs = sums[:, 0:-1:2] + sums[:, 1::2]
        pairs += many
        out[block] = pairs // (2 * many)
    return out


def resize(picture: npt.NDArray[np.uint8], shown_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Bring a picture to the size (width, height) in which it is shown."""
    if (picture.shape[1], picture.shape[0]) == shown_size:
        return picture
    shrinks = shown_size[0] <= picture.shape[1] and shown_size[1] <= picture.shape[0]
    method = Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize(shown_size, method, reducing_gap=1.0))
