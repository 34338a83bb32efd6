"""Colours as presentation states write them (PS3.3 C.10.7.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pacs.pixels.composition import Color

_WHITE_D50 = np.array([0.96422, 1.0, 0.82521])
_XYZ_D50_TO_SRGB = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)


def color_of_cielab(values: Sequence[int]) -> Color:
    """Convert L*, a* and b*, each scaled to 16 bits, to the nearest sRGB colour.

    References
    ----------
    PS3.3 C.10.7.1.1; CIE 15 8.2.1; IEC 61966-2-1
    """
    scaled = np.array(values[:3], np.float64) / 65535
    lightness, a, b = scaled[0] * 100, scaled[1] * 255 - 128, scaled[2] * 255 - 128
    y = (lightness + 16) / 116
    roots = np.array([y + a / 500, y, y - b / 200])
    xyz = _WHITE_D50 * np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29))
    linear = np.clip(_XYZ_D50_TO_SRGB @ xyz, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (int(each) for each in np.rint(encoded * 255))
    return red, green, blue


def color_of_p_value(value: int) -> Color:
    """Convert a P-Value of 16 bits to a gray."""
    level = round(min(max(value, 0), 0xFFFF) / 0xFFFF * 255)
    return level, level, level
