"""The Grayscale Standard Display Function: equal steps of P-Values, equal steps for the eye (PS3.14).

A calibrated monitor shows P-Values right by itself. This is for a display whose luminance is known to follow
a power of its driving level, and which nobody calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pacs.errors import InvalidRequest

_LOWEST_LUMINANCE, _HIGHEST_LUMINANCE = 0.05, 4000.0  # candela per square metre, of the indices 1 and 1023
# The coefficients of PS3.14 Table 7-1 and of equation 3, which is its inverse.
_NUMERATOR = (-1.3011877, 8.0242636e-2, 1.3646699e-1, -2.5468404e-2, 1.3635334e-3)
_DENOMINATOR = (-2.5840191e-2, -1.0320229e-1, 2.8745620e-2, -3.1978977e-3, 1.2992634e-4)
_INVERSE = (
    71.498068, 94.593053, 41.912053, 9.8247004, 0.28175407, -1.1878455, -0.18014349, 0.14710899, -0.017046845
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Display:
    """A display that is not calibrated.

    Parameters
    ----------
    darkest, brightest
        Its luminances with the light of the room, in candela per square metre.
    gamma
        The power of the driving level that its own luminance follows.

    Raises
    ------
    InvalidRequest
        A luminance is beyond the function's range, or the gamma beyond any display's.
    """

    darkest: float
    brightest: float
    gamma: float = 2.2

    def __post_init__(self) -> None:
        if not _LOWEST_LUMINANCE <= self.darkest < self.brightest <= _HIGHEST_LUMINANCE:
            raise InvalidRequest("a display shows from 0.05 to 4000 candela per square metre")
        if not 1 <= self.gamma <= 4:
            raise InvalidRequest("the gamma of a display is 1 to 4")

    def driving_levels(self) -> npt.NDArray[np.uint8]:
        """Return ``(256,)`` uint8: the driving level that shows each P-Value of eight bits.

        References
        ----------
        PS3.14 7.1, Annex B
        """
        first, last = jnd_index(np.array([self.darkest, self.brightest]))
        wanted = luminance(np.linspace(first, last, 256))
        share = (wanted - self.darkest) / (self.brightest - self.darkest)
        levels = 255 * np.clip(share, 0, 1) ** (1 / self.gamma)
        return np.rint(levels).astype(np.uint8)


def luminance(index: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the luminance (cd/m2) of indices of just-noticeable differences, 1 to 1023.

    References
    ----------
    PS3.14 7.1, equation 1
    """
    logarithm = np.log(index)
    numerator = np.polynomial.polynomial.polyval(logarithm, _NUMERATOR)
    denominator = 1 + logarithm * np.polynomial.polynomial.polyval(logarithm, _DENOMINATOR)
    return np.asarray(10 ** (numerator / denominator))


def jnd_index(luminances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the index of just-noticeable differences of luminances, 0.05 to 4000 cd/m2.

    References
    ----------
    PS3.14 7.1, equation 3
    """
    return np.asarray(np.polynomial.polynomial.polyval(np.log10(luminances), _INVERSE))
