"""Stored values that stand for no pixel (PS3.3 C.7.5.1.1.2, C.7.6.24, C.7.6.25)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.errors import UndecodablePixels
from pacs.pixels.description import PixelDescription
from pacs.pixels.elements import read_decimals, read_integer


@dataclass(frozen=True, slots=True)
class Padding:
    """A range of stored values, both ends included, that were filled in where nothing was imaged."""

    lowest: float
    highest: float

    def find(self, stored_values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Tell of each value whether it is padding."""
        return np.asarray((stored_values >= self.lowest) & (stored_values <= self.highest))


def read_padding(attributes: Dataset, description: PixelDescription) -> Padding | None:
    """Read Pixel Padding Value and Range Limit, or their twins for float pixels; None where there is none.

    References
    ----------
    PS3.3 C.7.5.1.1.2
    """
    prefix = "" if description.keyword == "PixelData" else description.keyword.removesuffix("PixelData")
    value = _read_stored_value(attributes, f"{prefix}PixelPaddingValue", description)
    if value is None:
        return None
    limit = _read_stored_value(attributes, f"{prefix}PixelPaddingRangeLimit", description)
    limit = value if limit is None else limit
    return Padding(min(value, limit), max(value, limit))


def _read_stored_value(attributes: Dataset, keyword: str, description: PixelDescription) -> float | None:
    if description.keyword != "PixelData":
        decimals = read_decimals(attributes, keyword)
        return decimals[0] if decimals else None
    try:
        value = read_integer(attributes, keyword)
    except UndecodablePixels:
        return None
    if value is None:
        return None
    # US or SS: a device that writes the wrong one means the same bits.
    value &= 0xFFFF
    return value - (1 << 16) if description.is_signed and value > 0x7FFF else value
