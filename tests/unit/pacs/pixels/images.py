"""Small images for the tests of pacs.pixels, put together by hand."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from pydicom.dataset import Dataset

from pacs.pixels.description import PixelDescription, describe_pixels

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
HTJ2K = "1.2.840.10008.1.2.4.201"
JPEG_XL = "1.2.840.10008.1.2.4.110"

SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"


def image_attributes(**changes: Any) -> Dataset:
    """Make the Image Pixel module of a 4 x 6 CT slice; None removes an attribute."""
    values: dict[str, Any] = {
        "Rows": 4,
        "Columns": 6,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": None,
        "PixelRepresentation": 0,
        **changes,
    }
    attributes = Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(attributes, keyword, value)
    return attributes


def rgb_attributes(**changes: Any) -> Dataset:
    """Make the Image Pixel module of a 4 x 6 colour image of eight bits."""
    return image_attributes(
        **{
            "SamplesPerPixel": 3,
            "PhotometricInterpretation": "RGB",
            "PlanarConfiguration": 0,
            "BitsAllocated": 8,
            "BitsStored": 8,
            **changes,
        }
    )


def describe(transfer_syntax_uid: str = EXPLICIT, **changes: Any) -> PixelDescription:
    """Describe the CT slice, changed."""
    return describe_pixels(image_attributes(**changes), transfer_syntax_uid)


def describe_rgb(transfer_syntax_uid: str = EXPLICIT, **changes: Any) -> PixelDescription:
    """Describe the colour image, changed."""
    return describe_pixels(rgb_attributes(**changes), transfer_syntax_uid)


def gradient(rows: int = 32, columns: int = 40, highest: int = 4095) -> np.ndarray:
    """Make a smooth uint16 image with some texture, from 0 to ``highest``."""
    y, x = np.mgrid[:rows, :columns]
    values = (x * 3 + y * 5) % 97 + 97 * (x + y)
    return (values * highest // values.max()).astype(np.uint16)


def item(data: bytes) -> bytes:
    """Encode one item of encapsulated pixel data."""
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(data)) + data


def encapsulate(fragments: list[bytes], basic_offset_table: list[int] | None = None) -> bytes:
    """Encode the value of encapsulated pixel data."""
    table = struct.pack(f"<{len(basic_offset_table or [])}I", *(basic_offset_table or []))
    return item(table) + b"".join(item(fragment) for fragment in fragments) + SEQUENCE_DELIMITER


def in_an_object(value: bytes, before: bytes = b"header", after: bytes = b"trailer") -> tuple[BinaryIO, int]:
    """Put a value somewhere into a stream; returns the stream and the value's offset."""
    return io.BytesIO(before + value + after), len(before)
