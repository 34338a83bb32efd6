"""Asking another archive what it has: C-FIND as service class user, Study Root (PS3.4 C.4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pacs.dicom.encoding import ElementEncoder
from pacs.dicom.identifier import Identifier, parse_identifier
from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from pacs.dimse.command import CommandField, Element
from pacs.dimse.information_models import QUERY_RETRIEVE_LEVEL, STUDY_ROOT, QueryLevel
from pacs.dimse.pdu import NegotiatedContext
from pacs.dimse.requestor import PeerRejected, RequestedAssociation
from pacs.errors import InvalidRequest, UnreadableInstance

NATIVE: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
MEDIUM_PRIORITY: Final = 0x0000
_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_MOST_ANSWERS: Final = 100_000
_VRS: Final = {
    _SPECIFIC_CHARACTER_SET: "CS",
    0x00080016: "UI",
    0x00080018: "UI",
    0x00080020: "DA",
    0x00080050: "SH",
    QUERY_RETRIEVE_LEVEL: "CS",
    0x00100010: "PN",
    0x00100020: "LO",
    0x00100021: "LO",
    0x00100030: "DA",
    0x00100040: "CS",
    0x0020000D: "UI",
    0x0020000E: "UI",
}


def find_context(association: RequestedAssociation, sop_class_uid: str) -> NegotiatedContext:
    """Find the context of a service that was offered in the native transfer syntaxes.

    Raises
    ------
    PeerRejected
        The peer does not have this service.
    """
    for syntax in NATIVE:
        if context := association.find_context(sop_class_uid, syntax):
            return context
    raise PeerRejected("the peer does not offer this service to us")


def encode_identifier(level: QueryLevel, keys: Mapping[int, str], transfer_syntax_uid: str) -> bytes:
    """Encode an identifier of ours, in UTF-8 where it has letters beyond ASCII.

    Raises
    ------
    InvalidRequest
        A list of UIDs is too long for one value.
    """
    encoder = ElementEncoder(TRANSFER_SYNTAXES[transfer_syntax_uid])
    values = {**keys, QUERY_RETRIEVE_LEVEL: level.name}
    if not all(value.isascii() for value in values.values()):
        values[_SPECIFIC_CHARACTER_SET] = "ISO_IR 192"
    if any(len(value) > 60_000 for value in values.values()):
        raise InvalidRequest("a list of UIDs is too long")
    return b"".join(encoder.text(tag, _VRS[tag], values[tag].encode("utf-8")) for tag in sorted(values))


def find(
    association: RequestedAssociation, level: QueryLevel, keys: Mapping[int, str]
) -> Iterator[Identifier]:
    """Find what matches these keys at a level; an empty key is asked for.

    Raises
    ------
    PeerRejected
        The peer does not answer queries, or not this one, or without end.
    PeerUnreachable
    """
    context = find_context(association, STUDY_ROOT.find_sop_class)
    identifier = encode_identifier(level, keys, context.transfer_syntax_uid)
    priority = [(Element.PRIORITY, MEDIUM_PRIORITY)]
    answers = association.exchange(context, CommandField.C_FIND_RQ, priority, identifier)
    for number, answer in enumerate(answers):
        if answer.status not in (0x0000, 0xFF00, 0xFF01):
            raise PeerRejected(f"the peer answers the query with {answer.status:04X}")
        if number > _MOST_ANSWERS:
            raise PeerRejected(f"more than {_MOST_ANSWERS} answers to a query")
        if answer.status and answer.identifier:
            yield _read(answer.identifier, context.transfer_syntax_uid)


def _read(identifier: bytes, transfer_syntax_uid: str) -> Identifier:
    try:
        return parse_identifier(identifier, TRANSFER_SYNTAXES[transfer_syntax_uid], "latin-1")
    except UnreadableInstance as error:
        raise PeerRejected("the peer gives an answer that cannot be read") from error
