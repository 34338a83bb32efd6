"""What the Image Pixel module says of the pixel data, checked before anything is read or allocated."""

from __future__ import annotations

from pydicom.dataset import Dataset

from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax
from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.elements import read_integer, read_texts, read_value
from pacs.pixels.pixel_description import PixelDescription

__all__ = ["MAX_FRAME_SIZE_BYTES", "MAX_NUMBER_OF_FRAMES", "PixelDescription", "describe_pixels"]

# The largest decoded frame. A whole-body DX is 60 MB and a whole-slide tile 1 MB; the largest frames seen are
# untiled microscopy of some 400 MB.
MAX_FRAME_SIZE_BYTES = 512 * 1024 * 1024

MAX_NUMBER_OF_FRAMES = 2**31 - 1  # IS (PS3.5 6.2)
_MAX_US = 2**16 - 1
_SAMPLES_PER_PIXEL = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_PARTIAL_422": 3,
    "YBR_PARTIAL_420": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
    "XYB": 3,
}
_FLOAT_KEYWORDS = {32: "FloatPixelData", 64: "DoubleFloatPixelData"}


def describe_pixels(
    attributes: Dataset, transfer_syntax_uid: str, keyword: str | None = None
) -> PixelDescription:
    """Read and check the Image Pixel module.

    Parameters
    ----------
    attributes
        The data set up to, and without, the pixel data.
    transfer_syntax_uid
        The transfer syntax of the object as it is stored.
    keyword
        The element that holds the pixels. Where the caller does not know it, it follows from the module:
        float pixels have neither Bits Stored nor Pixel Representation (PS3.3 C.7.6.24, C.7.6.25).

    Raises
    ------
    PixelsUnavailable
        There is no image in this data set, or of a kind that is not supported.
    UndecodablePixels
        A value is out of range, contradicts another, or describes a frame above ``MAX_FRAME_SIZE_BYTES``.

    References
    ----------
    PS3.3 C.7.6.3, C.7.6.24, C.7.6.25
    """
    if transfer_syntax_uid not in TRANSFER_SYNTAXES:
        raise PixelsUnavailable(f"transfer syntax {transfer_syntax_uid!r} is not known")
    rows, columns = _dimension(attributes, "Rows"), _dimension(attributes, "Columns")
    photometric_interpretation, samples_per_pixel = _color(attributes)
    keyword = keyword or _infer_keyword(attributes)
    bits_allocated, bits_stored, high_bit = _bits(attributes, keyword, TRANSFER_SYNTAXES[transfer_syntax_uid])
    description = PixelDescription(
        rows=rows,
        columns=columns,
        samples_per_pixel=samples_per_pixel,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=high_bit,
        # A single bit has no sign, whatever the device says.
        pixel_representation=_flag(attributes, "PixelRepresentation") if bits_allocated > 1 else 0,
        photometric_interpretation=photometric_interpretation,
        planar_configuration=_flag(attributes, "PlanarConfiguration"),
        number_of_frames=_number_of_frames(attributes),
        keyword=keyword,
        transfer_syntax_uid=transfer_syntax_uid,
    )
    if description.frame_size_bytes > MAX_FRAME_SIZE_BYTES:
        raise UndecodablePixels(f"a frame of {rows} x {columns} pixels is above the limit")
    return description


def _dimension(attributes: Dataset, keyword: str) -> int:
    value = read_integer(attributes, keyword)
    if value is None:
        raise PixelsUnavailable(f"the data set has no {keyword}, so no image")
    return _in_range(keyword, value, 1, _MAX_US)


def _color(attributes: Dataset) -> tuple[str, int]:
    samples_per_pixel = read_integer(attributes, "SamplesPerPixel")
    names = read_texts(attributes, "PhotometricInterpretation")
    # Both are Type 1. Where a device left out one of them the other one still tells.
    name = names[0].upper() if names else {1: "MONOCHROME2", 3: "RGB"}.get(samples_per_pixel or 1, "")
    if name not in _SAMPLES_PER_PIXEL:
        raise PixelsUnavailable("the Photometric Interpretation is retired or not known")
    expected = _SAMPLES_PER_PIXEL[name]
    if samples_per_pixel not in (None, expected):
        raise UndecodablePixels(f"{name} does not go with {samples_per_pixel} samples per pixel")
    return name, expected


def _infer_keyword(attributes: Dataset) -> str:
    has_integers = any(
        read_value(attributes, keyword) is not None for keyword in ("BitsStored", "PixelRepresentation")
    )
    return (
        "PixelData"
        if has_integers
        else _FLOAT_KEYWORDS.get(read_integer(attributes, "BitsAllocated") or 0, "PixelData")
    )


def _bits(attributes: Dataset, keyword: str, syntax: TransferSyntax) -> tuple[int, int, int]:
    """Return Bits Allocated, Bits Stored and High Bit (PS3.5 8.1.1).

    Today Bits Allocated is 1 or a multiple of 8, and in fact 8, 16 or 32. Older objects pack cells of 12
    bits, say, without a gap.
    """
    bits_allocated = read_integer(attributes, "BitsAllocated")
    if keyword != "PixelData":
        expected = {name: bits for bits, name in _FLOAT_KEYWORDS.items()}.get(keyword)
        if expected is None or bits_allocated not in (None, expected):
            raise UndecodablePixels(f"{keyword} does not go with {bits_allocated} bits allocated")
        return expected, expected, expected - 1
    is_packable = not (syntax.encapsulated or syntax.big_endian)
    allowed = range(1, 33) if is_packable else (1, 8, 16, 32)
    if bits_allocated is None or bits_allocated not in allowed:
        raise UndecodablePixels(f"{bits_allocated} bits allocated are not 1, 8, 16 or 32")
    bits_stored = read_integer(attributes, "BitsStored") or bits_allocated
    _in_range("BitsStored", bits_stored, 1, bits_allocated)
    high_bit = read_integer(attributes, "HighBit")
    if high_bit is None or not bits_stored - 1 <= high_bit < bits_allocated:
        # An impossible High Bit is a mistake of the device, not another layout of the pixel cell.
        high_bit = bits_stored - 1
    return bits_allocated, bits_stored, high_bit


def _flag(attributes: Dataset, keyword: str) -> int:
    return _in_range(keyword, read_integer(attributes, keyword) or 0, 0, 1)


def _number_of_frames(attributes: Dataset) -> int:
    # Zero and empty mean one: devices write both into single-frame objects.
    value = read_integer(attributes, "NumberOfFrames") or 1
    return _in_range("NumberOfFrames", value, 1, MAX_NUMBER_OF_FRAMES)


def _in_range(keyword: str, value: int, lowest: int, highest: int) -> int:
    if not lowest <= value <= highest:
        raise UndecodablePixels(f"{keyword} is {value}, not within {lowest} to {highest}")
    return value
