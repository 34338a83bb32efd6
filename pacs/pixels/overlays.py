"""Overlay planes: bitmaps over an image, beside its pixels or in their unused bits (PS3.3 C.9.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pacs.errors import UndecodablePixels
from pacs.pixels.description import PixelDescription
from pacs.pixels.elements import read_integer, read_value

OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
_MAX_BITS = 1 << 26  # ten times the largest image of a detector
_ROWS, _COLUMNS, _FRAMES, _ORIGIN, _FIRST_FRAME = 0x0010, 0x0011, 0x0015, 0x0050, 0x0051
_BIT_POSITION, _DATA = 0x0102, 0x3000
_ROWS_BY_GROUP = {group: BaseTag(group << 16 | _ROWS) for group in OVERLAY_GROUPS}


@dataclass(frozen=True, eq=False, slots=True)
class Overlay:
    """An overlay plane of a frame.

    ``bits`` is ``(rows, columns)`` bool; its first pixel lies over row ``top`` and column ``left`` of the
    image, counted from 0, which may be negative.
    """

    group: int
    top: int
    left: int
    bits: npt.NDArray[np.bool_]

    def spread(self, rows: int, columns: int) -> npt.NDArray[np.bool_]:
        """Lay the plane over an image of ``(rows, columns)``."""
        plane = np.zeros((rows, columns), np.bool_)
        top, left = max(self.top, 0), max(self.left, 0)
        bits = self.bits[max(-self.top, 0) :, max(-self.left, 0) :][
            : max(rows - top, 0), : max(columns - left, 0)
        ]
        plane[top : top + bits.shape[0], left : left + bits.shape[1]] = bits
        return plane


def has_overlays(attributes: Dataset) -> bool:
    """Tell whether a data set speaks of any overlay plane, be it one that cannot be shown."""
    return any(rows in attributes for rows in _ROWS_BY_GROUP.values())


def read_overlays(
    attributes: Dataset,
    frame_index: int,
    description: PixelDescription,
    encoded_frame: bytes | None = None,
) -> Iterator[Overlay]:
    """Read the overlay planes of a frame (0-based), of all groups that there are.

    Parameters
    ----------
    attributes
        Of the image, or of a presentation state that brings its own planes.
    description
        Of the image.
    encoded_frame
        The frame as it is stored, for planes in unused bits of native pixels; no codec keeps these.

    Notes
    -----
    A plane without a number of frames lies over all frames of the image. One that is damaged, or larger than
    any detector, is left out.

    References
    ----------
    PS3.3 C.9.2, C.9.3; PS3.5 8.1.2
    """
    for group, rows in _ROWS_BY_GROUP.items():
        if rows not in attributes:
            continue
        try:
            overlay = _read_overlay(attributes, group, frame_index, description, encoded_frame)
        except UndecodablePixels:
            continue
        if overlay is not None:
            yield overlay


def _read_overlay(
    attributes: Dataset,
    group: int,
    frame_index: int,
    description: PixelDescription,
    encoded_frame: bytes | None,
) -> Overlay | None:
    rows, columns = (_integer(attributes, group, element, 0) for element in (_ROWS, _COLUMNS))
    if rows < 1 or columns < 1 or rows * columns > _MAX_BITS:
        return None
    data = read_value(attributes, group << 16 | _DATA)
    if isinstance(data, bytes):
        place = _place_of_frame(attributes, group, frame_index)
        is_swapped = description.transfer_syntax.big_endian and attributes[group, _DATA].VR == "OW"
        bits = None if place is None else _unpack(data, place * rows * columns, rows, columns, is_swapped)
    else:
        bits = _read_embedded(attributes, group, rows, columns, description, encoded_frame)
    if bits is None:
        return None
    top, left = _origin(attributes, group)
    return Overlay(group, top, left, bits)


def _place_of_frame(attributes: Dataset, group: int, frame_index: int) -> int | None:
    """Return which of the plane's frames lies over a frame of the image, None where none does."""
    if (group, _FRAMES) not in attributes:
        return 0
    place = frame_index - _integer(attributes, group, _FIRST_FRAME, 1) + 1
    return place if 0 <= place < _integer(attributes, group, _FRAMES, 1) else None


def _unpack(
    data: bytes, first_bit: int, rows: int, columns: int, is_swapped: bool
) -> npt.NDArray[np.bool_] | None:
    number_of_bits = rows * columns
    if first_bit + number_of_bits > 8 * len(data):
        return None
    packed = np.frombuffer(data[: len(data) // 2 * 2], "u2").byteswap().view("u1") if is_swapped else data
    first_byte, skipped = divmod(first_bit, 8)
    needed = np.frombuffer(packed, "u1")[first_byte : first_byte + (skipped + number_of_bits + 7) // 8]
    bits = np.unpackbits(needed, bitorder="little")[skipped : skipped + number_of_bits]
    return bits.reshape(rows, columns).astype(np.bool_)


def _read_embedded(
    attributes: Dataset,
    group: int,
    rows: int,
    columns: int,
    description: PixelDescription,
    encoded_frame: bytes | None,
) -> npt.NDArray[np.bool_] | None:
    position = _integer(attributes, group, _BIT_POSITION, 0)
    lowest = description.high_bit + 1 - description.bits_stored
    is_unused = 0 <= position < description.bits_allocated and not lowest <= position <= description.high_bit
    is_plain = not (description.transfer_syntax.encapsulated or description.is_packed)
    is_integer = description.keyword == "PixelData"
    if encoded_frame is None or not (
        is_unused and is_plain and is_integer and description.samples_per_pixel == 1
    ):
        return None
    if (rows, columns) != (description.rows, description.columns):
        return None
    order = ">" if description.transfer_syntax.big_endian else "<"
    cells = np.frombuffer(encoded_frame, f"{order}u{description.bits_allocated // 8}", rows * columns)
    return np.asarray((cells >> position) & 1).astype(np.bool_).reshape(rows, columns)


def _origin(attributes: Dataset, group: int) -> tuple[int, int]:
    value = read_value(attributes, group << 16 | _ORIGIN)
    try:
        row, column = (int(each) for each in value)
    except (TypeError, ValueError):
        return 0, 0
    return row - 1, column - 1


def _integer(attributes: Dataset, group: int, element: int, default: int) -> int:
    value = read_integer(attributes, group << 16 | element)
    return default if value is None else value
