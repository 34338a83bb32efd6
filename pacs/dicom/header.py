"""A bounded scan of an encoded data set up to its pixel data.

Every byte is hostile: nothing is read past the end, nesting and counts are capped, no recursion follows the
sender's structure, and a value is copied only if the archive wants it. It is written by hand because it is on
the path of every object, where a general parser costs twenty times as much. What is plain is passed over by
:mod:`pacs.dicom.plain_elements`; this module knows all the rest, and alone refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Final

from pacs.dicom.element_heads import (
    BIG_ENDIAN,
    LITTLE_ENDIAN,
    SHORT_FORM,
    UNDEFINED_LENGTH,
    Buffer,
    ElementHeads,
    is_vr,
)
from pacs.dicom.plain_elements import PassPlain, pass_plain_explicit, pass_plain_implicit
from pacs.dicom.transfer_syntaxes import TransferSyntax
from pacs.errors import UnreadableInstance

MAX_DEPTH: Final = 64
MAX_ELEMENTS: Final = 2_000_000
MAX_VALUE_SIZE_BYTES: Final = 64 * 1024
MAX_ITEMS: Final = 1_000  # kept, of all wanted sequences together
MEAN_ITEM_SIZE_BYTES: Final = 4 * 1024  # so much may be kept of every item, taken all together
MAX_PADDING_SIZE_BYTES: Final = 64 * 1024

PIXEL_DATA_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})  # PS3.3 C.7.6.3, C.7.6.24

_ITEM = 0xFFFEE000
_ITEM_DELIMITER = 0xFFFEE00D
_SEQUENCE_DELIMITER = 0xFFFEE0DD
_DETOUR_SIZE_BYTES = 64
_PASS_PLAIN: Mapping[bool, PassPlain] = {False: pass_plain_explicit, True: pass_plain_implicit}


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
    heads: ElementHeads
    pass_plain: Mapping[bool, PassPlain]  # by whether VRs are implicit
    wanted: Set[int]
    wanted_sequences: Set[int]
    whole: bool
    ends_at: int | None
    elements_left: int
    items_left: int
    item_values_left_bytes: int
    max_depth: int
    detour_end: int = 0  # before it, plain elements are not looked for

    def spend(self) -> None:
        self.elements_left -= 1
        if self.elements_left < 0:
            raise UnreadableInstance("the data set has too many elements")

    def copy_value(self, start: int, end: int, depth: int) -> bytes:
        value = bytes(self.view[start : min(end, start + MAX_VALUE_SIZE_BYTES)])
        if depth > 0:
            self.item_values_left_bytes -= len(value)
            if self.item_values_left_bytes < 0:
                raise UnreadableInstance("the items of the data set have too large values")
        return value


def scan_header(
    view: Buffer,
    syntax: TransferSyntax,
    wanted: Set[int] = frozenset(),
    wanted_sequences: Set[int] = frozenset(),
    *,
    whole: bool = True,
    ends_at: int | None = None,
    max_elements: int = MAX_ELEMENTS,
    max_items: int = MAX_ITEMS,
    max_depth: int = MAX_DEPTH,
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
    ends_at
        Tag of a long element at which the scan ends as it does at the pixel data, in place of which it is
        told.
    max_elements
        Elements and items to look at; what a sequence of known length holds is passed over uncounted.
    max_items
        Items to keep, of all wanted sequences together; what comes behind them is passed over.
    max_depth
        How deep sequences may be nested.

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
        BIG_ENDIAN if syntax.big_endian else LITTLE_ENDIAN,
        {} if syntax.big_endian else _PASS_PLAIN,
        wanted,
        wanted_sequences if ends_at is None else {*wanted_sequences, ends_at},
        whole,
        ends_at,
        max_elements,
        max_items,
        max_items * MEAN_ITEM_SIZE_BYTES,
        max_depth,
    )
    elements, pixel_data, _ = _scan_elements(scan, 0, scan.end, _is_implicit(view, syntax), 0)
    return Header(elements, pixel_data, syntax.big_endian)


def _is_implicit(view: Buffer, syntax: TransferSyntax) -> bool:
    """Tell how the elements are really written; some devices declare one VR encoding and send the other."""
    vr = bytes(view[4:6])
    if syntax.implicit_vr:
        return not (vr in SHORT_FORM and len(view) >= 8 and view[6] | view[7] << 8 <= len(view))
    if syntax.big_endian:
        return False
    return len(vr) == 2 and not is_vr(vr) and int.from_bytes(view[4:8], "little") <= len(view)


def _scan_elements(
    scan: _Scan, offset: int, end: int | None, implicit_vr: bool, depth: int
) -> tuple[Elements, PixelData | None, int]:
    """Scan the elements of a data set (depth 0) or of an item; ``end`` None: until the item delimiter."""
    found = Elements()
    limit = scan.end if end is None else end
    while offset < limit:
        if depth == 0:
            offset = _pass_plain(scan, offset, implicit_vr, found.values)
            if offset == limit or (scan.view[offset] == 0 and _is_padding(scan, offset)):
                break
        scan.spend()
        tag, vr, length, start = scan.heads.read(scan.view, offset, limit, implicit_vr)
        if tag == _ITEM_DELIMITER and depth > 0 and end is None:
            return found, None, start
        if depth == 0 and (tag in PIXEL_DATA_TAGS or tag == scan.ends_at):
            return found, _locate_pixel_data(scan, tag, length, start), start
        if tag >> 16 in (0x0000, 0x0002, 0xFFFE):
            raise UnreadableInstance(f"an element of group {tag >> 16:04X} stands where it must not")
        implicit_items = implicit_vr or vr == b"UN"  # PS3.5 6.2.2, note 5
        if tag in scan.wanted_sequences and vr in (b"SQ", b"UN", b""):
            found.sequences[tag], offset = _scan_items(scan, start, length, limit, implicit_items, depth)
            continue
        if length == UNDEFINED_LENGTH:
            offset = _skip_undefined(scan, start, limit, implicit_items)
            continue
        offset = start + length
        if offset > limit:
            raise UnreadableInstance(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) runs past the end")
        if tag in scan.wanted and tag not in found.values:
            found.values[tag] = scan.copy_value(start, offset, depth)
    if end is None:
        raise UnreadableInstance("an item of undefined length has no delimiter")
    return found, None, offset


def _pass_plain(scan: _Scan, offset: int, implicit_vr: bool, values: dict[int, bytes]) -> int:
    """Pass over the plain elements from ``offset`` on, the wanted ones being kept; return where they end."""
    pass_plain = scan.pass_plain.get(implicit_vr)
    if pass_plain is None or offset < scan.detour_end:
        return offset
    end, passed = pass_plain(
        scan.view, offset, scan.elements_left, scan.wanted, scan.wanted_sequences, values
    )
    scan.elements_left -= passed
    if not passed:  # a sender of many odd elements shall not have two attempts at each
        scan.detour_end = offset + _DETOUR_SIZE_BYTES
    return end


def _scan_items(
    scan: _Scan, offset: int, length: int, limit: int, implicit_vr: bool, depth: int
) -> tuple[list[Elements], int]:
    """Scan the items of a wanted sequence; these nest no deeper than the archive's own few sequences do."""
    if depth >= scan.max_depth:
        raise UnreadableInstance(f"sequences are nested more than {scan.max_depth} deep")
    end = limit if length == UNDEFINED_LENGTH else offset + length
    if end > limit:
        raise UnreadableInstance("a sequence runs past the end of the data set")
    items: list[Elements] = []
    while offset < end:
        scan.spend()
        tag, _, item_length, start = scan.heads.read(scan.view, offset, end, implicit_vr)
        if tag == _SEQUENCE_DELIMITER:
            return items, start
        if tag != _ITEM:
            raise UnreadableInstance("a sequence holds something else than items")
        item_end = None if item_length == UNDEFINED_LENGTH else start + item_length
        if item_end is not None and item_end > end:
            raise UnreadableInstance("an item runs past the end of its sequence")
        if item_end is not None and scan.items_left == 0:
            offset = item_end  # what is not kept is not entered
            continue
        item, _, offset = _scan_elements(scan, start, item_end, implicit_vr, depth + 1)
        if scan.items_left > 0:
            scan.items_left -= 1
            items.append(item)
    if length == UNDEFINED_LENGTH:
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
    read_head, view = scan.heads.read, scan.view
    while stack:
        scan.spend()
        in_sequence, implicit = stack[-1]
        tag, vr, length, start = read_head(view, offset, limit, implicit)
        offset = start
        if in_sequence:
            if tag == _SEQUENCE_DELIMITER:
                stack.pop()
            elif tag != _ITEM:
                raise UnreadableInstance("a sequence holds something else than items")
            elif length == UNDEFINED_LENGTH:
                stack.append((False, implicit))
            else:
                offset += length
        elif tag == _ITEM_DELIMITER:
            stack.pop()
        elif length == UNDEFINED_LENGTH:
            stack.append((True, implicit or vr == b"UN"))
        else:
            offset += length
        if offset > limit:
            raise UnreadableInstance("a value of undefined length runs past the end of the data set")
        if len(stack) > 2 * scan.max_depth:
            raise UnreadableInstance(f"sequences are nested more than {scan.max_depth} deep")
    return offset


def _locate_pixel_data(scan: _Scan, tag: int, length: int, start: int) -> PixelData:
    if length != UNDEFINED_LENGTH:
        if scan.whole and start + length > scan.end:
            raise UnreadableInstance("the pixel data is cut short")
        return PixelData(tag, start, length)
    offset = start
    while scan.whole and offset < scan.end:  # a missing delimiter behind a whole last fragment is tolerated
        scan.spend()
        item, _, item_length, value = scan.heads.read(scan.view, offset, scan.end, implicit_vr=True)
        if item == _SEQUENCE_DELIMITER:
            break
        if item != _ITEM or value + item_length > scan.end:
            raise UnreadableInstance("the encapsulated pixel data is damaged or cut short")
        offset = value + item_length
    return PixelData(tag, start, None)
