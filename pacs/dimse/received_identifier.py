"""Identifiers as they come behind a request, bounded."""

from __future__ import annotations

from pacs.dicom.identifier import MAX_IDENTIFIER_SIZE_BYTES, Identifier, parse_identifier
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse.message import Message
from pacs.errors import InvalidRequest


def read_identifier(message: Message, undeclared_character_set: str) -> Identifier:
    """Read the identifier of a request.

    Raises
    ------
    pacs.errors.InvalidRequest
        It is longer than 1 MiB.
    pacs.errors.UnreadableInstance
        It cannot be understood.
    """
    data = message.dataset.read(MAX_IDENTIFIER_SIZE_BYTES)
    if data is None:
        raise InvalidRequest(f"the identifier is longer than {MAX_IDENTIFIER_SIZE_BYTES} bytes")
    syntax = TRANSFER_SYNTAXES[message.context.transfer_syntax_uid]
    return parse_identifier(data, syntax, undeclared_character_set)
