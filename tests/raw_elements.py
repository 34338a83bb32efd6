"""Elements as bytes in Explicit VR Little Endian, lawful or not: what pydicom would refuse to write."""

from __future__ import annotations

import struct

UNDEFINED = 0xFFFFFFFF
ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Encode an element; ``length`` is what it claims, where that is not the truth."""
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    long_form = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return head + (struct.pack("<HI", 0, size) if long_form else struct.pack("<H", size)) + value


def item(value: bytes, length: int | None = None) -> bytes:
    """Encode an item; ``length`` is what it claims, where that is not the truth."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value
