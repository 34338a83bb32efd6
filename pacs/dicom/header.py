"""A bounded scan of an encoded data set up to its pixel data.

Every byte is hostile: nothing is read past the end, nesting and counts are capped, no recursion follows the
sender's structure, and a value is copied only if the archive wants it. It is written by hand because it is on
the path of every object, where a general parser costs twenty times as much.
"""

from __future__ import annotations

import struct
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pacs.dicom.transfer_syntaxes import TransferSyntax
from pacs.errors import UnreadableInstance

Buffer: TypeAlias = bytes | bytearray | memoryview

MAX_DEPTH: Final = 64
MAX_ELEMENTS: Final = 2_000_000
MAX_VALUE_SIZE_BYTES: Final = 64 * 1024
MAX_ITEMS: Final = 1_000
MAX_PADDING_SIZE_BYTES: Final = 64 * 1024

PIXEL_DATA_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})  # PS3.3 C.7.6.3, C.7.6.24

_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_ITEM_DELIMITER = 0xFFFEE00D
_SEQUENCE_DELIMITER = 0xFFFEE0DD
_SHORT_FORM = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # PS3.5 Table 7.1-2


@dataclass(frozen=True, slots=True)
class Elements:
    """The wanted elements of a data set or of a sequence item, still encoded, by tag."""

    values: dict[int, bytes] = field(default_factory=dict)
    sequences: dict[int, list[Elements]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PixelData:
    """Where the value of the pixel data element lies, counted from the first byte of the data set."""

    tag: int
    offset: int
    size_bytes: int | None  # None: encapsulated, a sequence of fragments


@dataclass(frozen=True, slots=True)
class Header:
    """What the scan found."""

    elements: Elements
    pixel_data: PixelData | None
    big_endian: bool


@dataclass(slots=True)
class _Scan:
    """The buffer under scan, how it is encoded, and what may still be spent on it."""

    view: Buffer
    end: int
    implicit_vr: bool
    byte_order: str
    wanted: Set[int]
    wanted_sequences: Set[int]
    whole: bool
    elements_left: int
    max_items: int

    def spend(self) -> None:
        self.elements_left -= 1
        if self.elements_left < 0:
            raise UnreadableInstance("the data set has too many elements")


def scan_header(
    view: Buffer,
    syntax: TransferSyntax,
    wanted: Set[int] = frozenset(),
    wanted_sequences: Set[int] = frozenset(),
    *,
    whole: bool = True,
    max_elements: int = MAX_ELEMENTS,
    max_items: int = MAX_ITEMS,
) -> Header:
    """Scan an encoded data set from its first byte to its pixel data, or to its end if it has none.

    Parameters
    ----------
    view
        The whole data set; a memory map will do. Inflated, if the syntax is deflated.
    wanted, wanted_sequences
        Tags of the elements to keep, at the top and, for the latter, of the sequences to enter.
    whole
        False where ``view`` is a beginning only: the pixel data may then end behind it.
    max_elements
        Elements and items to look at; what a sequence of known length holds is passed over uncounted.
    max_items
        Items of a wanted sequence to keep; what comes behind them is scanned and dropped.

    Raises
    ------
    UnreadableInstance
        An element, item or fragment runs past the end, a delimiter is missing, a cap is passed, or elements
        of group 0000 or 0002 stand in the data set.

    References
    ----------
    PS3.5 7.1, 7.5, A.4
    """
    scan = _Scan(
        view,
        len(view),
        _is_implicit(view, syntax),
        ">" if syntax.big_endian else "<",
        wanted,
        wanted_sequences,
        whole,
        max_elements,
        max_items,
    )
    elements, pixel_data, _ = _scan_elements(scan, 0, scan.end, scan.implicit_vr, 0)
    return Header(elements, pixel_data, syntax.big_endian)


def _is_implicit(view: Buffer, syntax: TransferSyntax) -> bool:
    """Tell how the elements are really written; some devices declare one VR encoding and send the other."""
    vr = bytes(view[4:6])
    if syntax.implicit_vr:
        return not (vr in _SHORT_FORM and len(view) >= 8 and view[6] | view[7] << 8 <= len(view))
    if syntax.big_endian:
        return False
    return len(vr) == 2 and not _is_vr(vr) and int.from_bytes(view[4:8], "little") <= len(view)


def _is_vr(text: bytes) -> bool:
    """Tell whether two bytes look like a VR, be it one that only later editions know."""
    return text.isalpha() and text.isupper()


def _read_element(scan: _Scan, offset: int, end: int, implicit_vr: bool) -> tuple[int, bytes, int, int]:
    """Read one element's header: tag, VR (empty if implicit), length and the offset of its value."""
    if offset + 8 > end:
        raise UnreadableInstance("the data set ends inside an element")
    group, element = struct.unpack_from(scan.byte_order + "HH", scan.view, offset)
    tag = group << 16 | element
    if implicit_vr or group == 0xFFFE:
        return tag, b"", struct.unpack_from(scan.byte_order + "I", scan.view, offset + 4)[0], offset + 8
    vr = bytes(scan.view[offset + 4 : offset + 6])
    if vr in _SHORT_FORM or not _is_vr(vr):
        return tag, vr, struct.unpack_from(scan.byte_order + "H", scan.view, offset + 6)[0], offset + 8
    if offset + 12 > end:
        raise UnreadableInstance("the data set ends inside an element")
    return tag, vr, struct.unpack_from(scan.byte_order + "I", scan.view, offset + 8)[0], offset + 12


def _scan_elements(
    scan: _Scan, offset: int, end: int | None, implicit_vr: bool, depth: int
) -> tuple[Elements, PixelData | None, int]:
    """Scan the elements of a data set (depth 0) or of an item; ``end`` None: until the item delimiter."""
    found = Elements()
    limit = scan.end if end is None else end
    while offset < limit:
        if depth == 0 and _is_padding(scan, offset):
            break
        scan.spend()
        tag, vr, length, start = _read_element(scan, offset, limit, implicit_vr)
        if tag == _ITEM_DELIMITER and depth > 0 and end is None:
            return found, None, start
        if depth == 0 and tag in PIXEL_DATA_TAGS:
            return found, _locate_pixel_data(scan, tag, length, start), start
        if tag >> 16 in (0x0000, 0x0002, 0xFFFE):
            raise UnreadableInstance(f"an element of group {tag >> 16:04X} stands where it must not")
        implicit_items = implicit_vr or vr == b"UN"  # PS3.5 6.2.2, note 5
        if tag in scan.wanted_sequences and vr in (b"SQ", b"UN", b""):
            found.sequences[tag], offset = _scan_items(scan, start, length, limit, implicit_items, depth)
            continue
        if length == _UNDEFINED:
            offset = _skip_undefined(scan, start, limit, implicit_items)
            continue
        offset = start + length
        if offset > limit:
            raise UnreadableInstance(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) runs past the end")
        if tag in scan.wanted and tag not in found.values:
            found.values[tag] = bytes(scan.view[start : min(offset, start + MAX_VALUE_SIZE_BYTES)])
    if end is None:
        raise UnreadableInstance("an item of undefined length has no delimiter")
    return found, None, offset


def _scan_items(
    scan: _Scan, offset: int, length: int, limit: int, implicit_vr: bool, depth: int
) -> tuple[list[Elements], int]:
    """Scan the items of a wanted sequence; these nest no deeper than the archive's own few sequences do."""
    if depth >= MAX_DEPTH:
        raise UnreadableInstance(f"sequences are nested more than {MAX_DEPTH} deep")
    end = limit if length == _UNDEFINED else offset + length
    if end > limit:
        raise UnreadableInstance("a sequence runs past the end of the data set")
    items: list[Elements] = []
    while offset < end:
        scan.spend()
        tag, _, item_length, start = _read_element(scan, offset, end, implicit_vr)
        if tag == _SEQUENCE_DELIMITER:
            return items, start
        if tag != _ITEM:
            raise UnreadableInstance("a sequence holds something else than items")
        item_end = None if item_length == _UNDEFINED else start + item_length
        if item_end is not None and item_end > end:
            raise UnreadableInstance("an item runs past the end of its sequence")
        item, _, offset = _scan_elements(scan, start, item_end, implicit_vr, depth + 1)
        if len(items) < scan.max_items:
            items.append(item)
    if length == _UNDEFINED:
        raise UnreadableInstance("a sequence of undefined length has no delimiter")
    return items, offset


def _is_padding(scan: _Scan, offset: int) -> bool:
    """Tell whether only zeros are left, as some devices write them behind the last element."""
    if any(scan.view[offset : offset + 4]) or scan.end - offset > MAX_PADDING_SIZE_BYTES:
        return False
    return not any(scan.view[offset : scan.end])


def _skip_undefined(scan: _Scan, offset: int, limit: int, implicit_vr: bool) -> int:
    """Pass over a value of undefined length, however deep, without recursion; return the offset behind it.

    It is a sequence, or fragments, whose items have a length. The stack tells of each open level whether it
    is a sequence (True) or an item, and whether its VRs are implicit.
    """
    stack: list[tuple[bool, bool]] = [(True, implicit_vr)]
    while stack:
        scan.spend()
        in_sequence, implicit = stack[-1]
        tag, vr, length, start = _read_element(scan, offset, limit, implicit)
        offset = start
        if in_sequence:
            if tag == _SEQUENCE_DELIMITER:
                stack.pop()
            elif tag != _ITEM:
                raise UnreadableInstance("a sequence holds something else than items")
            elif length == _UNDEFINED:
                stack.append((False, implicit))
            else:
                offset += length
        elif tag == _ITEM_DELIMITER:
            stack.pop()
        elif length == _UNDEFINED:
            stack.append((True, implicit or vr == b"UN"))
        else:
            offset += length
        if offset > limit:
            raise UnreadableInstance("a value of undefined length runs past the end of the data set")
        if len(stack) > 2 * MAX_DEPTH:
            raise UnreadableInstance(f"sequences are nested more than {MAX_DEPTH} deep")
    return offset


def _locate_pixel_data(scan: _Scan, tag: int, length: int, start: int) -> PixelData:
    if length != _UNDEFINED:
        if scan.whole and start + length > scan.end:
            raise UnreadableInstance("the pixel data is cut short")
        return PixelData(tag, start, length)
    offset = start
    while scan.whole and offset < scan.end:  # a missing delimiter behind a whole last fragment is tolerated
        scan.spend()
        item, _, item_length, value = _read_element(scan, offset, scan.end, implicit_vr=True)
        if item == _SEQUENCE_DELIMITER:
            break
        if item != _ITEM or value + item_length > scan.end:
            raise UnreadableInstance("the encapsulated pixel data is damaged or cut short")
        offset = value + item_length
    return PixelData(tag, start, None)
