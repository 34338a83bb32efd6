"""From values of interest to P-Values: polarity, or a table (PS3.3 C.11.4, C.11.6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.pixels.description import PixelDescription
from pacs.pixels.elements import read_items, read_texts
from pacs.pixels.lookup_table import LookupTable, read_lookup_table


@dataclass(frozen=True, slots=True)
class Polarity:
    """A Presentation LUT Shape: IDENTITY, or INVERSE, which shows the lowest value white."""

    inverted: bool = False


IDENTITY = Polarity()
PresentationLut: TypeAlias = Polarity | LookupTable


def apply_presentation_lut(
    presentation_lut: PresentationLut, fractions: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Map values of interest, 0 to 1, to P-Values, 0 (black) to 1 (white).

    A table has an entry for each value of its input, so its length is the scale of what goes in.

    References
    ----------
    PS3.3 C.11.4.1, C.11.6.1.2; PS3.4 N.2.1.4
    """
    if isinstance(presentation_lut, LookupTable):
        inputs = fractions * (len(presentation_lut.entries) - 1) + presentation_lut.first_value
        return presentation_lut.apply(inputs) / np.float64(presentation_lut.highest_output)
    return 1 - fractions if presentation_lut.inverted else fractions


def read_presentation_lut(attributes: Dataset, description: PixelDescription) -> PresentationLut:
    """Read how an image that nothing else is said of turns its values of interest into P-Values.

    MONOCHROME1 and a Presentation LUT Shape of INVERSE say the same thing and do not cancel one another.

    Raises
    ------
    UndecodablePixels
        The Presentation LUT Sequence is damaged.

    References
    ----------
    PS3.3 C.7.6.3.1.2, C.11.6
    """
    stated = read_stated_presentation_lut(attributes, description.transfer_syntax.big_endian)
    if isinstance(stated, LookupTable):
        return stated
    return Polarity(stated.inverted or description.photometric_interpretation == "MONOCHROME1")


def read_stated_presentation_lut(source: Dataset, big_endian: bool) -> PresentationLut:
    """Read the Presentation LUT that an image or a presentation state states.

    Raises
    ------
    UndecodablePixels
        The Presentation LUT Sequence is damaged.
    """
    items: Any = read_items(source, "PresentationLUTSequence")
    if items:
        return read_lookup_table(items[0], False, big_endian)
    return Polarity(read_texts(source, "PresentationLUTShape")[:1] == ["INVERSE"])
