"""Identifiers: the data sets with which others ask for something (PS3.4 C.2.2.1). Every byte is hostile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from pydicom._dicom_dict import DicomDictionary

from pacs.dicom.header import Elements, scan_header
from pacs.dicom.text import TextDecoder, text_decoder
from pacs.dicom.transfer_syntaxes import TransferSyntax
from pacs.errors import UnreadableInstance

MAX_IDENTIFIER_SIZE_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 8
_MAX_ELEMENTS: Final = 20_000
_MAX_ITEMS: Final = 200
_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_BINARY: Final = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "US")
_UIDS: Final = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "UI")
_SIZE_OF_NUMBER: Final = 2
_LONGEST_TEXT_BYTES: Final = 8 * 1024  # more than is matched; only lists of UIDs are longer

_Values: TypeAlias = Mapping[int, str]


class _Everything(Set[int]):
    """All tags."""

    def __contains__(self, tag: object) -> bool:
        return True

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


_EVERYTHING: Final = _Everything()
_SEQUENCES: Final = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a sequence as text: values by tag as a query spells them, and the items of its sequences."""

    values: _Values
    sequences: Mapping[int, Sequence[Item]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identifier(Item):
    """An identifier as text, which is like an item of its own.

    ``specific_character_set`` is the value of (0008,0005) as it stands there, empty where it is missing. A
    number is written in digits, whatever its VR. Group lengths are left out.
    """

    specific_character_set: bytes = b""


def parse_identifier(data: bytes, syntax: TransferSyntax, undeclared_character_set: str) -> Identifier:
    """Read an identifier.

    Parameters
    ----------
    syntax
        That of the presentation context; one that is not deflated.
    undeclared_character_set
        A Python codec, for bytes above 127 that are not UTF-8 where no character set is declared.

    Raises
    ------
    UnreadableInstance
        It breaks the rules of encoding, is nested more than 8 deep, or has too many elements.
    """
    header = scan_header(
        data,
        syntax,
        _EVERYTHING,
        _SEQUENCES,
        max_elements=_MAX_ELEMENTS,
        max_items=_MAX_ITEMS,
        max_depth=MAX_DEPTH,
    )
    if header.pixel_data is not None:
        raise UnreadableInstance("an identifier has no pixel data")
    declared = header.elements.values.get(_SPECIFIC_CHARACTER_SET, b"")
    decode = text_decoder(declared, undeclared_character_set)
    whole = _item(header.elements, decode, header.big_endian)
    return Identifier(whole.values, whole.sequences, declared)


def _item(elements: Elements, decode: TextDecoder, big_endian: bool) -> Item:
    """Read elements with those that are nested in them, which the scan has bounded."""
    return Item(
        _values(elements, decode, big_endian),
        {
            tag: [_item(item, decode, big_endian) for item in items]
            for tag, items in elements.sequences.items()
        },
    )


def _values(elements: Elements, decode: TextDecoder, big_endian: bool) -> dict[int, str]:
    return {
        tag: _text(tag, value, decode, big_endian) for tag, value in elements.values.items() if tag & 0xFFFF
    }


def _text(tag: int, value: bytes, decode: TextDecoder, big_endian: bool) -> str:
    """Write a value as text; what has not the size of a number is none, whatever its VR should be."""
    if tag in _BINARY and len(value) == _SIZE_OF_NUMBER:
        return str(int.from_bytes(value, "big" if big_endian else "little"))
    if tag not in _UIDS:
        value = value[:_LONGEST_TEXT_BYTES]  # escape sequences take their time to decode
    return decode(value).strip(" \0")
