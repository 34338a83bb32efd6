"""Elements written one by one in the three native encodings (PS3.5 7.1). For small data sets of our own."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from pacs.dicom.transfer_syntaxes import TransferSyntax

_LONGEST_SHORT_VALUE: Final = 0xFFFE
_ITEM: Final = 0xFFFEE000
_NUMBERS: Final = {"US": "H", "UL": "I"}
_LONG_VRS: Final = frozenset({"UC"})  # of our texts; the others have a length of 16 bits (PS3.5 7.1.2)


class ElementEncoder:
    """Encodes elements of the VRs that answers have: texts, US, and sequences."""

    def __init__(self, syntax: TransferSyntax) -> None:
        order = ">" if syntax.big_endian else "<"
        self._implicit = syntax.implicit_vr
        self._implicit_head = struct.Struct(order + "HHI").pack
        self._short_head = struct.Struct(order + "HH2sH").pack
        self._long_head = struct.Struct(order + "HH2sxxI").pack
        self._numbers = {vr: struct.Struct(order + letter).pack for vr, letter in _NUMBERS.items()}

    def is_number(self, vr: str) -> bool:
        """Tell whether values of a VR are numbers in binary."""
        return vr in self._numbers

    def numbers(self, tag: int, vr: str, values: Iterable[int]) -> bytes:
        """Encode an element of binary numbers."""
        return self._element(tag, vr, b"".join(map(self._numbers[vr], values)))

    def text(self, tag: int, vr: str, value: bytes) -> bytes:
        """Encode an element of text, already in its character set; what is too long for its length is cut."""
        value = value[:_LONGEST_SHORT_VALUE]
        if len(value) % 2:
            value += b"\0" if vr == "UI" else b" "
        return self._element(tag, vr, value)

    def sequence(self, tag: int, items: Iterable[bytes]) -> bytes:
        """Encode a sequence of items that are encoded already, with defined lengths."""
        value = b"".join(self._implicit_head(_ITEM >> 16, _ITEM & 0xFFFF, len(item)) + item for item in items)
        if self._implicit:
            return self._implicit_head(tag >> 16, tag & 0xFFFF, len(value)) + value
        return self._long_head(tag >> 16, tag & 0xFFFF, b"SQ", len(value)) + value

    def _element(self, tag: int, vr: str, value: bytes) -> bytes:
        group, element = tag >> 16, tag & 0xFFFF
        if self._implicit:
            return self._implicit_head(group, element, len(value)) + value
        if vr in _LONG_VRS:
            return self._long_head(group, element, vr.encode("ascii"), len(value)) + value
        return self._short_head(group, element, vr.encode("ascii"), len(value)) + value
