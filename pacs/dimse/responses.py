"""Responses to requests (PS3.7 9.3), most of which are success and differ in two values only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from pacs.dicom.uids import MAX_UID_LENGTH
from pacs.dimse.command import DATA_SET, NO_DATA_SET, RESPONSE, CommandSet, Element, encode_command_set
from pacs.dimse.pdu import encode_data
from pacs.dimse.statuses import Status, StatusCode, error_comment

_MESSAGE_ID_HEADER = b"\0\0\x20\x01\x02\0\0\0"  # (0000,0120) and its length
_UNCUT = 1 << 20  # longer than any response
_WORTHWHILE_WRITE_BYTES = 32 * 1024


def encode_response(
    context_id: int,
    command_field: int,
    request: CommandSet,
    status: Status,
    maximum_length: int,
    elements: tuple[tuple[Element, int | str], ...] = (),
    dataset: bytes | None = None,
) -> bytes:
    """Encode the response to a request as P-DATA-TFs.

    Parameters
    ----------
    context_id
        Presentation context of the request.
    command_field, request
        The request's.
    maximum_length
        Longest P-DATA-TF that the peer takes.
    elements
        Of the command set, besides those that every response has.
    dataset
        The encoded data set that goes along.

    Raises
    ------
    AssociationAborted
        The request has no Message ID.

    References
    ----------
    PS3.7 9.3: what a response repeats of its request; C.1 for the Error Comment
    """
    message_id = request.required_number(Element.MESSAGE_ID)
    sop_class_uid = request.text(Element.AFFECTED_SOP_CLASS_UID) or ""
    sop_instance_uid = request.text(Element.AFFECTED_SOP_INSTANCE_UID) or ""
    is_plain = dataset is None and not (status.comment or status.error_id or elements)
    if is_plain and max(len(sop_class_uid), len(sop_instance_uid)) <= MAX_UID_LENGTH:
        before, between = _around(
            context_id, command_field, sop_class_uid, len(sop_instance_uid), status.code
        )
        padding = b"\0" * (len(sop_instance_uid) % 2)
        response = b"".join(
            (
                before,
                message_id.to_bytes(2, "little"),
                between,
                sop_instance_uid.encode("ascii", "replace"),
                padding,
            )
        )
        if len(response) <= maximum_length:
            return response
    command = _encode(
        command_field, message_id, sop_class_uid, sop_instance_uid, status, elements, dataset is not None
    )
    pdus = [*encode_data(context_id, [command], maximum_length, is_command=True)]
    if dataset is not None:
        pdus += encode_data(context_id, [dataset], maximum_length, is_command=False)
    return b"".join(pdus)


def encode_pending_responses(
    context_id: int,
    command_field: int,
    request: CommandSet,
    status: Status,
    maximum_length: int,
    identifiers: Iterable[bytes],
) -> Iterator[bytes]:
    """Encode responses that differ in their identifiers only, as P-DATA-TFs; some are given out together.

    Raises
    ------
    AssociationAborted
        The request has no Message ID.
    """
    message_id = request.required_number(Element.MESSAGE_ID)
    sop_class_uid = request.text(Element.AFFECTED_SOP_CLASS_UID) or ""
    command = _encode(command_field, message_id, sop_class_uid, "", status, has_dataset=True)
    before = b"".join(encode_data(context_id, [command], maximum_length, is_command=True))
    held = bytearray()
    for identifier in identifiers:
        held += before
        for pdu in encode_data(context_id, [identifier], maximum_length, is_command=False):
            held += pdu
        if len(held) >= _WORTHWHILE_WRITE_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


@lru_cache(maxsize=512)
def _around(
    context_id: int, command_field: int, sop_class_uid: str, sop_instance_uid_length: int, code: StatusCode
) -> tuple[bytes, bytes]:
    """Encode what stands before the message ID, and between it and the SOP Instance UID, the last element."""
    uid = "0" * sop_instance_uid_length
    command = _encode(command_field, 0, sop_class_uid, uid, Status(code))
    encoded = b"".join(encode_data(context_id, [command], _UNCUT, is_command=True))
    begin = encoded.index(_MESSAGE_ID_HEADER) + len(_MESSAGE_ID_HEADER)
    end = len(encoded) - sop_instance_uid_length - sop_instance_uid_length % 2
    return encoded[:begin], encoded[begin + 2 : end]


def _encode(
    command_field: int,
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    status: Status,
    more: tuple[tuple[Element, int | str], ...] = (),
    has_dataset: bool = False,
) -> bytes:
    elements: list[tuple[Element, int | str]] = [
        (Element.COMMAND_FIELD, command_field | RESPONSE),
        (Element.MESSAGE_ID_BEING_RESPONDED_TO, message_id),
        (Element.COMMAND_DATA_SET_TYPE, DATA_SET if has_dataset else NO_DATA_SET),
        (Element.STATUS, status.code),
        *more,
    ]
    if sop_class_uid:
        elements.append((Element.AFFECTED_SOP_CLASS_UID, sop_class_uid))
    if sop_instance_uid:
        elements.append((Element.AFFECTED_SOP_INSTANCE_UID, sop_instance_uid))
    if status.error_id is not None:
        elements.append((Element.ERROR_ID, status.error_id))
    if status.comment:
        elements.append((Element.ERROR_COMMENT, error_comment(status.comment)))
    return encode_command_set(elements)
