"""What a requestor puts on the wire, written a second time, so that it can also be written wrongly."""

from __future__ import annotations

import struct
from collections.abc import Iterable

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
UNKNOWN_OPERATION, C_STORE_RQ, C_ECHO_RQ = 0x0FF0, 0x0001, 0x0030

ABORT_BY_USER = bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))
RELEASE_RQ = bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))
RELEASE_RP = bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0))


def abort_by_provider(reason: int) -> bytes:
    return bytes((7, 0, 0, 0, 0, 4, 0, 0, 2, reason))


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxI", kind, len(body)) + body


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def proposal(context_id: int, abstract_syntax: str, *transfer_syntaxes: str) -> bytes:
    sub_items = item(0x30, abstract_syntax.encode())
    sub_items += b"".join(item(0x40, uid.encode()) for uid in transfer_syntaxes)
    return item(0x20, bytes((context_id, 0, 0, 0)) + sub_items)


DEFAULT_PROPOSALS = (proposal(1, VERIFICATION, IMPLICIT), proposal(3, CT_IMAGE_STORAGE, EXPLICIT))


def associate_request(
    proposals: Iterable[bytes] = DEFAULT_PROPOSALS,
    *,
    called: str = "FILMLESS",
    calling: str = "CT01",
    protocol_version: int = 1,
    application_context: str = "1.2.840.10008.3.1.1.1",
    maximum_length: int = 16384,
    user_items: bytes = b"",
) -> bytes:
    titles = called.encode("latin-1").ljust(16) + calling.encode("latin-1").ljust(16)
    user = (
        item(0x51, struct.pack(">I", maximum_length))
        + item(0x52, b"1.2.3")
        + item(0x55, b"TEST")
        + user_items
    )
    body = struct.pack(">Hxx32s32x", protocol_version, titles)
    body += item(0x10, application_context.encode()) + b"".join(proposals) + item(0x50, user)
    return pdu(1, body)


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def number(element_number: int, value: int) -> bytes:
    return element(element_number, struct.pack("<H", value))


def command(
    field: int,
    *,
    sop_class: str = CT_IMAGE_STORAGE,
    sop_instance: str | None = None,
    message_id: int | None = 7,
    dataset: bool = False,
) -> bytes:
    elements = element(0x0002, _even(sop_class)) + number(0x0100, field)
    if message_id is not None:
        elements += number(0x0110, message_id)
    elements += number(0x0800, 0x0000 if dataset else 0x0101)
    if sop_instance is not None:
        elements += element(0x1000, _even(sop_instance))
    return element(0x0000, struct.pack("<I", len(elements))) + elements


def _even(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


def pdv(context_id: int, data: bytes, *, is_command: bool = False, is_last: bool = True) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context_id, is_command | is_last << 1) + data


def p_data(*pdvs: bytes) -> bytes:
    return pdu(4, b"".join(pdvs))


def echo_request(context_id: int = 1) -> bytes:
    return p_data(pdv(context_id, command(C_ECHO_RQ, sop_class=VERIFICATION), is_command=True))


def store_request(dataset: bytes, sop_instance: str = "1.2.3.4", context_id: int = 3, **more: str) -> bytes:
    """A whole C-STORE-RQ: the command, then the data set in fragments of 10,000 bytes."""
    parts = [store_command(sop_instance, context_id, **more)]
    for start in range(0, len(dataset) or 1, 10_000):
        fragment = dataset[start : start + 10_000]
        parts.append(p_data(pdv(context_id, fragment, is_last=start + 10_000 >= len(dataset))))
    return b"".join(parts)


def store_command(sop_instance: str = "1.2.3.4", context_id: int = 3, **more: str) -> bytes:
    request = command(C_STORE_RQ, sop_instance=sop_instance, dataset=True, **more)
    return p_data(pdv(context_id, request, is_command=True))


def decode_response(data: bytes) -> dict[int, bytes]:
    """Command elements of a response in one P-DATA-TF."""
    kind, length = struct.unpack_from(">BxI", data)
    assert kind == 4 and length == len(data) - 6
    elements, offset = {}, 12
    while offset < len(data):
        _, element_number, size = struct.unpack_from("<HHI", data, offset)
        elements[element_number] = data[offset + 8 : offset + 8 + size]
        offset += 8 + size
    return elements
