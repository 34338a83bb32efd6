"""The head of a data element: tag, value representation and length (PS3.5 7.1)."""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

from pacs.errors import UnreadableInstance

Buffer: TypeAlias = bytes | bytearray | memoryview

LONG_FORM: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # PS3.5 Table 7.1-1
SHORT_FORM: Final = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # PS3.5 Table 7.1-2

UNDEFINED_LENGTH: Final = 0xFFFFFFFF


class ElementHeads:
    """Reads the heads of elements in one byte order, whatever their VR may be."""

    def __init__(self, byte_order: str) -> None:
        self._explicit = struct.Struct(byte_order + "HH2sH").unpack_from
        self._implicit = struct.Struct(byte_order + "HHI").unpack_from
        self._length = struct.Struct(byte_order + "I").unpack_from

    def read(self, view: Buffer, offset: int, end: int, implicit_vr: bool) -> tuple[int, bytes, int, int]:
        """Read one head: tag, VR (empty if implicit), length, and the offset where the value begins.

        A VR of two capitals that the Standard does not know is one of a later edition, and has the long form
        (PS3.5 7.1.2); anything else in its place is a mistake, and is taken to have the short one.

        Raises
        ------
        UnreadableInstance
            The head runs past ``end``.
        """
        if offset + 8 > end:
            raise UnreadableInstance("the data set ends inside an element")
        if implicit_vr:
            group, element, length = self._implicit(view, offset)
            return group << 16 | element, b"", length, offset + 8
        group, element, vr, length = self._explicit(view, offset)
        tag = group << 16 | element
        if group == 0xFFFE:
            return tag, b"", self._length(view, offset + 4)[0], offset + 8
        if vr in SHORT_FORM or (vr not in LONG_FORM and not is_vr(vr)):
            return tag, vr, length, offset + 8
        if offset + 12 > end:
            raise UnreadableInstance("the data set ends inside an element")
        return tag, vr, self._length(view, offset + 8)[0], offset + 12


LITTLE_ENDIAN: Final = ElementHeads("<")
BIG_ENDIAN: Final = ElementHeads(">")


def is_vr(text: bytes) -> bool:
    """Tell whether two bytes look like a VR, be it one that only later editions know."""
    return text.isalpha() and text.isupper()
