"""Which transfer syntax a codestream is of, where its sender has given its media type only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pacs.errors import UndecodablePixels, UnsupportedTransferSyntax
from pacs.pixels.codestreams import jpeg_segments, read_jpeg_2000_header

_JPEG = {0xC0: "50", 0xC1: "51", 0xC3: "57"}  # by the marker of the frame: baseline, extended, lossless
_SOS, _SOF_JPEG_LS = 0xDA, 0xF7
_FIRST_ORDER_PREDICTION = 1
_COD = b"\xff\x52"
_MAX_MAIN_HEADER_SIZE_BYTES = 64 * 1024
_ONE_FOR_ALL = {"image/dicom-rle": "1.2.840.10008.1.2.5", "image/x-dicom-rle": "1.2.840.10008.1.2.5"}
_PREFIX = "1.2.840.10008.1.2.4."


def find_transfer_syntax(media_type: str, beginning: bytes) -> str:
    """Find the transfer syntax of a codestream by its media type and its headers.

    Parameters
    ----------
    media_type
        In lower case.
    beginning
        The first bytes of the codestream; 64 KiB are enough for any.

    Raises
    ------
    UnsupportedTransferSyntax
        It cannot be told, or is none of the Standard: the sender has to name it.

    References
    ----------
    PS3.18 8.7.3.3.2, Tables 8.7.3-5 and 8.7.3-6
    """
    if media_type in _ONE_FOR_ALL:
        return _ONE_FOR_ALL[media_type]
    find = _FINDERS.get(media_type)
    if find is None:
        raise UnsupportedTransferSyntax("the media type of the pixel data does not tell a transfer syntax")
    try:
        return _PREFIX + find(beginning)
    except UndecodablePixels as error:
        raise UnsupportedTransferSyntax("the pixel data is not of its media type") from error


def _find_jpeg(beginning: bytes) -> str:
    process = ""
    for marker, _, end in jpeg_segments(beginning):
        process = _JPEG.get(marker, process)
        if marker == _SOS and process:
            is_first_order = process == "57" and beginning[end - 3] == _FIRST_ORDER_PREDICTION
            return "70" if is_first_order else process
    raise UndecodablePixels("no process of JPEG that DICOM has")


def _find_jpeg_ls(beginning: bytes) -> str:
    found = {marker: (start, end) for marker, start, end in jpeg_segments(beginning)}
    if _SOF_JPEG_LS not in found or _SOS not in found:
        raise UndecodablePixels("the codestream is no JPEG-LS")
    near = beginning[found[_SOS][1] - 3]
    return "81" if near else "80"


def is_reversible(beginning: bytes) -> bool:
    """Tell whether a JPEG 2000 codestream has the reversible wavelet (ISO/IEC 15444-1 A.6.1)."""
    cod = _coding_style(beginning)
    return cod[11] == 1


def has_component_transform(beginning: bytes) -> bool:
    """Tell whether a JPEG 2000 codestream has transformed components (ISO/IEC 15444-1 A.6.1)."""
    return _coding_style(beginning)[6] == 1


def _coding_style(beginning: bytes) -> bytes:
    """Return the COD segment behind its marker: length, style, progression, layers, transform, levels ..."""
    start = read_jpeg_2000_header(beginning).start
    found = beginning.find(_COD, start, start + _MAX_MAIN_HEADER_SIZE_BYTES)
    if found < 0 or len(beginning) < found + 14:
        raise UndecodablePixels("the JPEG 2000 codestream has no coding style")
    return beginning[found + 2 : found + 14]


_FINDERS: Mapping[str, Callable[[bytes], str]] = {
    "image/jpeg": _find_jpeg,
    "image/jls": _find_jpeg_ls,
    "image/x-jls": _find_jpeg_ls,
    "image/jp2": lambda beginning: "90" if is_reversible(beginning) else "91",
    "image/jphc": lambda beginning: "201" if is_reversible(beginning) else "203",
    "video/mpeg": lambda _: "100",
    "video/mpeg2": lambda _: "100",
    "video/mp4": lambda _: "102",
}
