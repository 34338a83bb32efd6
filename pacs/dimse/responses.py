"""Responses to requests (PS3.7 9.3), most of which are success and differ in two values only."""

from __future__ import annotations

from functools import lru_cache

from pacs.dicom.uids import MAX_UID_LENGTH
from pacs.dimse.command import NO_DATA_SET, RESPONSE, CommandSet, Element, encode_command_set
from pacs.dimse.pdu import encode_data
from pacs.dimse.statuses import Status, StatusCode, error_comment

_MESSAGE_ID_HEADER = b"\0\0\x20\x01\x02\0\0\0"  # (0000,0120) and its length
_UNCUT = 1 << 20  # longer than any response


def encode_response(
    context_id: int, command_field: int, request: CommandSet, status: Status, maximum_length: int
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
    if not status.comment and max(len(sop_class_uid), len(sop_instance_uid)) <= MAX_UID_LENGTH:
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
    command = _encode(command_field, message_id, sop_class_uid, sop_instance_uid, status)
    return b"".join(encode_data(context_id, [command], maximum_length, is_command=True))


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
    command_field: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status
) -> bytes:
    elements: list[tuple[Element, int | str]] = [
        (Element.COMMAND_FIELD, command_field | RESPONSE),
        (Element.MESSAGE_ID_BEING_RESPONDED_TO, message_id),
        (Element.COMMAND_DATA_SET_TYPE, NO_DATA_SET),
        (Element.STATUS, status.code),
    ]
    if sop_class_uid:
        elements.append((Element.AFFECTED_SOP_CLASS_UID, sop_class_uid))
    if sop_instance_uid:
        elements.append((Element.AFFECTED_SOP_INSTANCE_UID, sop_instance_uid))
    if status.comment:
        elements.append((Element.ERROR_COMMENT, error_comment(status.comment)))
    return encode_command_set(elements)
