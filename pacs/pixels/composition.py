"""Laying colours over a picture."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Color: TypeAlias = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)


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
    rows, columns = np.nonzero(coverage)
    if rows.size == 0:
        return picture
    if picture.ndim == 2 and len(set(color)) > 1:
        picture = np.repeat(picture[..., None], 3, axis=2)
    blended = picture.copy()
    share = coverage[rows, columns].astype(np.uint32)
    paint = np.array(color[:1] if picture.ndim == 2 else color, np.uint32)
    below = picture[rows, columns].astype(np.uint32)
    if picture.ndim == 3:
        share = share[:, None]
    else:
        paint = paint[0]
    blended[rows, columns] = (below * (255 - share) + paint * share + 127) // 255
    return blended
