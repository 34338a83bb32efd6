"""Items and fields inside the PDUs that negotiate (PS3.8 9.3.2). All lengths are a stranger's word."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pacs.dicom.uids import MAX_UID_LENGTH
from pacs.dimse.endings import invalid_parameter

_ITEM_HEADER = struct.Struct(">BxH")


def items(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Walk over items, all of which begin with a type and a length.

    Raises
    ------
    AssociationAborted
        A length that lies.
    """
    offset = 0
    while offset < len(data):
        if offset + _ITEM_HEADER.size > len(data):
            raise invalid_parameter("an item is cut short")
        kind, length = _ITEM_HEADER.unpack_from(data, offset)
        end = offset + _ITEM_HEADER.size + length
        if end > len(data):
            raise invalid_parameter(f"an item of type {kind:02X}H is longer than what holds it")
        yield kind, data[end - length : end]
        offset = end


def encode_item(kind: int, value: bytes) -> bytes:
    """Encode one item."""
    return _ITEM_HEADER.pack(kind, len(value)) + value


def take_field(data: memoryview) -> tuple[memoryview, memoryview]:
    """Split a field with a length of two bytes before it off the rest.

    Raises
    ------
    AssociationAborted
        It is longer than what is there.
    """
    end = 2 + int.from_bytes(data[:2], "big")
    if len(data) < 2 or end > len(data):
        raise invalid_parameter("a field is longer than the item that holds it")
    return data[2:end], data[end:]


def encode_field(value: bytes) -> bytes:
    """Encode a field with its length of two bytes before it."""
    return len(value).to_bytes(2, "big") + value


def uid_of(value: memoryview) -> str:
    """Decode a UID.

    Raises
    ------
    AssociationAborted
        It is longer than 64 characters.
    """
    uid = text_of(value)  # some devices pad with NUL, though PS3.8 Annex F says not to
    if len(uid) > MAX_UID_LENGTH:
        raise invalid_parameter("a UID is longer than 64 characters")
    return uid


def text_of(value: memoryview) -> str:
    """Decode without padding; what is no printable ASCII becomes ``?``, so that it cannot forge a log."""
    text = value.tobytes().strip(b" \0").decode("ascii", "replace")
    return "".join(character if " " <= character <= "~" else "?" for character in text)
