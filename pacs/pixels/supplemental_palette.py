"""Grayscale images that have a range of colours above the grays (PS3.3 C.7.6.19, C.8.16.2.1.1.1)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from pacs.pixels.description import PixelDescription
from pacs.pixels.elements import read_texts, read_value
from pacs.pixels.functional_groups import find_macro
from pacs.pixels.palette import Palette, read_palette

# The functional groups that tell the Pixel Presentation of a frame (PS3.3 C.8.13, C.8.15, C.8.22).
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")


def read_supplemental_palette(
    attributes: Dataset, frame_index: int, description: PixelDescription
) -> Palette | None:
    """Read the colours of a grayscale frame (0-based); None where it is to be shown in gray alone.

    Stored values from the palette's first one on are colours, those below go through the grayscale pipeline.

    Raises
    ------
    PixelsUnavailable, UndecodablePixels
        The palette is wanting in part, or damaged.

    References
    ----------
    PS3.3 C.7.6.19, C.8.16.2.1.1.1
    """
    if read_value(attributes, "RedPaletteColorLookupTableDescriptor") is None:
        return None
    presentations = read_texts(attributes, "PixelPresentation")
    for sequence in _FRAME_TYPES:
        macro = find_macro(attributes, frame_index, sequence)
        if macro is not None:
            presentations = read_texts(macro, "PixelPresentation") or presentations
    return read_palette(attributes, description) if presentations[:1] == ["COLOR"] else None
