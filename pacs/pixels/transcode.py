"""Frames in another transfer syntax: which ones an image may have, and the encoders.

Every encoder but that of JPEG Baseline is lossless, also under the transfer syntaxes that would allow loss
(JPEG 2000, HTJ2K): who asks for one of them gets no less than there is. The codestream declares Bits Stored
as its depth (PS3.5 8.2), but JPEG-LS, whose encoder knows whole bytes only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import imagecodecs
import numpy as np
import numpy.typing as npt

from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from pacs.errors import UndecodablePixels, UnsupportedTransferSyntax
from pacs.pixels.color import JPEG_XL
from pacs.pixels.decode import can_decode
from pacs.pixels.description import PixelDescription

Samples: TypeAlias = npt.NDArray[Any]

JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS: Final = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
JPEG_2000_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
JPEG_2000: Final = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
HTJ2K: Final = "1.2.840.10008.1.2.4.203"

_JPEG_QUALITY: Final = 90
_MAX_BITS: Final = 16
_SLACK_BYTES: Final = 4096  # noise is larger in JPEG-LS than it was
_MAX_JPEG_DIMENSION: Final = 65500  # libjpeg's limit
_SSIZ_OFFSET: Final = 42  # of the first component's depth in a JPEG 2000 codestream (ISO/IEC 15444-1 A.5.1)
_UNTRANSFORMED: Final = {"YBR_RCT": "RGB", "YBR_ICT": "RGB", "XYB": "RGB", "YBR_FULL_422": "YBR_FULL"}


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How frames get into one transfer syntax; ``color`` names what RGB becomes."""

    encode: Callable[[Samples, PixelDescription], bytes]
    color: str = "RGB"
    is_lossless: bool = True
    least_bits: int = 1


def transcodable_syntaxes(description: PixelDescription) -> list[str]:
    """List the transfer syntaxes that frames can be brought into, the stored one left out, the best first.

    Parameters
    ----------
    description
        Of the object as it is stored.

    References
    ----------
    PS3.5 8.2.1, 8.2.3, 8.2.4, 8.2.14
    """
    if not can_decode(description) or description.photometric_interpretation.startswith("YBR_PARTIAL"):
        return []  # which is no colour space of decoded frames
    native = [] if not description.transfer_syntax.encapsulated else [EXPLICIT_VR_LITTLE_ENDIAN]
    encoded = [uid for uid, encoding in _ENCODINGS.items() if _is_legal(description, encoding)]
    return [uid for uid in [*native, *encoded] if uid != description.transfer_syntax_uid]


def is_lossless(transfer_syntax_uid: str) -> bool:
    """Tell whether what :func:`encode_frame` makes decodes to the same values."""
    encoding = _ENCODINGS.get(transfer_syntax_uid)
    return encoding is None or encoding.is_lossless


def decoded(description: PixelDescription) -> PixelDescription:
    """Describe the frames as :func:`~pacs.pixels.decode.decode_frame` gives them, as native pixel data.

    References
    ----------
    PS3.3 C.7.6.3.1.2
    """
    name = description.photometric_interpretation
    name = _UNTRANSFORMED.get(name, name)
    if description.transfer_syntax_uid in JPEG_XL and description.samples_per_pixel > 1:
        name = "RGB"
    return replace(
        description,
        high_bit=description.bits_stored - 1,
        photometric_interpretation=name,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
    )


def transcoded(description: PixelDescription, transfer_syntax_uid: str) -> PixelDescription:
    """Describe the frames once they are in another transfer syntax.

    Raises
    ------
    UnsupportedTransferSyntax
        The frames cannot be brought into it.
    """
    if transfer_syntax_uid not in transcodable_syntaxes(description):
        raise UnsupportedTransferSyntax(f"these frames cannot be sent in {transfer_syntax_uid}")
    native = decoded(description)
    if transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return native
    name, encoding = native.photometric_interpretation, _ENCODINGS[transfer_syntax_uid]
    if name == "RGB" or (name == "YBR_FULL" and not encoding.is_lossless):
        name = encoding.color
    return replace(
        native,
        photometric_interpretation=name,
        planar_configuration=0,
        transfer_syntax_uid=transfer_syntax_uid,
    )


def encode_native(values: Samples, description: PixelDescription) -> bytes:
    """Lay out decoded values as native little endian samples, in the planes that the description names.

    Single bits are packed, the first pixel in the lowest bit; the last byte is filled up with zeros.

    References
    ----------
    PS3.5 8.1.1, PS3.3 C.7.6.3.1.3
    """
    if description.bits_allocated == 1:
        return np.packbits(values.reshape(-1), bitorder="little").tobytes()
    if description.samples_per_pixel > 1 and description.planar_configuration == 1:
        values = np.moveaxis(values, -1, 0)
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def encode_frame(values: Samples, description: PixelDescription, transfer_syntax_uid: str) -> bytes:
    """Encode one decoded frame.

    Parameters
    ----------
    values
        What :func:`~pacs.pixels.decode.decode_frame` returned: ``(rows, columns[, samples])``.
    description
        Of the object as it is stored.
    transfer_syntax_uid
        One of :func:`transcodable_syntaxes`.

    Raises
    ------
    UndecodablePixels
        The encoder refuses the frame.
    """
    if transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return encode_native(values, description)
    try:
        return _ENCODINGS[transfer_syntax_uid].encode(values, decoded(description))
    except Exception as error:  # each codec has its own kind
        raise UndecodablePixels(f"the frame cannot be encoded ({type(error).__name__})") from error


def _is_legal(description: PixelDescription, encoding: _Encoding) -> bool:
    if description.keyword != "PixelData" or description.bits_allocated not in (8, 16):
        return False
    if not encoding.is_lossless:
        is_eight_bits = description.bits_stored == description.bits_allocated == 8
        is_indexed = description.photometric_interpretation == "PALETTE COLOR"
        return is_eight_bits and not description.is_signed and not is_indexed and _fits_jpeg(description)
    if encoding.encode is _encode_jpeg_lossless and not _fits_jpeg(description):
        return False
    return encoding.least_bits <= description.bits_stored <= _MAX_BITS


def _fits_jpeg(description: PixelDescription) -> bool:
    return max(description.rows, description.columns) <= _MAX_JPEG_DIMENSION


def _encode_jpeg(values: Samples, description: PixelDescription) -> bytes:
    options: dict[str, Any] = {}
    if description.samples_per_pixel > 1:
        given = "YCBCR" if description.photometric_interpretation == "YBR_FULL" else "RGB"
        options = {"colorspace": given, "outcolorspace": "YCBCR", "subsampling": "422"}
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(values), level=_JPEG_QUALITY, **options))


def _encode_jpeg_lossless(values: Samples, description: PixelDescription) -> bytes:
    options: dict[str, Any] = {"lossless": True, "predictor": 1, "bitspersample": description.bits_stored}
    if description.samples_per_pixel > 1:
        options |= {"colorspace": "RGB", "outcolorspace": "RGB"}  # no transform, whatever they are
    bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    if description.is_signed:  # of which JPEG knows nothing
        bits = bits & ((1 << description.bits_stored) - 1)
    if description.bits_stored <= 8:
        bits = bits.astype("u1")
    return bytes(imagecodecs.jpeg8_encode(bits, **options))


def _encode_jpeg_ls(values: Samples, description: PixelDescription) -> bytes:
    """Encode whole bytes: the codestream declares 8 or 16 bits, also where fewer are stored.

    Signed samples keep their sign in the bits above those stored, so that also a decoder that does not know
    of Bits Stored reads them rightly.
    """
    bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    return bytes(imagecodecs.jpegls_encode(bits, out=2 * bits.nbytes + _SLACK_BYTES))


def _encode_jpeg_2000(values: Samples, description: PixelDescription) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(values),
            codecformat="j2k",
            reversible=True,
            mct=description.photometric_interpretation == "RGB",
            bitspersample=description.bits_stored,
        )
    )


def _encode_htj2k(values: Samples, description: PixelDescription) -> bytes:
    """Encode with OpenJPH, which takes whole bytes only and would declare 16 bits where 12 are stored.

    An unsigned component of ``p`` bits is coded as its values less ``2**(p-1)`` (ISO/IEC 15444-1 G.1.2), a
    signed one as they are. So the values are given as signed ones, less that, and their depth is declared
    afterwards; the coded data is the same.
    """
    bits, is_signed = description.bits_stored, description.is_signed
    is_color = description.photometric_interpretation == "RGB"
    if bits == 8 * values.dtype.itemsize:
        samples = values
    else:
        samples = values.astype("i2")
        if not is_signed:
            samples -= 1 << (bits - 1)
    options: dict[str, Any] = {"rgb": is_color} if description.samples_per_pixel > 1 else {}
    encoded = bytearray(imagecodecs.htj2k_encode(np.ascontiguousarray(samples), reversible=True, **options))
    for component in range(description.samples_per_pixel):
        encoded[_SSIZ_OFFSET + 3 * component] = bits - 1 | (0x80 if is_signed else 0)
    return bytes(encoded)


# In the order of preference.
_ENCODINGS: Final = {
    HTJ2K_LOSSLESS: _Encoding(_encode_htj2k, color="YBR_RCT"),
    JPEG_LS_LOSSLESS: _Encoding(_encode_jpeg_ls, least_bits=2),
    JPEG_2000_LOSSLESS: _Encoding(_encode_jpeg_2000, color="YBR_RCT", least_bits=2),
    JPEG_LOSSLESS: _Encoding(_encode_jpeg_lossless, least_bits=2),
    HTJ2K: _Encoding(_encode_htj2k, color="YBR_RCT"),
    JPEG_2000: _Encoding(_encode_jpeg_2000, color="YBR_RCT", least_bits=2),
    JPEG_BASELINE: _Encoding(_encode_jpeg, color="YBR_FULL_422", is_lossless=False),
}
TARGET_SYNTAXES: Final = tuple(_ENCODINGS)
