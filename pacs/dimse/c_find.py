"""C-FIND, the Query/Retrieve Service Class (PS3.4 Annex C, PS3.7 9.1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pacs.archive import Archive
from pacs.dicom.encoding import ElementEncoder
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse.answering import answer_with, character_set_of
from pacs.dimse.application_entity import Operation
from pacs.dimse.association import Association
from pacs.dimse.command import CommandField
from pacs.dimse.contexts import NATIVE_TRANSFER_SYNTAXES
from pacs.dimse.find_answers import match_writer
from pacs.dimse.find_request import (
    FindRequest,
    Negotiated,
    answer_extended_negotiation,
    parse_find_request,
)
from pacs.dimse.information_models import INFORMATION_MODELS, InformationModel, QueryLevel
from pacs.dimse.message import Message
from pacs.dimse.received_identifier import read_identifier
from pacs.dimse.statuses import PENDING, PENDING_WITH_WARNING
from pacs.index.known_peers import PeerRight
from pacs.index.records import Match


def c_find_operations(archive: Archive) -> list[Operation]:
    """Make the operations that search an archive, one for each information model."""
    return [
        Operation(
            name="C-FIND",
            command_field=CommandField.C_FIND_RQ,
            transfer_syntaxes=NATIVE_TRANSFER_SYNTAXES,
            supports=model.find_sop_class.__eq__,
            perform=partial(handle_c_find, archive=archive, model=model),
            right=PeerRight.FIND,
            extended_negotiation=answer_extended_negotiation,
        )
        for model in INFORMATION_MODELS
    ]


def handle_c_find(
    association: Association, message: Message, *, archive: Archive, model: InformationModel
) -> None:
    """Answer with each match, and then with success; or with cancel, once the peer wants no more.

    Raises
    ------
    pacs.errors.ArchiveError
        It was not understood, or cannot be searched; `pacs.dimse.statuses` translates.
    """
    identifier = read_identifier(message, archive.settings.undeclared_character_set)
    negotiated = Negotiated.of(association.application_information.get(model.find_sop_class, b""))
    request = parse_find_request(identifier, model, negotiated)
    writer = match_writer(
        request,
        ElementEncoder(TRANSFER_SYNTAXES[message.context.transfer_syntax_uid]),
        character_set_of(association.caller).encoders(identifier.specific_character_set),
        archive.settings.ae_title,
    )
    pending = PENDING_WITH_WARNING if request.has_unsupported_keys else PENDING
    answer_with(association, message, pending, _search(archive, request), writer)


def _search(archive: Archive, request: FindRequest) -> Iterator[Sequence[Match]]:
    if request.level is QueryLevel.PATIENT:
        return archive.index.search_patients(request.query)
    return archive.index.search_pages(request.query)
