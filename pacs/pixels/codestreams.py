"""What a codestream says of itself, read before a decoder sees it.

A decoder allocates by the codestream's own header, so that header is compared with the data set first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pacs.errors import UndecodablePixels

_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_JXL_SIGNATURE = b"\x00\x00\x00\x0cJXL "
_MAX_BOXES = 1000
_SOF_JPEG_LS = 0xF7
_SOF = frozenset({*range(0xC0, 0xD0), _SOF_JPEG_LS}) - {0xC4, 0xC8, 0xCC}  # those three are DHT, JPG and DAC
_SOS = 0xDA
_APP0, _APP14 = 0xE0, 0xEE
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xDA)})
_RGB_COMPONENT_IDS = (b"RGB", b"rgb")


@dataclass(frozen=True, slots=True)
class CodestreamHeader:
    """The shape of the image in a codestream.

    ``color_space`` is RGB or YBR where the codestream declares one, None where it leaves it to the data set.
    ``start`` is the offset of the codestream in what the header was read from, ``end_of_headers`` that of the
    first coded data of a JPEG. ``signed`` tells of the samples of a JPEG 2000; a JPEG does not say.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    precision: int
    color_space: str | None = None
    start: int = 0
    end_of_headers: int = 0
    signed: bool = False


def read_jpeg_header(data: bytes) -> CodestreamHeader:
    """Read the frame header of a JPEG or JPEG-LS codestream.

    Raises
    ------
    UndecodablePixels
        There is no such header.

    References
    ----------
    ISO/IEC 10918-1 B.2.2, ISO/IEC 14495-1 C.2.2
    """
    applications: dict[int, bytes] = {}
    header: CodestreamHeader | None = None
    for marker, start, end in jpeg_segments(data):
        if marker in (_APP0, _APP14):
            applications.setdefault(marker, data[start:end])
        elif marker in _SOF and header is None:
            header = _frame_header(data[start:end], applications)
        elif marker == _SOS and header is not None:
            return replace(header, end_of_headers=end)
    raise UndecodablePixels("the JPEG codestream has no frame header")


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Iterate over marker, start and end of the parameters, up to and with the first scan header."""
    if data[:2] != b"\xff\xd8":
        raise UndecodablePixels("the codestream is no JPEG")
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise UndecodablePixels("the JPEG codestream lacks a marker")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _WITHOUT_LENGTH:
            position += 2
        else:
            end = position + 2 + max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)
            if end > len(data):
                return
            yield marker, position + 4, end
            if marker == _SOS:
                return
            position = end


def _frame_header(parameters: bytes, applications: dict[int, bytes]) -> CodestreamHeader:
    if len(parameters) < 6 or len(parameters) < 6 + 3 * parameters[5]:
        raise UndecodablePixels("the JPEG frame header is cut short")
    precision, rows, columns, samples_per_pixel = struct.unpack_from(">BHHB", parameters)
    component_ids = parameters[6 : 6 + 3 * samples_per_pixel : 3]
    return CodestreamHeader(
        rows, columns, samples_per_pixel, precision, _declared_color_space(component_ids, applications)
    )


def _declared_color_space(component_ids: bytes, applications: dict[int, bytes]) -> str | None:
    """Return the colour space that a JPEG declares by any of the three customs (ISO/IEC 10918-5 and -6)."""
    if component_ids in _RGB_COMPONENT_IDS:
        return "RGB"
    if applications.get(_APP0, b"").startswith(b"JFIF\0"):
        return "YBR"
    adobe = applications.get(_APP14, b"")
    if adobe.startswith(b"Adobe") and len(adobe) >= 12:
        return {0: "RGB", 1: "YBR"}.get(adobe[11])
    return None


def read_jpeg_2000_header(data: bytes) -> CodestreamHeader:
    """Read the main header of a JPEG 2000 or HTJ2K codestream, in a JP2 file too.

    Raises
    ------
    UndecodablePixels
        There is no such header, or its components differ in size or depth.

    References
    ----------
    ISO/IEC 15444-1 A.5.1
    """
    start = _find_box(data, b"jp2c")[1] if data.startswith(_JP2_SIGNATURE) else 0
    if data[start : start + 4] != b"\xff\x4f\xff\x51" or len(data) < start + 42:
        raise UndecodablePixels("the codestream is no JPEG 2000")
    width, height, x_offset, y_offset = struct.unpack_from(">4I", data, start + 8)
    samples_per_pixel = int.from_bytes(data[start + 40 : start + 42], "big")
    components = data[start + 42 : start + 42 + 3 * samples_per_pixel]
    depths, separations = set(components[::3]), set(components[1::3]) | set(components[2::3])
    if len(components) != 3 * samples_per_pixel or len(depths) != 1 or separations != {1}:
        raise UndecodablePixels("the components of the JPEG 2000 codestream differ")
    depth = depths.pop()
    return CodestreamHeader(
        rows=height - y_offset,
        columns=width - x_offset,
        samples_per_pixel=samples_per_pixel,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        start=start,
    )


def read_jpeg_xl_size(data: bytes) -> tuple[int, int]:
    """Read rows and columns from a JPEG XL codestream, bare or in boxes.

    Raises
    ------
    UndecodablePixels
        There is no such header.

    References
    ----------
    ISO/IEC 18181-1 D.2 (SizeHeader), ISO/IEC 18181-2 (boxes)
    """
    start = 0
    if data.startswith(_JXL_SIGNATURE):
        box_type, start = _find_box(data, b"jxlc", b"jxlp")
        start += 4 if box_type == b"jxlp" else 0  # a partial codestream begins with its number
    if data[start : start + 2] != b"\xff\x0a" or len(data) < start + 11:
        raise UndecodablePixels("the codestream is no JPEG XL")
    return _BitReader(data[start + 2 : start + 11]).read_size_header()


class _BitReader:
    """Reads the variable-length fields of a JPEG XL header, lowest bit first."""

    _RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # columns : rows

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")

    def _read(self, number_of_bits: int) -> int:
        value = self._bits & ((1 << number_of_bits) - 1)
        self._bits >>= number_of_bits
        return value

    def _read_dimension(self, is_small: bool) -> int:
        if is_small:
            return 8 * (self._read(5) + 1)
        return self._read((9, 13, 18, 30)[self._read(2)]) + 1

    def read_size_header(self) -> tuple[int, int]:
        is_small = bool(self._read(1))
        rows = self._read_dimension(is_small)
        ratio = self._read(3)
        if ratio:
            numerator, denominator = self._RATIOS[ratio - 1]
            return rows, rows * numerator // denominator
        return rows, self._read_dimension(is_small)


def _find_box(data: bytes, *types: bytes) -> tuple[bytes, int]:
    """Return type and offset of the contents of the first box of one of the types (ISO/IEC 15444-1 I.4)."""
    position = 0
    for _ in range(_MAX_BOXES):
        if position + 16 > len(data):
            break
        size_bytes, box_type = struct.unpack_from(">I4s", data, position)
        header_size_bytes = 8
        if size_bytes == 1:
            header_size_bytes, size_bytes = 16, struct.unpack_from(">Q", data, position + 8)[0]
        if box_type in types:
            return box_type, position + header_size_bytes
        if size_bytes < header_size_bytes:
            break
        position += size_bytes
    raise UndecodablePixels("the file has no codestream in its boxes")
