"""One frame as it is stored, read from a stream without reading the rest of the object."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset

from pacs.errors import NotFound, PixelsUnavailable, UndecodablePixels
from pacs.pixels.description import PixelDescription
from pacs.pixels.fragments import EncapsulatedPixelData, Extent

# What a codestream may have beyond twice its decoded size: headers, profiles, padding.
_ENCODED_FRAME_SLACK_BYTES = 1 << 20

_JPIP_REFERENCED = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in ("94", "95", "204", "205"))
_BIG_ENDIAN_PIXEL_DATA_OW = b"\x7f\xe0\x00\x10OW"


def read_encoded_frame(
    stream: BinaryIO,
    value_offset: int,
    value_size_bytes: int | None,
    description: PixelDescription,
    frame_index: int,
    attributes: Dataset,
) -> bytes:
    """Read one frame as it is stored.

    Parameters
    ----------
    stream
        A seekable stream: a Part 10 object, or the inflated data set of a deflated one.
    value_offset
        Offset in the stream of the value of the pixel data element.
    value_size_bytes
        Size of that value, None for undefined length.
    description
        What :func:`~pacs.pixels.description.describe_pixels` said.
    frame_index
        0-based.
    attributes
        The data set without pixel data, for its Extended Offset Table.

    Returns
    -------
    bytes
        The codestream of an encapsulated frame, its fragments joined, or the native samples in the byte order
        of the transfer syntax. A native frame of single bits is moved so that its first pixel is the lowest
        bit of the first byte; one of bytes that were stored as big endian words has them in pixel order.

    Raises
    ------
    NotFound
        There is no such frame.
    PixelsUnavailable
        The transfer syntax has no frames of its own: video, or pixel data kept elsewhere.
    UndecodablePixels
        The pixel data is cut short, or its fragments are damaged.

    References
    ----------
    PS3.5 8.1.1, 8.2, A.4; PS3.3 C.7.6.3.1.8
    """
    return next(
        read_encoded_frames(stream, value_offset, value_size_bytes, description, [frame_index], attributes)
    )


def read_encoded_frames(
    stream: BinaryIO,
    value_offset: int,
    value_size_bytes: int | None,
    description: PixelDescription,
    frame_indices: Iterable[int],
    attributes: Dataset,
) -> Iterator[bytes]:
    """Read frames one after the other, as :func:`read_encoded_frame` reads one; raises what it raises.

    The fragments are walked once for all frames, where there is no offset table.
    """
    _require_frames(description)
    pixel_data = None
    if description.transfer_syntax.encapsulated:
        pixel_data = EncapsulatedPixelData(stream, value_offset, value_size_bytes)
    for frame_index in frame_indices:
        if not 0 <= frame_index < description.number_of_frames:
            raise NotFound(f"there is no frame {frame_index + 1} among {description.number_of_frames}")
        if pixel_data is None:
            yield _read_native_frame(stream, value_offset, value_size_bytes, description, frame_index)
        else:
            fragments = pixel_data.locate_frame(frame_index, description.number_of_frames, attributes)
            yield _join(stream, fragments, 2 * description.frame_size_bytes + _ENCODED_FRAME_SLACK_BYTES)


def locate_native_frame(
    value_offset: int, value_size_bytes: int | None, description: PixelDescription, frame_index: int
) -> Extent | None:
    """Tell where a frame lies whose bytes, as they are, are what :func:`read_encoded_frame` would read.

    None where they are not, or not there: who reads the frame is told why.
    """
    syntax = description.transfer_syntax
    if syntax.encapsulated or syntax.big_endian or value_size_bytes is None:
        return None
    frame_bits = _native_frame_bits(description, value_size_bytes)
    end = (frame_index + 1) * frame_bits
    if frame_bits % 8 or not 0 <= frame_index < description.number_of_frames or end > value_size_bytes * 8:
        return None
    return Extent(value_offset + frame_index * frame_bits // 8, frame_bits // 8)


def read_video(
    stream: BinaryIO, value_offset: int, value_size_bytes: int | None, max_size_bytes: int
) -> bytes:
    """Read the beginning of a video, its fragments joined.

    Raises
    ------
    UndecodablePixels
        The fragments are damaged.

    References
    ----------
    PS3.5 8.2.5, A.4.5
    """
    parts: list[bytes] = []
    for fragment in EncapsulatedPixelData(stream, value_offset, value_size_bytes).list_fragments():
        if max_size_bytes <= 0:
            break
        parts.append(_read_extent(stream, Extent(fragment.offset, min(fragment.size_bytes, max_size_bytes))))
        max_size_bytes -= fragment.size_bytes
    return b"".join(parts)


def _require_frames(description: PixelDescription) -> None:
    if description.transfer_syntax.video:
        raise PixelsUnavailable(f"{description.transfer_syntax.name} is video: it has no separate frames")
    if description.transfer_syntax_uid in _JPIP_REFERENCED:
        raise PixelsUnavailable("the pixel data is not in this object but on a JPIP server")


def _join(stream: BinaryIO, fragments: list[Extent], max_size_bytes: int) -> bytes:
    if sum(fragment.size_bytes for fragment in fragments) > max_size_bytes:
        raise UndecodablePixels("the encoded frame is far larger than the frame")
    return b"".join(_read_extent(stream, fragment) for fragment in fragments)


def _read_extent(stream: BinaryIO, extent: Extent) -> bytes:
    stream.seek(extent.offset)
    data = stream.read(extent.size_bytes)
    if len(data) != extent.size_bytes:
        raise UndecodablePixels("the object ends within its pixel data")
    return data


def _read_native_frame(
    stream: BinaryIO,
    value_offset: int,
    value_size_bytes: int | None,
    description: PixelDescription,
    frame_index: int,
) -> bytes:
    """Read a frame by its place; frames follow one another without padding (PS3.5 8.1.1, 8.2)."""
    if value_size_bytes is None:
        raise UndecodablePixels("native pixel data of undefined length")
    value_size_bytes = min(value_size_bytes, stream.seek(0, os.SEEK_END) - value_offset)
    frame_bits = _native_frame_bits(description, value_size_bytes)
    first_bit = frame_index * frame_bits
    first, end = first_bit // 8, -(-(first_bit + frame_bits) // 8)
    if end > value_size_bytes:
        raise UndecodablePixels(f"the pixel data ends before frame {frame_index + 1} does")
    if _has_swapped_bytes(stream, value_offset, description):
        data = _read_swapped(stream, value_offset, first, end)
    else:
        data = _read_extent(stream, Extent(value_offset + first, end - first))
    return data if frame_bits % 8 == 0 else _align_bits(data, first_bit % 8, frame_bits)


def _native_frame_bits(description: PixelDescription, value_size_bytes: int) -> int:
    full = description.samples_per_frame * description.bits_allocated
    if description.photometric_interpretation not in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        return full
    # Two pixels share their chroma (PS3.3 C.7.6.3.1.2). Devices that decompress a JPEG and leave the name in
    # place write all samples; then the value is too large for anything else.
    return full if value_size_bytes * 8 >= full * description.number_of_frames else full // 3 * 2


def _has_swapped_bytes(stream: BinaryIO, value_offset: int, description: PixelDescription) -> bool:
    """Tell whether samples of up to eight bits lie in big endian words (PS3.5 8.1.1, A.3)."""
    if not description.transfer_syntax.big_endian or description.bits_allocated > 8 or value_offset < 12:
        return False
    header = _read_extent(stream, Extent(value_offset - 12, 12))
    return header.startswith(_BIG_ENDIAN_PIXEL_DATA_OW)


def _read_swapped(stream: BinaryIO, value_offset: int, first: int, end: int) -> bytes:
    """Read bytes ``first`` to ``end`` of a value of big endian words, in the order of their pixels."""
    aligned_first, aligned_end = first & ~1, end + (end & 1)
    words = _read_extent(stream, Extent(value_offset + aligned_first, aligned_end - aligned_first))
    in_order = np.frombuffer(words, "u2").byteswap().tobytes()
    return in_order[first - aligned_first : end - aligned_first]


def _align_bits(data: bytes, first_bit: int, number_of_bits: int) -> bytes:
    """Move bits to the front and clear those of the neighbour frames; the first pixel is the lowest bit."""
    bits = np.unpackbits(np.frombuffer(data, "u1"), count=first_bit + number_of_bits, bitorder="little")
    return np.packbits(bits[first_bit:], bitorder="little").tobytes()
