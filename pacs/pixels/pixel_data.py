"""The pixel data element, written piece by piece as Explicit VR Little Endian (PS3.5 A.2, A.4)."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from itertools import accumulate
from types import TracebackType
from typing import Final, Self

import numpy as np
from pydicom.dataset import Dataset

from pacs.dicom.element_heads import UNDEFINED_LENGTH
from pacs.dicom.explicit_vr import SEQUENCE_DELIMITER, encode_head
from pacs.pixels.description import PixelDescription
from storage.os_errors import os_errors_translated

PIXEL_DATA: Final = 0x7FE00010
_MAX_BASIC_OFFSET: Final = 0xFFFFFFFF


def write_encapsulated(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Write encoded frames, one fragment each, behind an empty Basic Offset Table.

    The table would have to be there before the frames are made; who reads needs none where every frame has
    one fragment (PS3.5 A.4).
    """
    head = encode_head(PIXEL_DATA, "OB", UNDEFINED_LENGTH) + _item_head(0)
    for frame in frames:
        padding = len(frame) % 2
        yield head + _item_head(len(frame) + padding) + frame + bytes(padding)
        head = b""
    yield head + SEQUENCE_DELIMITER


class SpooledFrames:
    """Encoded frames that wait in a file without a name, as an offset table has to come before them.

    Raises
    ------
    storage.errors.StoreFull, storage.errors.StoreUnavailable
        The file cannot be written, or not be read again.
    """

    def __init__(self, frames: Iterable[bytes]) -> None:
        self._sizes: list[int] = []
        with os_errors_translated("temporary"):
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        try:
            for frame in frames:
                self._sizes.append(len(frame))
                with os_errors_translated("temporary"):
                    self._file.write(frame)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def _offsets(self) -> list[int]:
        """Where the item of each frame begins, counted from the first one."""
        sizes = (8 + size + size % 2 for size in self._sizes)
        return [0, *accumulate(sizes)][: len(self._sizes)]

    def describe(self, attributes: Dataset) -> None:
        """Put an Extended Offset Table into a data set, where a basic one cannot hold the offsets.

        References
        ----------
        PS3.3 C.7.6.3.1.8
        """
        if self._offsets[-1] > _MAX_BASIC_OFFSET:
            attributes.ExtendedOffsetTable = struct.pack(f"<{len(self._sizes)}Q", *self._offsets)
            attributes.ExtendedOffsetTableLengths = struct.pack(f"<{len(self._sizes)}Q", *self._sizes)

    def write(self) -> Iterator[bytes]:
        """Write the pixel data element: one fragment for each frame, behind a table of their offsets.

        References
        ----------
        PS3.5 A.4
        """
        offsets = self._offsets
        table = struct.pack(f"<{len(offsets)}I", *offsets) if offsets[-1] <= _MAX_BASIC_OFFSET else b""
        yield encode_head(PIXEL_DATA, "OB", UNDEFINED_LENGTH) + _item_head(len(table)) + table
        with os_errors_translated("temporary"):
            self._file.seek(0)
        for size in self._sizes:
            with os_errors_translated("temporary"):
                frame = self._file.read(size)
            yield _item_head(size + size % 2) + frame + bytes(size % 2)
        yield SEQUENCE_DELIMITER


def write_native(frames: Iterable[bytes], description: PixelDescription) -> Iterator[bytes]:
    """Write native frames one behind the other.

    Parameters
    ----------
    frames
        As :func:`~pacs.pixels.transcode.encode_native` returns them.
    description
        What the frames are.
    """
    bits = description.samples_per_frame * description.bits_allocated * description.number_of_frames
    vr = "OW" if description.bits_allocated > 8 else "OB"
    head = encode_head(PIXEL_DATA, vr, -(-bits // 16) * 2)
    for piece in join_native(frames, description):
        yield head + piece
        head = b""


def join_native(frames: Iterable[bytes], description: PixelDescription) -> Iterator[bytes]:
    """Join native frames to the value of the pixel data; those of single bits do not begin on bytes.

    References
    ----------
    PS3.5 8.1.1
    """
    bits = description.samples_per_frame * description.bits_allocated
    size_bytes = 0
    for piece in frames if bits % 8 == 0 else _join_bits(frames, bits):
        size_bytes += len(piece)
        yield piece
    yield bytes(size_bytes % 2)


def _item_head(length: int) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, length)


def _join_bits(frames: Iterable[bytes], bits: int) -> Iterator[bytes]:
    """Join frames of a number of bits that fills no bytes; the first pixel is the lowest bit."""
    left = np.empty(0, np.uint8)
    for frame in frames:
        own = np.unpackbits(np.frombuffer(frame, np.uint8), count=bits, bitorder="little")
        joined = np.concatenate((left, own))
        whole = len(joined) // 8 * 8
        left = joined[whole:]
        yield np.packbits(joined[:whole], bitorder="little").tobytes()
    yield np.packbits(left, bitorder="little").tobytes()
