"""The pixel data element, written piece by piece as Explicit VR Little Endian (PS3.5 A.2, A.4)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from pacs.dicom.element_heads import UNDEFINED_LENGTH
from pacs.dicom.explicit_vr import SEQUENCE_DELIMITER, encode_head
from pacs.pixels.description import PixelDescription

PIXEL_DATA: Final = 0x7FE00010


def write_encapsulated(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Write encoded frames, one fragment each, behind an empty Basic Offset Table.

    The table would have to be there before the frames are made; who reads needs none where every frame has
    one fragment (PS3.5 A.4).
    """
    head = encode_head(PIXEL_DATA, "OB", UNDEFINED_LENGTH) + _item_head(0)
    for frame in frames:
        padding = len(frame) % 2
        yield head + _item_head(len(frame) + padding) + frame + bytes(padding)
        head = b""
    yield head + SEQUENCE_DELIMITER


def write_native(frames: Iterable[bytes], description: PixelDescription) -> Iterator[bytes]:
    """Write native frames one behind the other.

    Parameters
    ----------
    frames
        As :func:`~pacs.pixels.transcode.encode_native` returns them.
    description
        What the frames are.
    """
    bits = description.samples_per_frame * description.bits_allocated * description.number_of_frames
    vr = "OW" if description.bits_allocated > 8 else "OB"
    head = encode_head(PIXEL_DATA, vr, -(-bits // 16) * 2)
    for piece in join_native(frames, description):
        yield head + piece
        head = b""


def join_native(frames: Iterable[bytes], description: PixelDescription) -> Iterator[bytes]:
    """Join native frames to the value of the pixel data; those of single bits do not begin on bytes.

    References
    ----------
    PS3.5 8.1.1
    """
    bits = description.samples_per_frame * description.bits_allocated
    size_bytes = 0
    for piece in frames if bits % 8 == 0 else _join_bits(frames, bits):
        size_bytes += len(piece)
        yield piece
    yield bytes(size_bytes % 2)


def _item_head(length: int) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, length)


def _join_bits(frames: Iterable[bytes], bits: int) -> Iterator[bytes]:
    """Join frames of a number of bits that fills no bytes; the first pixel is the lowest bit."""
    left = np.empty(0, np.uint8)
    for frame in frames:
        own = np.unpackbits(np.frombuffer(frame, np.uint8), count=bits, bitorder="little")
        joined = np.concatenate((left, own))
        whole = len(joined) // 8 * 8
        left = joined[whole:]
        yield np.packbits(joined[:whole], bitorder="little").tobytes()
    yield np.packbits(left, bitorder="little").tobytes()
