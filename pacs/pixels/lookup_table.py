"""Lookup tables as the Standard writes them (PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from pacs.errors import UndecodablePixels
from pacs.pixels.elements import read_texts, read_value

MAX_ENTRIES = 1 << 16


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A LUT Descriptor: how many entries, the value of the first, and their bits."""

    number_of_entries: int
    first_value: int
    bits_per_entry: int


@dataclass(frozen=True, eq=False, slots=True)
class LookupTable:
    """A table over integers; what lies outside gets the first or the last entry.

    ``entries`` is ``(number of entries,)`` uint16, the first one for ``first_value``.
    """

    first_value: int
    entries: npt.NDArray[np.uint16]
    bits_per_entry: int
    explanation: str = ""

    @property
    def highest_output(self) -> int:
        """The largest value that an entry of so many bits can have."""
        return (1 << self.bits_per_entry) - 1

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        """Map values of any shape; fractions are rounded, NaN gets the first entry."""
        indices = np.nan_to_num(np.rint(values - np.float64(self.first_value)), posinf=MAX_ENTRIES)
        mapped: npt.NDArray[np.uint16] = self.entries[
            np.clip(indices, 0, len(self.entries) - 1).astype(np.intp)
        ]
        return mapped


def read_descriptor(attributes: Dataset, keyword: str, is_signed: bool) -> Descriptor:
    """Read a descriptor; ``is_signed`` tells whether the values that it maps can be negative.

    Raises
    ------
    UndecodablePixels
        It does not have three values, or impossible bits.
    """
    value = read_value(attributes, keyword)
    try:
        number_of_entries, first_value, bits_per_entry = (int(each) for each in value)
    except (TypeError, ValueError) as error:
        raise UndecodablePixels(f"{keyword} does not have three values") from error
    if not 1 <= bits_per_entry <= 16:
        raise UndecodablePixels(f"{keyword} speaks of {bits_per_entry} bits an entry")
    # All three are US or SS as one, so each can come with the other one's sign (PS3.3 C.11.1.1).
    first_value &= 0xFFFF
    if is_signed and first_value > 0x7FFF:
        first_value -= 1 << 16
    return Descriptor(number_of_entries & 0xFFFF or MAX_ENTRIES, first_value, bits_per_entry)


def read_entries(
    attributes: Dataset, keyword: str, number_of_entries: int, big_endian: bool
) -> npt.NDArray[np.uint16]:
    """Read the data of a table, as words or, where there are only half the bytes, as bytes.

    Raises
    ------
    UndecodablePixels
        The data is absent or no such data.
    """
    value = read_value(attributes, keyword)
    if isinstance(value, bytes | bytearray):
        return unpack_entries(bytes(value), number_of_entries, big_endian)
    try:
        values = [int(each) for each in (value if isinstance(value, MultiValue | list) else [value])]
    except (TypeError, ValueError) as error:
        raise UndecodablePixels(f"{keyword} is no table") from error
    return np.array([each & 0xFFFF for each in values[:number_of_entries]], np.uint16)


def unpack_entries(data: bytes, number_of_entries: int, big_endian: bool) -> npt.NDArray[np.uint16]:
    """Unpack entries from bytes that are words, or packed in pairs where they are too few for that.

    Raises
    ------
    UndecodablePixels
        There are none.
    """
    is_packed = len(data) < 2 * number_of_entries and len(data) >= number_of_entries
    order = ">" if big_endian else "<"
    if is_packed and not big_endian:
        entries = np.frombuffer(data, "u1")
    elif is_packed:
        # Two entries in a big endian word: the first one is its low byte.
        entries = np.frombuffer(data[: len(data) // 2 * 2], "u2").byteswap().view("u1")
    else:
        entries = np.frombuffer(data[: len(data) // 2 * 2], f"{order}u2")
    if entries.size == 0:
        raise UndecodablePixels("a lookup table has no data")
    return entries[:number_of_entries].astype(np.uint16)


def read_lookup_table(item: Dataset, is_signed: bool, big_endian: bool) -> LookupTable:
    """Read the item of a Modality, VOI or Presentation LUT Sequence.

    Raises
    ------
    UndecodablePixels
        Descriptor or data are damaged.
    """
    descriptor = read_descriptor(item, "LUTDescriptor", is_signed)
    entries = read_entries(item, "LUTData", descriptor.number_of_entries, big_endian)
    # Devices are known to state fewer bits than their entries have.
    bits_per_entry = max(descriptor.bits_per_entry, int(entries.max()).bit_length())
    explanation = (read_texts(item, "LUTExplanation") or [""])[0]
    return LookupTable(descriptor.first_value, entries, bits_per_entry, explanation)
