"""Grayscale: from stored values to what a display shows (PS3.3 C.11, PS3.4 N.2).

Stored values go through the Modality LUT, the VOI LUT and the Presentation LUT. Each step is a function of
one value, so integers of up to 16 bits are looked up in a table of the outcome, which is exact and as fast as
arithmetic on the image. Levels are rounded down, as dcmtk does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.pixels.default_window import make_default_window
from pacs.pixels.description import PixelDescription
from pacs.pixels.lookup_table import LookupTable
from pacs.pixels.modality_lut import ModalityLut, read_modality_lut
from pacs.pixels.padding import Padding, read_padding
from pacs.pixels.presentation_lut import (
    IDENTITY,
    PresentationLut,
    apply_presentation_lut,
    read_presentation_lut,
)
from pacs.pixels.voi import Voi, VoiChoice, choose_voi, list_vois
from pacs.pixels.window import Window

Values: TypeAlias = npt.NDArray[Any]

_ROUNDING = 1e-7  # of a level: what sums of doubles may be wrong by must not cost the level that they reach
_BLOCK_PIXELS = 1 << 16  # fits into the second-level cache together with its indices


@dataclass(frozen=True, eq=False, slots=True)
class LevelTable:
    """The gray levels of all stored values of an image, the first for ``lowest``.

    ``levels`` is ``(highest - lowest + 1,)`` uint8.
    """

    lowest: int
    levels: npt.NDArray[np.uint8]

    @property
    def highest(self) -> int:
        """The highest stored value."""
        return self.lowest + len(self.levels) - 1

    @property
    def is_monotonic(self) -> bool:
        """Whether levels only rise or only fall with the stored values."""
        steps = self.levels[1:] >= self.levels[:-1]
        return bool(steps.all()) or bool((self.levels[1:] <= self.levels[:-1]).all())

    def apply(self, stored_values: Values) -> npt.NDArray[np.uint8]:
        """Look up integers of up to 16 bits, of any shape, none of them outside of the table."""
        unsigned = np.dtype(f"u{stored_values.dtype.itemsize}")
        source = np.ascontiguousarray(stored_values).reshape(-1).view(unsigned)
        table = self._by_bits(unsigned)
        out = np.empty(source.shape, np.uint8)
        for start in range(0, source.size, _BLOCK_PIXELS):
            block = slice(start, start + _BLOCK_PIXELS)
            np.take(table, source[block], out=out[block], mode="clip")
        return out.reshape(stored_values.shape)

    def _by_bits(self, unsigned: np.dtype[Any]) -> npt.NDArray[np.uint8]:
        """Order the levels by the bits of the values, which spares a subtraction for each pixel."""
        table = np.zeros(1 << (8 * unsigned.itemsize), np.uint8)
        negative = min(max(-self.lowest, 0), len(self.levels))
        if negative:
            first = self.lowest + len(table)
            table[first : first + negative] = self.levels[:negative]
        rest = self.levels[negative:]
        first = self.lowest + negative
        table[first : first + len(rest)] = rest
        return table


@dataclass(frozen=True, slots=True)
class GrayscaleTransformation:
    """All steps from stored values to display."""

    modality_lut: ModalityLut
    voi: Voi
    presentation_lut: PresentationLut = IDENTITY
    padding: Padding | None = None

    def apply(self, stored_values: Values) -> npt.NDArray[np.uint8]:
        """Map ``(rows, columns)`` stored values of any type to ``(rows, columns)`` uint8, 0 is black."""
        table = self.tabulate(stored_values)
        return self.compute(stored_values) if table is None else table.apply(stored_values)

    def compute(self, stored_values: Values) -> npt.NDArray[np.uint8]:
        """Do the same by arithmetic on each value; padding is black."""
        levels = np.empty(stored_values.shape, np.uint8)
        self._scale_p_values(stored_values, 255, _ROUNDING, levels)
        return levels

    def compute_16_bits(self, stored_values: Values) -> npt.NDArray[np.uint16]:
        """Map stored values of any shape and type to P-Values from 0 (black) to 65535, rounded."""
        p_values = np.empty(stored_values.shape, np.uint16)
        self._scale_p_values(stored_values, 0xFFFF, 0.5, p_values)
        return p_values

    @np.errstate(over="ignore", invalid="ignore")  # of an impossible rescale, the outcome is clipped or black
    def _scale_p_values(
        self, stored_values: Values, highest: int, rounding: float, out: npt.NDArray[np.unsignedinteger[Any]]
    ) -> None:
        """Fill ``out`` block by block: doubles of a whole image would be many times its size."""
        source, target = stored_values.reshape(-1), out.reshape(-1)
        for start in range(0, source.size, _BLOCK_PIXELS):
            block = slice(start, start + _BLOCK_PIXELS)
            target[block] = (self._find_p_values(source[block]) * highest + rounding).astype(out.dtype)

    def _find_p_values(self, stored_values: Values) -> npt.NDArray[np.float64]:
        """Map stored values of any shape and type to P-Values from 0 (black) to 1; padding is 0."""
        values = self.modality_lut.apply(stored_values)
        if isinstance(self.voi, LookupTable):
            fractions = self.voi.apply(values) / np.float64(self.voi.highest_output)
        else:
            fractions = self.voi.apply(values)
        is_number = ~np.isnan(fractions)
        p_values = apply_presentation_lut(self.presentation_lut, np.where(is_number, fractions, 0))
        p_values = p_values * is_number
        if self.padding is not None:
            p_values[self.padding.find(stored_values)] = 0
        return p_values

    def tabulate(self, stored_values: Values) -> LevelTable | None:
        """Make the table for an image; None for values of more than 16 bits, and for floats."""
        if stored_values.dtype.kind not in "iu" or stored_values.dtype.itemsize > 2:
            return None
        return self.tabulate_range(int(stored_values.min()), int(stored_values.max()))

    def tabulate_range(self, lowest: int, highest: int) -> LevelTable:
        """Make the table of all integers from ``lowest`` to ``highest``."""
        return LevelTable(lowest, self.compute(np.arange(lowest, highest + 1)))


def read_transformation(
    stored_values: Values,
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    voi: Window | VoiChoice | None,
) -> GrayscaleTransformation:
    """Put together how a frame (0-based) is shown, with a window, or as the data set offers or prefers.

    Without a wish the first one of :func:`~pacs.pixels.voi.list_vois` is taken, and for an image that has
    none the window of :mod:`pacs.pixels.default_window`.

    Parameters
    ----------
    stored_values
        All of the frame, for a window that is made from its pixels.

    Raises
    ------
    InvalidRequest
        The data set does not offer what is chosen.
    UndecodablePixels
        A lookup table is damaged.

    References
    ----------
    PS3.3 C.11.2.1
    """
    modality_lut = read_modality_lut(attributes, frame_index, description)
    padding = read_padding(attributes, description)
    chosen: Voi | None
    if isinstance(voi, VoiChoice):
        chosen = choose_voi(attributes, frame_index, modality_lut, description, voi)
    else:
        chosen = voi or next(list_vois(attributes, frame_index, modality_lut, description), None)
    if chosen is None:
        chosen = make_default_window(stored_values, modality_lut, padding, description)
    presentation_lut = read_presentation_lut(attributes, description)
    return GrayscaleTransformation(modality_lut, chosen, presentation_lut, padding)
