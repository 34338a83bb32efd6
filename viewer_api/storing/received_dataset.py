"""A data set as metadata tells it, and its bytes in Explicit VR Little Endian, streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pacs.dicom.element_heads import UNDEFINED_LENGTH
from pacs.dicom.explicit_vr import (
    BINARY_VRS,
    ITEM,
    ITEM_DELIMITER,
    SEQUENCE_DELIMITER,
    Value,
    encode_head,
    encode_values,
    pad,
)
from pacs.errors import UnreadableInstance

MAX_DEPTH: Final = 32  # of sequences; deeper than any object of the Standard

TRANSFER_SYNTAX_UID: Final = 0x00020010
SPECIFIC_CHARACTER_SET: Final = 0x00080005
SOP_CLASS_UID: Final = 0x00080016
SOP_INSTANCE_UID: Final = 0x00080018
PIXEL_DATA: Final = 0x7FE00010
_UTF_8 = encode_values("CS", ["ISO_IR 192"])


@dataclass(frozen=True, slots=True)
class BulkReference:
    """A value that comes in a part of its own, by the URI that names it."""

    uri: str


@dataclass(frozen=True, slots=True)
class Received:
    """One element; its value is encoded, or the items of a sequence, or elsewhere."""

    vr: str
    value: bytes | list[ReceivedDataset] | BulkReference


@dataclass(slots=True)
class ReceivedDataset:
    """The elements of a data set or an item, by tag."""

    elements: dict[int, Received] = field(default_factory=dict)
    transfer_syntax_uid: str = ""  # of File Meta Information, which some senders lay among the metadata

    def add(self, tag: int, vr: str, value: bytes | list[ReceivedDataset] | BulkReference) -> None:
        """Add an element; what tells of another encoding goes: group lengths, character sets, group 0002.

        Raises
        ------
        UnreadableInstance
            It is there already, or its value does not go with its VR.
        """
        if tag in self.elements:
            raise UnreadableInstance("an element is there twice")
        if isinstance(value, list) != (vr == "SQ") and value != b"":
            raise UnreadableInstance("only a sequence has items")
        if isinstance(value, BulkReference) and vr not in BINARY_VRS and vr not in _BULK_TEXT_VRS:
            raise UnreadableInstance(f"a value of VR {vr} is no bulk data")
        if tag == TRANSFER_SYNTAX_UID and isinstance(value, bytes):
            self.transfer_syntax_uid = value.decode("ascii", "replace").rstrip("\0")
        if tag & 0xFFFF and tag != SPECIFIC_CHARACTER_SET and tag >> 16 != 0x0002:
            self.elements[tag] = Received(vr, [] if vr == "SQ" and value == b"" else value)

    def text(self, tag: int) -> str:
        """Return the text of an element; empty where there is none."""
        found = self.elements.get(tag)
        value = b"" if found is None or not isinstance(found.value, bytes) else found.value
        return value.decode("utf-8", "replace").rstrip("\0 ")

    def set_values(self, tag: int, vr: str, *values: Value) -> None:
        """Put an element in, in the place of what may be there."""
        self.elements[tag] = Received(vr, encode_values(vr, values))


# Text and numbers that may be bulk data too (PS3.18 10.4.3.3.2); encoded little endian, in UTF-8.
_BULK_TEXT_VRS = frozenset(
    {"DS", "FL", "FD", "IS", "LT", "SL", "SS", "ST", "SV", "UC", "UL", "US", "UT", "UV"}
)

Pieces: TypeAlias = tuple[int, Iterable[bytes]]  # size in bytes, and the bytes
ReadBulk: TypeAlias = Callable[[BulkReference], Pieces]


def encode_dataset(
    dataset: ReceivedDataset, read_bulk: ReadBulk, frames: Sequence[Pieces] | None = None
) -> Iterator[bytes]:
    """Encode a data set piece by piece, without holding its bulk data.

    Parameters
    ----------
    read_bulk
        Gives size and bytes of a bulk value.
    frames
        The fragments of the pixel data where that is compressed.

    Raises
    ------
    UnreadableInstance
        A value is too long for its element.
    """
    text = ReceivedDataset({**dataset.elements, SPECIFIC_CHARACTER_SET: Received("CS", _UTF_8)})
    for tag in sorted(text.elements):
        if tag == PIXEL_DATA and frames is not None:
            yield from _encapsulate(frames)
        else:
            yield from _encode_element(tag, text.elements[tag], read_bulk)


def _encode_element(tag: int, element: Received, read_bulk: ReadBulk) -> Iterator[bytes]:
    value = element.value
    if isinstance(value, bytes):
        yield encode_head(tag, element.vr, len(value)) + value
    elif isinstance(value, BulkReference):
        size_bytes, pieces = read_bulk(value)
        padding = pad(element.vr, size_bytes)
        yield encode_head(tag, element.vr, size_bytes + len(padding))
        yield from pieces
        yield padding
    else:
        yield encode_head(tag, "SQ", UNDEFINED_LENGTH)
        for item in value:
            yield ITEM
            for nested in sorted(item.elements):
                yield from _encode_element(nested, item.elements[nested], read_bulk)
            yield ITEM_DELIMITER
        yield SEQUENCE_DELIMITER


def _encapsulate(frames: Sequence[Pieces]) -> Iterator[bytes]:
    """Encode compressed pixel data: an empty offset table, and a fragment for each frame (PS3.5 A.4)."""
    yield encode_head(PIXEL_DATA, "OB", UNDEFINED_LENGTH)
    yield _fragment_head(0)
    for size_bytes, pieces in frames:
        padding = pad("OB", size_bytes)
        yield _fragment_head(size_bytes + len(padding))
        yield from pieces
        yield padding
    yield SEQUENCE_DELIMITER


def _fragment_head(size_bytes: int) -> bytes:
    if size_bytes >= UNDEFINED_LENGTH:
        raise UnreadableInstance("a frame is longer than a fragment can be")
    return ITEM[:4] + size_bytes.to_bytes(4, "little")


def parse_tag(text: object) -> int:
    """Parse a tag as metadata writes it, eight hexadecimal digits, of a group that a data set may have.

    Raises
    ------
    UnreadableInstance
    """
    if not isinstance(text, str) or len(text) != 8 or not set(text) <= _HEX_DIGITS:
        raise UnreadableInstance("a tag is not eight hexadecimal digits")
    tag = int(text, 16)
    if tag >> 16 in (0x0000, 0xFFFE, 0xFFFF):
        raise UnreadableInstance(f"an element of group {tag >> 16:04X} stands where it must not")
    return tag


_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
