"""The equations of YBR_FULL (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

YBR_TO_RGB_FULL: Final = np.array(
    [[1.0, 1.0, 1.0], [0.0, -0.114 * 1.772 / 0.587, 1.772], [1.402, -0.299 * 1.402 / 0.587, 0.0]]
)


def rgb_to_ybr_full(values: npt.NDArray[Any], bits_stored: int) -> npt.NDArray[Any]:
    """Convert ``(rows, columns, 3)`` unsigned samples from RGB to YBR_FULL (PS3.3 C.7.6.3.1.2)."""
    highest, middle = (1 << bits_stored) - 1, 1 << (bits_stored - 1)
    ybr = values @ np.linalg.inv(YBR_TO_RGB_FULL)
    ybr[..., 1:] += middle
    converted: npt.NDArray[Any] = np.clip(np.rint(ybr), 0, highest).astype(values.dtype)
    return converted
