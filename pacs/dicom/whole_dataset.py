"""Reading a small data set whole, as the DICOM JSON Model: every element, at every depth, bounded.

For what a device says of its work, which is kept as it was said. Every byte is hostile: nothing is read past
the end, and depth and number of elements are capped, so that recursion is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pydicom._dicom_dict import DicomDictionary

from pacs.dicom.dataset_json import value_to_json
from pacs.dicom.element_heads import BIG_ENDIAN, LITTLE_ENDIAN, UNDEFINED_LENGTH, ElementHeads, is_vr
from pacs.dicom.header import PIXEL_DATA_TAGS
from pacs.dicom.json_model import SPECIFIC_CHARACTER_SET, JsonDataset, element, sequence
from pacs.dicom.text import TextDecoder, text_decoder
from pacs.dicom.transfer_syntaxes import TransferSyntax
from pacs.errors import UnreadableInstance

MAX_DEPTH: Final = 16
MAX_ELEMENTS: Final = 200_000  # and items

_ITEM: Final = 0xFFFEE000
_ITEM_DELIMITER: Final = 0xFFFEE00D
_SEQUENCE_DELIMITER: Final = 0xFFFEE0DD
_CHARACTER_SET_TAG: Final = 0x00080005
_AMBIGUOUS: Final = {"US or SS": "US", "OB or OW": "OW", "US or OW": "US", "US or SS or OW": "US"}

_Items: TypeAlias = "list[_Elements]"
_Elements: TypeAlias = "dict[int, tuple[str, bytes | _Items]]"  # VR and value, by tag


def read_whole_dataset(data: bytes, syntax: TransferSyntax, undeclared_character_set: str) -> JsonDataset:
    """Read a data set.

    Parameters
    ----------
    syntax
        A native one.
    undeclared_character_set
        A Python codec, for bytes above 127 that are not UTF-8 where no character set is declared.

    Returns
    -------
    dict
        Elements by tag in ascending order, text as Unicode: Specific Character Set is ISO_IR 192. Group
        lengths are left out, and binary values longer than 1 KiB are empty.

    Raises
    ------
    UnreadableInstance
        It breaks the rules of encoding, is nested more than 16 deep, or has more than 200,000 elements.

    References
    ----------
    PS3.5 7.1, 7.5; PS3.18 F.2
    """
    reading = _Reading(data, BIG_ENDIAN if syntax.big_endian else LITTLE_ENDIAN)
    elements, _ = reading.elements(0, len(data), syntax.implicit_vr, 0)
    writing = _Writing(undeclared_character_set, syntax.big_endian)
    written = writing.dataset(elements, text_decoder(b"", undeclared_character_set))
    written[SPECIFIC_CHARACTER_SET] = element("CS", "ISO_IR 192")
    return dict(sorted(written.items()))


@dataclass(slots=True)
class _Reading:
    """The encoded data set, and what may still be spent on it."""

    data: bytes
    heads: ElementHeads
    left: int = field(default=MAX_ELEMENTS)

    def elements(self, offset: int, end: int | None, implicit_vr: bool, depth: int) -> tuple[_Elements, int]:
        """Read the elements of a data set or item; ``end`` None: until the item delimiter."""
        if depth > MAX_DEPTH:
            raise UnreadableInstance(f"sequences are nested more than {MAX_DEPTH} deep")
        found: _Elements = {}
        limit = len(self.data) if end is None else end
        while offset < limit:
            tag, vr, length, offset = self._head(offset, limit, implicit_vr)
            if tag == _ITEM_DELIMITER and end is None:
                return found, offset
            if tag >> 16 in (0x0000, 0x0002, 0xFFFE) or tag in PIXEL_DATA_TAGS:
                raise UnreadableInstance(f"an element of group {tag >> 16:04X} stands where it must not")
            name = _vr_of(tag, vr, length)
            value: bytes | _Items
            if name == "SQ":
                implicit_items = implicit_vr or vr == b"UN"  # PS3.5 6.2.2, note 5
                value, offset = self._items(offset, length, limit, implicit_items, depth)
            else:
                value, offset = self._value(tag, offset, length, limit)
            if tag & 0xFFFF:
                found.setdefault(tag, (name, value))
        if end is None:
            raise UnreadableInstance("an item of undefined length has no delimiter")
        return found, offset

    def _head(self, offset: int, limit: int, implicit_vr: bool) -> tuple[int, bytes, int, int]:
        self.left -= 1
        if self.left < 0:
            raise UnreadableInstance("the data set has too many elements")
        return self.heads.read(self.data, offset, limit, implicit_vr)

    def _value(self, tag: int, offset: int, length: int, limit: int) -> tuple[bytes, int]:
        end = offset + length
        if end > limit:
            raise UnreadableInstance(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) runs past the end")
        return self.data[offset:end], end

    def _items(
        self, offset: int, length: int, limit: int, implicit_vr: bool, depth: int
    ) -> tuple[_Items, int]:
        end = limit if length == UNDEFINED_LENGTH else offset + length
        if end > limit:
            raise UnreadableInstance("a sequence runs past the end of the data set")
        items: _Items = []
        while offset < end:
            tag, _, item_length, offset = self._head(offset, end, implicit_vr)
            if tag == _SEQUENCE_DELIMITER and length == UNDEFINED_LENGTH:
                return items, offset
            if tag != _ITEM:
                raise UnreadableInstance("a sequence holds something else than items")
            item_end = None if item_length == UNDEFINED_LENGTH else offset + item_length
            if item_end is not None and item_end > end:
                raise UnreadableInstance("an item runs past the end of its sequence")
            item, offset = self.elements(offset, item_end, implicit_vr, depth + 1)
            items.append(item)
        if length == UNDEFINED_LENGTH:
            raise UnreadableInstance("a sequence of undefined length has no delimiter")
        return items, offset


def _vr_of(tag: int, vr: bytes, length: int) -> str:
    """Tell the VR of an element; where the data set does not, the Standard's dictionary does."""
    if length == UNDEFINED_LENGTH:
        if vr in (b"SQ", b"UN", b""):
            return "SQ"
        raise UnreadableInstance(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) has no length")
    if vr not in (b"", b"UN"):
        return vr.decode("ascii") if is_vr(vr) else "UN"
    known = DicomDictionary.get(tag)
    if known is None:
        return "LO" if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF else "UN"  # PS3.5 7.8.1
    return _AMBIGUOUS.get(known[0], known[0])


@dataclass(frozen=True, slots=True)
class _Writing:
    """Writes what was read as JSON."""

    undeclared_character_set: str
    big_endian: bool

    def dataset(self, elements: _Elements, outer: TextDecoder) -> JsonDataset:
        """Write a data set or item, which may have a character set of its own (PS3.5 7.5.3)."""
        declared = elements.get(_CHARACTER_SET_TAG)
        decode = outer
        if declared is not None and isinstance(declared[1], bytes):
            decode = text_decoder(declared[1], self.undeclared_character_set)
        written: JsonDataset = {}
        for tag, (vr, value) in sorted(elements.items()):
            if tag == _CHARACTER_SET_TAG:
                continue
            if isinstance(value, list):
                written[f"{tag:08X}"] = sequence(self.dataset(item, decode) for item in value)
            else:
                written[f"{tag:08X}"] = value_to_json(vr, value, decode, big_endian=self.big_endian)
        return written
