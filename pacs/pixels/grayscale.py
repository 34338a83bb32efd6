"""Grayscale: from stored values to what a display shows (PS3.3 C.11, PS3.4 N.2).

Stored values go through the Modality LUT, the VOI LUT and, for MONOCHROME1, an inversion. Each step is a
function of one value, so integers of up to 16 bits are looked up in a table of the outcome, which is exact
and as fast as arithmetic on the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.errors import UndecodablePixels
from pacs.pixels.description import PixelDescription
from pacs.pixels.elements import read_decimals, read_integer, read_items, read_texts
from pacs.pixels.functional_groups import find_macro
from pacs.pixels.lookup_table import LookupTable, read_lookup_table
from pacs.pixels.window import LINEAR_EXACT, Window, default_windows

Values: TypeAlias = npt.NDArray[Any]

# The share of pixels, in percent, that a window made from the pixels lets go black, and white: enough to be
# blind to markers, dead pixels and metal, too little to lose anatomy.
_CLIPPED_PERCENT = 0.5
_LARGEST_VALUE = 1e300  # so that the width of a window is finite; false for NaN and infinity too
_MAX_PIXELS_LOOKED_AT = 1 << 18
_BLOCK_PIXELS = 1 << 16  # fits into the second-level cache together with its indices

# For these the Modality LUT leads back to X-ray intensity and is not meant for display (PS3.3 C.8.7.1).
_NOT_FOR_DISPLAY = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.12.1",  # X-Ray Angiographic Image Storage
        "1.2.840.10008.5.1.4.1.1.12.2",  # X-Ray Radiofluoroscopic Image Storage
        "1.2.840.10008.5.1.4.1.1.12.3",  # X-Ray Angiographic Bi-Plane Image Storage, retired
    }
)


@dataclass(frozen=True, slots=True)
class Rescale:
    """The linear Modality LUT: output = slope x stored value + intercept."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, values: Values) -> npt.NDArray[np.float64]:
        """Map values of any shape."""
        return np.asarray(values, np.float64) * self.slope + self.intercept


def read_modality_lut(
    attributes: Dataset, frame_index: int, description: PixelDescription
) -> Rescale | LookupTable:
    """Read the transformation from stored values to the modality's unit, for a frame (0-based).

    A table comes before a rescale, the Pixel Value Transformation functional group before the data set. A
    slope of zero or a damaged rescale leaves the values as they are.

    Raises
    ------
    UndecodablePixels
        The Modality LUT is damaged.

    References
    ----------
    PS3.3 C.11.1, C.7.6.16.2.9
    """
    if (read_texts(attributes, "SOPClassUID") or [""])[0] in _NOT_FOR_DISPLAY:
        return Rescale()
    items = read_items(attributes, "ModalityLUTSequence")
    if items:
        return read_lookup_table(items[0], description.is_signed, description.transfer_syntax.big_endian)
    source = find_macro(attributes, frame_index, "PixelValueTransformationSequence") or attributes
    slope = (read_decimals(source, "RescaleSlope") or [1.0])[0]
    intercept = (read_decimals(source, "RescaleIntercept") or [0.0])[0]
    return Rescale(slope, intercept) if slope else Rescale()


def read_voi_lut(
    attributes: Dataset, modality_lut: Rescale | LookupTable, description: PixelDescription
) -> LookupTable | None:
    """Read the first table of the VOI LUT Sequence, None where there is none.

    Raises
    ------
    UndecodablePixels
        The table is damaged.

    References
    ----------
    PS3.3 C.11.2.1.1
    """
    items = read_items(attributes, "VOILUTSequence")
    if not items:
        return None
    can_be_negative = isinstance(modality_lut, Rescale) and (
        description.is_signed or modality_lut.intercept < 0
    )
    return read_lookup_table(items[0], can_be_negative, description.transfer_syntax.big_endian)


def choose_window(
    stored_values: Values, attributes: Dataset, frame_index: int, description: PixelDescription
) -> Window:
    """Choose the window of a frame that is shown without being told how.

    The first window of the data set; without one, the full range of stored values of up to eight bits, and
    otherwise all but the darkest and the brightest half percent of the frame's pixels, padding left out.
    """
    windows = default_windows(attributes, frame_index)
    if windows:
        return windows[0]
    modality_lut = read_modality_lut(attributes, frame_index, description)
    if description.bits_stored <= 8 and not description.is_signed and modality_lut == Rescale():
        levels = 1 << description.bits_stored
        return Window(levels / 2 - 0.5, levels - 1, LINEAR_EXACT)
    return _window_of_pixels(modality_lut.apply(_sample_pixels(stored_values, attributes, description)))


def _window_of_pixels(values: Values) -> Window:
    finite = values[np.abs(values) < _LARGEST_VALUE]
    if finite.size == 0:
        return Window(0.5, 1, LINEAR_EXACT)
    low, high = np.percentile(finite, [_CLIPPED_PERCENT, 100 - _CLIPPED_PERCENT])
    if low == high:  # mostly background, such as a dose grid or a segmentation
        low, high = finite.min(), finite.max()
    width = float(high - low) or 1.0  # one value everywhere is black
    return Window(float(low) + width / 2, width, LINEAR_EXACT)


def _sample_pixels(stored_values: Values, attributes: Dataset, description: PixelDescription) -> Values:
    """Return stored values without padding, evenly picked where there are very many."""
    flat = stored_values.reshape(-1)
    flat = flat[:: -(-flat.size // _MAX_PIXELS_LOOKED_AT)]
    padding = _padding_range(attributes, description)
    if padding is None:
        return flat
    unpadded = flat[(flat < padding[0]) | (flat > padding[1])]
    return unpadded if unpadded.size else flat


def _padding_range(attributes: Dataset, description: PixelDescription) -> tuple[float, float] | None:
    """Return the lowest and the highest value that stand for no pixel (PS3.3 C.7.5.1.1.2)."""
    prefix = "" if description.keyword == "PixelData" else description.keyword.removesuffix("PixelData")
    value = _read_stored_value(attributes, f"{prefix}PixelPaddingValue", description)
    if value is None:
        return None
    limit = _read_stored_value(attributes, f"{prefix}PixelPaddingRangeLimit", description)
    limit = value if limit is None else limit
    return min(value, limit), max(value, limit)


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


def is_inverted(attributes: Dataset, description: PixelDescription) -> bool:
    """Tell whether the lowest value is shown white.

    MONOCHROME1 and a Presentation LUT Shape of INVERSE say the same thing and do not cancel one another.

    References
    ----------
    PS3.3 C.7.6.3.1.2, C.11.6
    """
    shapes = read_texts(attributes, "PresentationLUTShape")
    return description.photometric_interpretation == "MONOCHROME1" or shapes[:1] == ["INVERSE"]


@dataclass(frozen=True, slots=True)
class GrayscaleTransformation:
    """All steps from stored values to display."""

    modality_lut: Rescale | LookupTable
    voi: Window | LookupTable
    inverted: bool

    def apply(self, stored_values: Values) -> npt.NDArray[np.uint8]:
        """Map ``(rows, columns)`` stored values of any type to ``(rows, columns)`` uint8, 0 is black."""
        if stored_values.dtype.kind in "iu" and stored_values.dtype.itemsize <= 2:
            return self._look_up(stored_values)
        return self._compute(stored_values)

    def _compute(self, stored_values: Values) -> npt.NDArray[np.uint8]:
        values = self.modality_lut.apply(stored_values)
        if isinstance(self.voi, LookupTable):
            fractions = self.voi.apply(values) / self.voi.highest_output
        else:
            fractions = self.voi.apply(values)
        levels = np.floor(np.nan_to_num(fractions) * 255 + 0.5).astype(np.uint8)
        return 255 - levels if self.inverted else levels

    def _look_up(self, stored_values: Values) -> npt.NDArray[np.uint8]:
        table = self._compute(np.arange(int(stored_values.min()), int(stored_values.max()) + 1))
        # Unsigned differences to the lowest value are right for signed values too: they wrap around.
        unsigned = np.dtype(f"u{stored_values.dtype.itemsize}")
        lowest = stored_values.min().view(unsigned)
        source = stored_values.reshape(-1).view(unsigned)
        out = np.empty(source.shape, np.uint8)
        for start in range(0, source.size, _BLOCK_PIXELS):
            block = slice(start, start + _BLOCK_PIXELS)
            np.take(table, source[block] - lowest, out=out[block], mode="clip")
        return out.reshape(stored_values.shape)


def read_transformation(
    stored_values: Values,
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    window: Window | None,
) -> GrayscaleTransformation:
    """Put together how a frame (0-based) is shown, with ``window`` or as the data set prefers.

    Without a window the VOI LUT table comes first, as the more exact statement of the two alternatives, and
    then :func:`choose_window`.

    Raises
    ------
    UndecodablePixels
        A lookup table is damaged.

    References
    ----------
    PS3.3 C.11.2.1
    """
    modality_lut = read_modality_lut(attributes, frame_index, description)
    voi: Window | LookupTable | None = window or read_voi_lut(attributes, modality_lut, description)
    if voi is None:
        voi = choose_window(stored_values, attributes, frame_index, description)
    return GrayscaleTransformation(modality_lut, voi, is_inverted(attributes, description))
