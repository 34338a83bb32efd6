"""Where the fragments of one frame lie in encapsulated pixel data (PS3.5 A.4)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import BinaryIO

from pydicom.dataset import Dataset

from pacs.errors import UndecodablePixels
from pacs.pixels.elements import read_value

# Bounds the walk through hostile objects; the largest slides have some 300,000 tiles, one fragment each.
MAX_FRAGMENTS = 1 << 19

_ITEM = 0xFFFEE000
_SEQUENCE_DELIMITER = 0xFFFEE0DD
_ITEM_HEADER = struct.Struct("<HHI")
_CODESTREAM_STARTS = (
    b"\xff\xd8\xff",  # JPEG and JPEG-LS: SOI and the next marker
    b"\xff\x4f\xff\x51",  # JPEG 2000: SOC and SIZ
    b"\x00\x00\x00\x0cjP  ",  # JPEG 2000 in a JP2 file, which some devices write
    b"\xff\x0a",  # JPEG XL
    b"\x00\x00\x00\x0cJXL ",
)


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of bytes of a stream."""

    offset: int
    size_bytes: int

    @property
    def end(self) -> int:
        """Offset of the first byte behind it."""
        return self.offset + self.size_bytes


class EncapsulatedPixelData:
    """A value of encapsulated pixel data in a stream, read by seeking from item to item.

    Parameters
    ----------
    stream
        A seekable binary stream.
    value_offset
        Offset of the Basic Offset Table's item in the stream.
    value_size_bytes
        Size of the value, None for undefined length.
    """

    def __init__(self, stream: BinaryIO, value_offset: int, value_size_bytes: int | None) -> None:
        self._stream = stream
        stream_end = stream.seek(0, os.SEEK_END)
        self._end = stream_end if value_size_bytes is None else value_offset + value_size_bytes
        if self._end > stream_end:
            raise UndecodablePixels("the object ends within its pixel data")
        self._is_delimited = value_size_bytes is None
        self._basic_offset_table = self._read_item(value_offset)
        self._first_item = self._basic_offset_table.end

    def locate_frame(self, frame_index: int, number_of_frames: int, attributes: Dataset) -> list[Extent]:
        """Find the fragments of a frame (0-based), in order.

        An offset table that points at something else than an item is not believed: the fragments still tell.

        Raises
        ------
        UndecodablePixels
            The fragments are damaged, or do not tell where the frame begins.
        """
        return (
            self._locate_by_extended_offset_table(frame_index, attributes)
            or self._locate_by_basic_offset_table(frame_index, number_of_frames)
            or self._locate_by_walking(frame_index, number_of_frames)
        )

    def _locate_by_extended_offset_table(self, frame_index: int, attributes: Dataset) -> list[Extent]:
        """One fragment per frame, with its size without padding (PS3.3 C.7.6.3.1.8)."""
        offset = _entry(attributes, "ExtendedOffsetTable", frame_index)
        size_bytes = _entry(attributes, "ExtendedOffsetTableLengths", frame_index)
        if offset is None or size_bytes is None:
            return []
        try:
            fragment = self._read_item(self._first_item + offset)
        except UndecodablePixels:
            return []
        return [Extent(fragment.offset, size_bytes)] if size_bytes <= fragment.size_bytes else []

    def _locate_by_basic_offset_table(self, frame_index: int, number_of_frames: int) -> list[Extent]:
        table = self._basic_offset_table
        number_of_entries = table.size_bytes // 4
        if number_of_entries < number_of_frames:
            return []
        # The entries of the frame before, of this one and of the next, as far as there are any.
        first, end = max(frame_index - 1, 0), min(frame_index + 2, number_of_entries)
        self._stream.seek(table.offset + 4 * first)
        entries = struct.unpack(f"<{end - first}I", self._read_exactly(4 * (end - first)))
        if any(next_entry <= entry for entry, next_entry in pairwise(entries)):
            return []
        start, *following = (self._first_item + entry for entry in entries[frame_index - first :])
        try:
            self._read_item(start)
        except UndecodablePixels:
            return []
        return self._gather(start, following[0] if following else None)

    def _gather(self, start: int, stop: int | None) -> list[Extent]:
        """Return the fragments from the item at ``start`` to the one at ``stop``, none if that is no item."""
        fragments: list[Extent] = []
        for fragment in self._walk(start):
            item_offset = fragment.offset - _ITEM_HEADER.size
            if stop is not None and item_offset >= stop:
                return fragments if item_offset == stop else []
            fragments.append(fragment)
        return fragments if stop is None else []

    def _locate_by_walking(self, frame_index: int, number_of_frames: int) -> list[Extent]:
        fragments = self._filled_fragments
        if number_of_frames == 1 and fragments:
            return fragments
        if len(fragments) == number_of_frames:
            return [fragments[frame_index]]
        if len(fragments) < number_of_frames:
            raise UndecodablePixels("there are fewer fragments than frames")
        starts = self._codestream_starts
        if len(starts) < number_of_frames or starts[0] != 0:
            raise UndecodablePixels("neither an offset table nor the fragments tell where frames begin")
        return fragments[starts[frame_index] : [*starts, len(fragments)][frame_index + 1]]

    def list_fragments(self) -> list[Extent]:
        """List all fragments that are not empty, in order.

        Raises
        ------
        UndecodablePixels
            The fragments are damaged.
        """
        return self._filled_fragments

    @cached_property
    def _filled_fragments(self) -> list[Extent]:
        """All fragments but empty ones, which belong to no frame; some devices end with one."""
        return [fragment for fragment in self._walk(self._first_item) if fragment.size_bytes]

    @cached_property
    def _codestream_starts(self) -> list[int]:
        fragments = enumerate(self._filled_fragments)
        return [index for index, fragment in fragments if self._starts_codestream(fragment)]

    def find_end(self) -> int:
        """Return the offset in the stream of the first byte behind the value.

        Raises
        ------
        UndecodablePixels
            The fragments are damaged.
        """
        if not self._is_delimited:
            return self._end
        *_, last = (self._basic_offset_table, *self._walk(self._first_item))
        return last.end + _ITEM_HEADER.size

    def _starts_codestream(self, fragment: Extent) -> bool:
        self._stream.seek(fragment.offset)
        return self._stream.read(min(fragment.size_bytes, 8)).startswith(_CODESTREAM_STARTS)

    def _walk(self, item_offset: int) -> Iterator[Extent]:
        """Iterate over the fragments from an item on up to the end of the sequence."""
        for _ in range(MAX_FRAGMENTS):
            if item_offset == self._end and not self._is_delimited:
                return
            tag, value = self._read_header(item_offset)
            if tag == _SEQUENCE_DELIMITER:
                return
            _require_item(tag)
            yield value
            item_offset = value.end
        raise UndecodablePixels(f"there are more than {MAX_FRAGMENTS} fragments")

    def _read_item(self, item_offset: int) -> Extent:
        tag, value = self._read_header(item_offset)
        _require_item(tag)
        return value

    def _read_header(self, item_offset: int) -> tuple[int, Extent]:
        """Return the tag at an offset and the extent of its value, which lies within the pixel data."""
        value_offset = item_offset + _ITEM_HEADER.size
        if value_offset > self._end:
            raise UndecodablePixels("the pixel data ends without a sequence delimiter")
        self._stream.seek(item_offset)
        group, element, size_bytes = _ITEM_HEADER.unpack(self._read_exactly(_ITEM_HEADER.size))
        value = Extent(value_offset, size_bytes)
        if value.end > self._end:
            raise UndecodablePixels("a fragment is longer than the pixel data")
        return group << 16 | element, value

    def _read_exactly(self, size_bytes: int) -> bytes:
        data = self._stream.read(size_bytes)
        if len(data) != size_bytes:
            raise UndecodablePixels("the object ends within its pixel data")
        return data


def _require_item(tag: int) -> None:
    if tag != _ITEM:
        raise UndecodablePixels(f"tag {tag:08X} stands where a fragment should begin")


def _entry(attributes: Dataset, keyword: str, index: int) -> int | None:
    """Return an entry of an offset table that is an attribute of its own, None where there is none."""
    table = read_value(attributes, keyword)
    if not isinstance(table, bytes) or len(table) < 8 * (index + 1):
        return None
    return int(struct.unpack_from("<Q", table, 8 * index)[0])
