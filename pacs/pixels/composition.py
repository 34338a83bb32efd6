"""Laying colours over a picture."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Color: TypeAlias = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
_PIXELS_AT_ONCE = 1 << 16  # of four bytes meanwhile


def blend(picture: npt.NDArray[np.uint8], coverage: npt.NDArray[Any], color: Color) -> npt.NDArray[np.uint8]:
    """Lay a colour over a picture.

    Parameters
    ----------
    picture
        ``(height, width)`` or ``(height, width, 3)`` uint8. Gray stays gray under a gray colour.
    coverage
        ``(height, width)`` uint8: 0 leaves the picture as it is, 255 hides it.
    color
        Red, green and blue, 0 to 255.
    """
    if not coverage.any():
        return picture
    if picture.ndim == 2 and len(set(color)) > 1:
        picture = np.repeat(picture[..., None], 3, axis=2)
    paint = np.array(color, np.uint32) if picture.ndim == 3 else np.uint32(color[0])
    blended = picture.copy()
    many = max(_PIXELS_AT_ONCE // picture.shape[1], 1)
    for first in range(0, len(picture), many):
        rows = slice(first, first + many)
        if coverage[rows].any():
            share = coverage[rows].astype(np.uint32)
            share = share[..., None] if picture.ndim == 3 else share
            blended[rows] = (picture[rows] * (255 - share) + paint * share + 127) // 255
    return blended
