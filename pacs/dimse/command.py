"""Command sets: group 0000 in Implicit VR Little Endian (PS3.7 6.3.1, E.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum

from pacs.dimse.endings import invalid_message

NO_DATA_SET = 0x0101
DATA_SET = 0x0000  # any other value
RESPONSE = 0x8000  # the bit that makes a request's command field that of its response

_ELEMENT_HEADER = struct.Struct("<HHI")


class Element(IntEnum):
    """Element numbers of group 0000 (PS3.7 Table E.1-1)."""

    GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    MOVE_DESTINATION = 0x0600
    PRIORITY = 0x0700
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    ERROR_COMMENT = 0x0902
    ERROR_ID = 0x0903
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    ATTRIBUTE_IDENTIFIER_LIST = 0x1005
    EVENT_TYPE_ID = 0x1002
    ACTION_TYPE_ID = 0x1008
    NUMBER_OF_REMAINING_SUB_OPERATIONS = 0x1020
    NUMBER_OF_COMPLETED_SUB_OPERATIONS = 0x1021
    NUMBER_OF_FAILED_SUB_OPERATIONS = 0x1022
    NUMBER_OF_WARNING_SUB_OPERATIONS = 0x1023
    MOVE_ORIGINATOR_AE_TITLE = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


_UID_ELEMENTS = {
    Element.AFFECTED_SOP_CLASS_UID,
    Element.REQUESTED_SOP_CLASS_UID,
    Element.AFFECTED_SOP_INSTANCE_UID,
    Element.REQUESTED_SOP_INSTANCE_UID,
}


class CommandField(IntEnum):
    """The operations that are spoken here (PS3.7 Table E.1-1)."""

    C_STORE_RQ = 0x0001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_GET_RQ = 0x0110
    N_SET_RQ = 0x0120
    N_ACTION_RQ = 0x0130
    N_CREATE_RQ = 0x0140
    C_CANCEL_RQ = 0x0FFF


class CommandSet:
    """A received command set: raw values by element number, decoded when asked for."""

    def __init__(self, values: dict[int, bytes]) -> None:
        self._values = values

    def number(self, element: Element) -> int | None:
        """Value of an element of VR US; None when it is absent.

        Raises
        ------
        AssociationAborted
            It has not two bytes.
        """
        value = self._values.get(element)
        if value is None:
            return None
        if len(value) != 2:
            raise invalid_message(f"(0000,{element:04X}) has not two bytes")
        return int.from_bytes(value, "little")

    def required_number(self, element: Element) -> int:
        """Value of an element of VR US without which a message means nothing.

        Raises
        ------
        AssociationAborted
            It is absent, or has not two bytes.
        """
        value = self.number(element)
        if value is None:
            raise invalid_message(f"(0000,{element:04X}) is missing in a command set")
        return value

    def tags(self, element: Element) -> tuple[int, ...]:
        """Values of an element of VR AT; none when it is absent.

        Raises
        ------
        AssociationAborted
            It has not four bytes for each.
        """
        value = self._values.get(element, b"")
        if len(value) % 4:
            raise invalid_message(f"(0000,{element:04X}) has not four bytes for each tag")
        words = struct.unpack(f"<{len(value) // 2}H", value)
        return tuple(group << 16 | number for group, number in zip(words[::2], words[1::2], strict=True))

    def text(self, element: Element) -> str | None:
        """Value of an element of text or UID without its padding; None when it is absent or empty."""
        value = self._values.get(element, b"")
        return value.decode("ascii", "replace").strip(" \0") or None


def decode_command_set(data: bytes | bytearray) -> CommandSet:
    """Decode a whole command set; its group length is not needed, for the last fragment ends it.

    Raises
    ------
    AssociationAborted
        An element of another group, one that is there twice, or a length that lies.
    """
    data = bytes(data)
    values: dict[int, bytes] = {}
    offset, size = 0, len(data)
    while offset < size:
        begin = offset + _ELEMENT_HEADER.size
        if begin > size:
            raise invalid_message("a command element is cut short")
        group, element, length = _ELEMENT_HEADER.unpack_from(data, offset)
        offset = begin + length
        if group != 0 or element in values or offset > size:
            raise invalid_message("the command set is not well formed")
        values[element] = data[begin:offset]
    return CommandSet(values)


def encode_command_set(elements: Iterable[tuple[Element, int | str]]) -> bytes:
    """Encode a command set with its group length: numbers as US, texts padded to an even length."""
    body = b"".join(_encode(element, value) for element, value in sorted(elements))
    group_length = _ELEMENT_HEADER.pack(0, Element.GROUP_LENGTH, 4) + len(body).to_bytes(4, "little")
    return group_length + body


def _encode(element: Element, value: int | str) -> bytes:
    data = value.to_bytes(2, "little") if isinstance(value, int) else value.encode("ascii", "replace")
    if len(data) % 2:
        data += b"\0" if element in _UID_ELEMENTS else b" "
    return _ELEMENT_HEADER.pack(0, element, len(data)) + data
