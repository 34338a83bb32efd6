"""Making pictures of the size in which they are shown, at little cost.

A frame much larger than its picture is thinned first: every n-th row and column are kept, n as large as
leaves twice of what is shown. Then 2 x 2 pixels are averaged to one where that leaves enough. Last, a Hamming
filter makes the exact size; it is as sharp as bicubic at the price of bilinear.

Averaging is done on stored values, before the window, where each gray level only rises or only falls with the
stored value. Then the average's level lies between those of the pixels; it may differ from the average of
their levels where a window clips some of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def thin(values: npt.NDArray[Any], shown_size: tuple[int, int]) -> npt.NDArray[Any]:
    """Pick every n-th row and column, leaving at least twice of ``shown_size`` (width, height) to average."""
    rows, columns = values.shape[:2]
    step = min(columns // (2 * shown_size[0]), rows // (2 * shown_size[1]))
    return values if step < 2 else np.ascontiguousarray(values[::step, ::step])


def can_halve(values: npt.NDArray[Any], shown_size: tuple[int, int]) -> bool:
    """Tell whether half of the rows and columns are enough for ``shown_size`` (width, height)."""
    rows, columns = values.shape[:2]
    return bool(columns >= 2 * shown_size[0] and rows >= 2 * shown_size[1])


def halve(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Average each 2 x 2 pixels of ``(rows, columns)`` integers of at most 16 bits; keeps the type."""
    values = values[: values.shape[0] // 2 * 2, : values.shape[1] // 2 * 2]
    limits = np.iinfo(values.dtype)
    fits = values.size and 4 * int(values.max()) + 2 <= limits.max and 4 * int(values.min()) >= limits.min
    wide = values.dtype if fits else np.dtype(np.int32)
    pairs = np.add(values[0::2], values[1::2], dtype=wide)
    sums = np.add(pairs[:, 0::2], pairs[:, 1::2], dtype=wide)
    sums += 2
    average: npt.NDArray[Any] = (sums >> 2).astype(values.dtype, copy=False)
    return average


def resize(picture: npt.NDArray[np.uint8], shown_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Bring a picture to the size (width, height) in which it is shown."""
    if (picture.shape[1], picture.shape[0]) == shown_size:
        return picture
    shrinks = shown_size[0] <= picture.shape[1] and shown_size[1] <= picture.shape[0]
    method = Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize(shown_size, method, reducing_gap=1.0))
