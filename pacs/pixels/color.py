"""Colour frames to RGB of eight bits: the one place where stored colour is transformed."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset

from pacs.errors import PixelsUnavailable
from pacs.pixels.description import PixelDescription
from pacs.pixels.palette import read_palette
from pacs.pixels.ybr import YBR_TO_RGB_FULL

Samples: TypeAlias = npt.NDArray[Any]

# JPEG XL decoders undo YCbCr and XYB themselves.
JPEG_XL = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112))
# JPEG 2000 decoders undo these; what was decompressed by others and still has the name is RGB as well.
_UNDONE_BY_THE_DECODER = frozenset({"YBR_ICT", "YBR_RCT"})

_PIXELS_AT_ONCE = 1 << 16  # of floats, of which a whole image would be many times its size
# Of the partial range, luma has 219 and chroma 224 levels for the 255 of RGB.
_YBR_TO_RGB_PARTIAL = YBR_TO_RGB_FULL * np.array([[255 / 219], [255 / 224], [255 / 224]])


def convert_to_rgb(
    values: Samples, attributes: Dataset, description: PixelDescription
) -> npt.NDArray[np.uint8]:
    """Convert a decoded colour frame to RGB.

    Parameters
    ----------
    values
        ``(rows, columns, 3)`` stored values, or ``(rows, columns)`` indices of a PALETTE COLOR image.
    attributes
        The data set, for the palette.
    description
        The description of the object that the frame is from.

    Returns
    -------
    ndarray
        ``(rows, columns, 3)`` uint8; more than eight stored bits are reduced to the highest eight.

    Raises
    ------
    PixelsUnavailable
        The colour space has no conversion here, or a palette is wanting.
    UndecodablePixels
        The palette is damaged.

    References
    ----------
    PS3.3 C.7.6.3.1.2
    """
    name = description.photometric_interpretation
    if name == "PALETTE COLOR":
        return read_palette(attributes, description).apply(values)
    values = reduce_to_8_bits(values, description.bits_stored)
    if name == "RGB" or name in _UNDONE_BY_THE_DECODER or description.transfer_syntax_uid in JPEG_XL:
        return values
    if name in ("YBR_FULL", "YBR_FULL_422"):
        return ybr_full_to_rgb(values)
    if name == "YBR_PARTIAL_422":
        return _apply_matrix(values, _YBR_TO_RGB_PARTIAL, luma_offset=16)
    raise PixelsUnavailable(f"{name} of {description.transfer_syntax.name} has no conversion to RGB")


def reduce_to_8_bits(values: Samples, bits_stored: int) -> npt.NDArray[np.uint8]:
    """Scale unsigned samples of ``bits_stored`` bits to eight; samples of up to eight bits span the range."""
    if bits_stored > 8:
        return (values >> (bits_stored - 8)).astype(np.uint8)
    values = values.astype(np.uint8, copy=False)
    if bits_stored == 8:
        return values
    levels = (1 << bits_stored) - 1
    return (values.astype(np.uint16) * 255 // levels).astype(np.uint8)


def ybr_full_to_rgb(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert ``(rows, columns, 3)`` uint8 from YBR_FULL (PS3.3 C.7.6.3.1.2) to RGB, to within one level."""
    rows, columns, _ = values.shape
    image = Image.frombuffer("YCbCr", (columns, rows), np.ascontiguousarray(values), "raw", "YCbCr", 0, 1)
    return np.array(image.convert("RGB"))


def _apply_matrix(values: Samples, matrix: npt.NDArray[Any], luma_offset: int) -> npt.NDArray[np.uint8]:
    offsets = np.array([luma_offset, 128, 128], np.float32)
    out = np.empty(values.shape, np.uint8)
    many = max(_PIXELS_AT_ONCE // values.shape[1], 1)
    for start in range(0, len(values), many):
        rows = slice(start, start + many)
        rgb = (values[rows].astype(np.float32) - offsets) @ matrix.astype(np.float32)
        out[rows] = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return out
