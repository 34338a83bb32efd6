"""Palettes of PALETTE COLOR images, plain and segmented (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.description import PixelDescription
from pacs.pixels.elements import read_value
from pacs.pixels.lookup_table import MAX_ENTRIES, Descriptor, read_descriptor, read_entries

_COLORS = ("Red", "Green", "Blue")
_PIXELS_AT_ONCE = 1 << 16  # of eight bytes meanwhile
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


@dataclass(frozen=True, eq=False, slots=True)
class Palette:
    """Colours by stored value; ``colors`` is ``(number of entries, 3)`` uint8."""

    first_value: int
    colors: npt.NDArray[np.uint8]

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Look up ``(rows, columns)`` stored values; outside of the palette the nearest colour is used."""
        source = values.reshape(-1)
        out = np.empty((source.size, 3), np.uint8)
        for start in range(0, source.size, _PIXELS_AT_ONCE):
            block = slice(start, start + _PIXELS_AT_ONCE)
            places = source[block].astype(np.int64) - self.first_value
            out[block] = self.colors[np.clip(places, 0, len(self.colors) - 1)]
        return out.reshape(*values.shape, 3)


def read_palette(attributes: Dataset, description: PixelDescription) -> Palette:
    """Read the palette of an image.

    Raises
    ------
    PixelsUnavailable
        The data set has no palette.
    UndecodablePixels
        The palette is damaged.
    """
    descriptors = [_descriptor(attributes, color, description.is_signed) for color in _COLORS]
    columns = [
        _to_8_bits(_read_color(attributes, color, descriptor, description), descriptor)
        for color, descriptor in zip(_COLORS, descriptors, strict=True)
    ]
    length = max(len(column) for column in columns)
    full = [np.pad(column, (0, length - len(column)), mode="edge") for column in columns]
    return Palette(descriptors[0].first_value, np.stack(full, axis=-1))


def _descriptor(attributes: Dataset, color: str, is_signed: bool) -> Descriptor:
    keyword = f"{color}PaletteColorLookupTableDescriptor"
    if read_value(attributes, keyword) is None:
        raise PixelsUnavailable(f"there is no {keyword}, so no colour")
    return read_descriptor(attributes, keyword, is_signed)


def _read_color(
    attributes: Dataset, color: str, descriptor: Descriptor, description: PixelDescription
) -> npt.NDArray[np.uint16]:
    big_endian = description.transfer_syntax.big_endian
    plain, segmented = (f"{prefix}{color}PaletteColorLookupTableData" for prefix in ("", "Segmented"))
    if read_value(attributes, plain) is not None:
        return read_entries(attributes, plain, descriptor.number_of_entries, big_endian)
    value = read_value(attributes, segmented)
    if not isinstance(value, bytes):
        raise PixelsUnavailable(f"there is no {plain}, so no colour")
    if descriptor.bits_per_entry <= 8 and not big_endian:
        segments = np.frombuffer(value, "u1")
    else:
        segments = np.frombuffer(value[: len(value) // 2 * 2], ">u2" if big_endian else "<u2")
    return expand_segments(segments, descriptor.number_of_entries)


def _to_8_bits(entries: npt.NDArray[np.uint16], descriptor: Descriptor) -> npt.NDArray[np.uint8]:
    # Some devices describe 16 bits and write eight; a real palette of 16 bits that dark would be all black.
    if descriptor.bits_per_entry <= 8 or entries.max() < 256:
        return entries.astype(np.uint8)
    return (entries >> (descriptor.bits_per_entry - 8)).astype(np.uint8)


def expand_segments(segments: npt.NDArray[Any], number_of_entries: int) -> npt.NDArray[np.uint16]:
    """Expand segmented palette data (PS3.3 C.7.9.2).

    Parameters
    ----------
    segments
        The data as numbers of one or two bytes: operation, length and operands of each segment in turn. The
        offset of an indirect segment counts bytes and takes four of them, the low ones first.
    number_of_entries
        How many entries the descriptor speaks of; the expansion stops there.

    Raises
    ------
    UndecodablePixels
        A segment is cut short, unknown, or points outside of the data.
    """
    numbers: list[int] = segments.tolist()
    offset_unit = segments.dtype.itemsize
    entries: list[int] = []
    limit = min(number_of_entries, MAX_ENTRIES)
    _expand(numbers, 0, len(numbers), limit, entries, offset_unit=offset_unit)
    if not entries:
        raise UndecodablePixels("a segmented palette is empty")
    return np.array(entries[:limit], np.uint16)


def _expand(
    numbers: list[int],
    position: int,
    number_of_segments: int,
    limit: int,
    entries: list[int],
    offset_unit: int | None,
) -> None:
    """Append the entries of segments from ``position`` on; without ``offset_unit`` they must not refer."""
    for _ in range(number_of_segments):
        if position + 2 >= len(numbers) or len(entries) >= limit:  # what is left may be padding
            return
        operation, length = numbers[position : position + 2]
        if operation == _DISCRETE and length:
            entries.extend(numbers[position + 2 : position + 2 + length])
            position += 2 + length
        elif operation == _LINEAR and entries and length:
            steps = np.linspace(entries[-1], numbers[position + 2], length + 1)[1:]
            entries.extend(int(each) for each in np.rint(steps))
            position += 3
        elif operation == _INDIRECT and offset_unit is not None:
            operands = numbers[position + 2 : position + 2 + 4 // offset_unit]
            offset = sum(each << (8 * offset_unit * place) for place, each in enumerate(operands))
            _expand(numbers, offset // offset_unit, length, limit, entries, offset_unit=None)
            position += 2 + len(operands)
        else:
            raise UndecodablePixels("a segmented palette has an impossible segment")
