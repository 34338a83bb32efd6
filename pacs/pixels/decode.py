"""Stored values from one encoded frame, bit for bit.

Colour: a decoder never transforms colour on its own. Frames come out in the colour space that Photometric
Interpretation names, except where the codec cannot but undo its own transform: JPEG 2000 (YBR_RCT, YBR_ICT)
and JPEG XL give RGB. :mod:`pacs.pixels.color` knows that and makes RGB of the rest, once.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, TypeAlias

import imagecodecs
import numpy as np
import numpy.typing as npt

from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.codestreams import (
    CodestreamHeader,
    read_jpeg_2000_header,
    read_jpeg_header,
    read_jpeg_xl_size,
)
from pacs.pixels.pixel_description import PixelDescription
from pacs.pixels.ybr import rgb_to_ybr_full

Samples: TypeAlias = npt.NDArray[Any]

# Sequential frames have as many scans as components, progressive ones some ten. Each scan costs a pass over
# the whole image, so a small codestream with thousands of them would keep a processor busy for minutes.
_MAX_JPEG_SCANS = 100
# OpenJPEG 2.5 reads other values than were written, without an error, where there are more.
_MAX_JPEG_2000_BITS = 24
_UNPACKED_AT_ONCE = 1 << 20  # samples; those of so many fill whole bytes


def can_decode(description: PixelDescription) -> bool:
    """Tell whether frames of this kind can be decoded at all, as far as it is known before they are read."""
    return description.transfer_syntax_uid in _DECODERS and not (
        description.transfer_syntax.encapsulated and description.keyword != "PixelData"
    )


def needs_codec(description: PixelDescription) -> bool:
    """Tell whether frames of this kind go through a codec, and not merely through numpy."""
    return can_decode(description) and _DECODERS[description.transfer_syntax_uid] is not _decode_native


def decode_frame(data: bytes, description: PixelDescription) -> Samples:
    """Decode one frame to its stored values, in this process.

    A codec that reads what came from elsewhere belongs into a process of its own:
    :mod:`pacs.pixels.decoding_processes`.

    Parameters
    ----------
    data
        What :func:`~pacs.pixels.frames.read_encoded_frame` returned.
    description
        The description of the object that the frame is from.

    Returns
    -------
    ndarray
        ``(rows, columns)`` or ``(rows, columns, samples)`` of ``description.dtype``, writable. Unused bits
        are cleared, or filled with the sign; chroma is brought to full resolution.

    Raises
    ------
    PixelsUnavailable
        Nothing here reads the transfer syntax: video, arithmetic and hierarchical JPEG, JPIP, JPEG 2000
        Part 2.
    UndecodablePixels
        The data is damaged, cut short, or contradicts the description.

    References
    ----------
    PS3.5 8.1.1, 8.2, Annex A.4, Annex G; PS3.3 C.7.6.3.1.2
    """
    decoder = _DECODERS.get(description.transfer_syntax_uid)
    if decoder is None:
        raise PixelsUnavailable(f"{description.transfer_syntax.name} cannot be turned into images")
    if description.transfer_syntax.encapsulated and description.keyword != "PixelData":
        raise UndecodablePixels("float pixel data is never compressed")
    return np.require(decoder(data, description), requirements=["C", "W"])


def _decode_native(data: bytes, description: PixelDescription) -> Samples:
    if description.bits_allocated == 1:
        return _unpack_bits(data, description)
    if description.is_packed:
        return _unpack_cells(data, description)
    dtype = description.dtype.newbyteorder(">" if description.transfer_syntax.big_endian else "<")
    if _is_subsampled(len(data), description):
        values = _spread_chroma(_read_samples(data, dtype, description.pixels_per_frame * 2), description)
    else:
        values = _read_samples(data, dtype, description.samples_per_frame)
    values = values.astype(description.dtype)
    if description.keyword != "PixelData":
        return values.reshape(description.frame_shape)
    return _arrange_planes(
        _take_stored_bits(values, description), description, description.planar_configuration
    )


def _read_samples(data: bytes, dtype: np.dtype[Any], number_of_samples: int) -> Samples:
    if len(data) < number_of_samples * dtype.itemsize:
        raise UndecodablePixels("the frame is cut short")
    return np.frombuffer(data, dtype, number_of_samples)


def _unpack_bits(data: bytes, description: PixelDescription) -> Samples:
    """Unpack single bits, the first pixel in the lowest bit (PS3.5 8.1.1, D.2)."""
    packed = _read_samples(data, np.dtype("u1"), -(-description.samples_per_frame // 8))
    bits = np.unpackbits(packed, count=description.samples_per_frame, bitorder="little")
    return bits.reshape(description.frame_shape)


def _unpack_cells(data: bytes, description: PixelDescription) -> Samples:
    """Unpack pixel cells of any number of bits, the first one in the lowest (PS3.5 Annex D of 2004)."""
    bits, number_of_samples = description.bits_allocated, description.samples_per_frame
    packed = _read_samples(data, np.dtype("u1"), -(-number_of_samples * bits // 8))
    values = np.empty(number_of_samples, description.dtype)
    for first in range(0, number_of_samples, _UNPACKED_AT_ONCE):  # eight times as much memory meanwhile
        part = values[first : first + _UNPACKED_AT_ONCE]
        own = packed[first * bits // 8 :]
        cells = np.unpackbits(own, count=len(part) * bits, bitorder="little").reshape(len(part), bits)
        padded = np.pad(cells, ((0, 0), (0, 8 * part.itemsize - bits)))
        part[:] = (
            np.packbits(padded, axis=1, bitorder="little").view(part.dtype.newbyteorder("<")).reshape(-1)
        )
    return _arrange_planes(
        _take_stored_bits(values, description), description, description.planar_configuration
    )


def _is_subsampled(size_bytes: int, description: PixelDescription) -> bool:
    # Some devices write all samples under this name, which the size tells.
    return (
        description.photometric_interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422")
        and size_bytes < description.frame_size_bytes
    )


def _spread_chroma(values: Samples, description: PixelDescription) -> Samples:
    """Give each of two neighbours the chroma they share: Y1 Y2 Cb Cr (PS3.3 C.7.6.3.1.2)."""
    if description.columns % 2:
        raise UndecodablePixels("an odd number of columns cannot share chroma in pairs")
    pairs = values.reshape(description.rows, description.columns // 2, 4)
    out = np.empty((description.rows, description.columns // 2, 2, 3), values.dtype)
    out[..., 0] = pairs[..., :2]
    out[..., 1:] = pairs[..., None, 2:]
    return out


def _take_stored_bits(values: Samples, description: PixelDescription) -> Samples:
    """Extract the stored bits from pixel cells, in place (PS3.5 8.1.1)."""
    below = description.high_bit + 1 - description.bits_stored
    return _take_bits(values, description.bits_stored, below)


def _take_bits(values: Samples, number_of_bits: int, below: int = 0) -> Samples:
    """Keep ``number_of_bits`` bits above the lowest ``below`` ones, in place, as the type's sign demands."""
    above = 8 * values.dtype.itemsize - number_of_bits - below
    if above > 0 and not below and values.dtype.kind == "u":
        return np.bitwise_and(values, (1 << number_of_bits) - 1, out=values)
    if above > 0:
        np.left_shift(values, above, out=values)
    if above > 0 or below:
        # Of a signed type this shift fills with the sign.
        np.right_shift(values, max(above, 0) + below, out=values)
    return values


def _arrange_planes(values: Samples, description: PixelDescription, planar_configuration: int) -> Samples:
    """Shape a frame color by pixel, whatever its planar configuration (PS3.3 C.7.6.3.1.3)."""
    if description.samples_per_pixel == 1 or planar_configuration == 0 or values.ndim > 1:
        return values.reshape(description.frame_shape)
    planes = values.reshape(description.samples_per_pixel, description.rows, description.columns)
    return planes.transpose(1, 2, 0)


def _decode_deflated(data: bytes, description: PixelDescription) -> Samples:
    """Decode Deflated Image Frame Compression (PS3.5 A.4.15): the native frame as one raw deflate stream."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        native = inflater.decompress(data, description.frame_size_bytes)
    except zlib.error as error:
        raise UndecodablePixels("the frame is no deflate stream") from error
    return _decode_native(native, description)


def _decode_rle(data: bytes, description: PixelDescription) -> Samples:
    """Decode RLE Lossless (PS3.5 Annex G): byte planes, the most significant first, then the next sample."""
    sample_size_bytes = description.dtype.itemsize
    (number_of_segments,) = struct.unpack("<I", data[:4].ljust(4, b"\0"))
    if number_of_segments != description.samples_per_pixel * sample_size_bytes:
        raise UndecodablePixels(f"{number_of_segments} RLE segments do not make the samples")
    is_packed = description.bits_allocated == 1
    size_bytes = -(-description.samples_per_frame // 8) if is_packed else description.frame_size_bytes
    dtype = np.dtype(f"u{sample_size_bytes}")
    decoded = _run(imagecodecs.dicomrle_decode, data, dtype=dtype, out=size_bytes)
    if is_packed:
        return _unpack_bits(bytes(decoded), description)
    values = _read_samples(bytes(decoded), dtype, description.samples_per_frame).astype(description.dtype)
    return _arrange_planes(_take_stored_bits(values, description), description, planar_configuration=1)


def _decode_jpeg(data: bytes, description: PixelDescription) -> Samples:
    """Decode baseline, extended and progressive JPEG (PS3.5 A.4.1)."""
    header = _read_complete_jpeg(data, description)
    if description.samples_per_pixel == 1:
        return _conform(_run(imagecodecs.jpeg8_decode, data), description, description.bits_stored)
    # A codestream that declares its colour space is believed over the data set: devices rewrite Photometric
    # Interpretation when they decompress, and forget it when they compress.
    wanted = "YBR" if description.photometric_interpretation.startswith("YBR_") else "RGB"
    coded = header.color_space or wanted
    output = wanted if coded == "YBR" else coded
    values = _run(
        imagecodecs.jpeg8_decode,
        data,
        colorspace=_LIBJPEG_COLOR_SPACES[coded],
        outcolorspace=_LIBJPEG_COLOR_SPACES[output],
    )
    values = _conform(values, description, description.bits_stored)
    return rgb_to_ybr_full(values, description.bits_stored) if output != wanted else values


def _decode_jpeg_lossless(data: bytes, description: PixelDescription) -> Samples:
    """Decode lossless JPEG (PS3.5 A.4.2), which has no colour transform."""
    _read_complete_jpeg(data, description)
    options = {} if description.samples_per_pixel == 1 else {"colorspace": "RGB", "outcolorspace": "RGB"}
    return _conform(_run(imagecodecs.jpeg8_decode, data, **options), description, description.bits_stored)


def _read_complete_jpeg(data: bytes, description: PixelDescription) -> CodestreamHeader:
    header = read_jpeg_header(data)
    _require_match(header, description)
    _require_end_marker(data, header)
    if data.count(b"\xff\xda", header.end_of_headers) >= _MAX_JPEG_SCANS:
        raise UndecodablePixels("the JPEG codestream has too many scans")
    return header


def _decode_jpeg_ls(data: bytes, description: PixelDescription) -> Samples:
    """Decode JPEG-LS (PS3.5 A.4.3), whose samples have no sign of their own."""
    header = _read_complete_jpeg(data, description)
    return _conform(_run(imagecodecs.jpegls_decode, data), description, header.precision)


def _decode_jpeg_2000(data: bytes, description: PixelDescription) -> Samples:
    """Decode JPEG 2000 and HTJ2K (PS3.5 A.4.4, A.4.9).

    Where the codestream's sign is not the data set's, the bits are right and the sign is the data set's.
    OpenJPEG decodes both. OpenJPH is twice as fast on HTJ2K, but as imagecodecs 2026.3.6 calls it, it gives
    unset memory for a damaged codestream without an error, and wraps irreversible values beyond the range.
    """
    header = read_jpeg_2000_header(data)
    _require_match(header, description)
    if header.precision > _MAX_JPEG_2000_BITS:
        raise UndecodablePixels(f"JPEG 2000 of {header.precision} bits is more than is decoded rightly")
    codestream = data[header.start :]  # without the JP2 boxes the decoder cannot transform colour by them
    return _conform(_run(imagecodecs.jpeg2k_decode, codestream), description, header.precision)


def _decode_jpeg_xl(data: bytes, description: PixelDescription) -> Samples:
    """Decode JPEG XL (PS3.5 A.4.12)."""
    if read_jpeg_xl_size(data) != (description.rows, description.columns):
        raise UndecodablePixels("the size of the JPEG XL codestream is not the data set's")
    return _conform(_run(imagecodecs.jpegxl_decode, data), description, description.bits_stored)


def _require_match(header: CodestreamHeader, description: PixelDescription) -> None:
    coded = (header.rows, header.columns, header.samples_per_pixel)
    described = (description.rows, description.columns, description.samples_per_pixel)
    if coded != described:
        raise UndecodablePixels(f"the codestream is {coded}, the data set {described}")
    if header.precision > max(description.bits_allocated, 8):
        raise UndecodablePixels(f"the codestream's {header.precision} bits are more than the bits allocated")


def _require_end_marker(data: bytes, header: CodestreamHeader) -> None:
    # libjpeg fills what is missing with gray and says nothing, and a reader would take that for the image.
    # CharLS refuses it, but can spend seconds on the way: it counts zeros behind the end up to 2^32.
    if data.rfind(b"\xff\xd9", header.end_of_headers) < 0:
        raise UndecodablePixels("the codestream is cut short")


def _conform(values: Samples, description: PixelDescription, number_of_bits: int) -> Samples:
    """Give decoded samples the type and sign of the description; ``number_of_bits`` of each are valid."""
    size_bytes = description.dtype.itemsize
    is_fitting = values.dtype.kind in "iu" and values.dtype.itemsize <= size_bytes
    if values.shape != description.frame_shape or not is_fitting:
        raise UndecodablePixels(f"the codestream gave {values.shape} of {values.dtype}")
    has_same_size = values.dtype.itemsize == size_bytes
    values = values.view(description.dtype) if has_same_size else values.astype(description.dtype)
    return _take_bits(values, min(number_of_bits, 8 * size_bytes))


def _run(codec: Callable[..., Any], data: bytes, **options: Any) -> Any:
    try:
        return codec(data, **options)
    except Exception as error:  # each codec has its own kind; some raise ValueError, or MemoryError
        raise UndecodablePixels(f"the codestream is damaged ({type(error).__name__})") from error


_LIBJPEG_COLOR_SPACES = {"RGB": "RGB", "YBR": "YCBCR"}
_DECODERS: dict[str, Callable[[bytes, PixelDescription], Samples]] = {
    "1.2.840.10008.1.2": _decode_native,
    "1.2.840.10008.1.2.1": _decode_native,
    "1.2.840.10008.1.2.1.98": _decode_native,  # encapsulated, each frame native
    "1.2.840.10008.1.2.1.99": _decode_native,  # the data set arrives inflated
    "1.2.840.10008.1.2.2": _decode_native,
    "1.2.840.10008.1.2.5": _decode_rle,
    "1.2.840.10008.1.2.8.1": _decode_deflated,
    **{f"1.2.840.10008.1.2.4.{number}": _decode_jpeg for number in (50, 51, 53, 55)},
    **{f"1.2.840.10008.1.2.4.{number}": _decode_jpeg_lossless for number in (57, 70)},
    **{f"1.2.840.10008.1.2.4.{number}": _decode_jpeg_ls for number in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{number}": _decode_jpeg_2000 for number in (90, 91, 201, 202, 203)},
    **{f"1.2.840.10008.1.2.4.{number}": _decode_jpeg_xl for number in (110, 111, 112)},
}
