"""C-FIND, the Query/Retrieve Service Class (PS3.4 Annex C, PS3.7 9.1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from pacs.archive import Archive
from pacs.dicom.character_sets import AnswerCharacterSet
from pacs.dicom.encoding import ElementEncoder
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse.application_entity import Operation
from pacs.dimse.association import Association
from pacs.dimse.callers import Caller
from pacs.dimse.command import CommandField
from pacs.dimse.contexts import NATIVE_TRANSFER_SYNTAXES
from pacs.dimse.find_answers import AnswerWriter
from pacs.dimse.find_request import (
    FindRequest,
    Negotiated,
    answer_extended_negotiation,
    parse_find_request,
)
from pacs.dimse.information_models import INFORMATION_MODELS, InformationModel, QueryLevel
from pacs.dimse.message import Message
from pacs.dimse.received_identifier import read_identifier
from pacs.dimse.statuses import CANCEL, PENDING, PENDING_WITH_WARNING, SUCCESS
from pacs.index.known_peers import PeerRight
from pacs.index.records import Match

_ANSWERS_IN_ONE_GO = 100  # between them a cancel is looked for


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
    writer = AnswerWriter(
        request,
        ElementEncoder(TRANSFER_SYNTAXES[message.context.transfer_syntax_uid]),
        _character_set_of(association.caller).encoders(identifier.specific_character_set),
        archive.settings.ae_title,
    )
    pending = PENDING_WITH_WARNING if request.has_unsupported_keys else PENDING
    for matches in _in_small_pages(_search(archive, request)):
        if association.is_cancelled(message):
            association.respond(message, CANCEL)
            return
        association.respond_pending(message, pending, map(writer.write, matches))
    association.respond(message, CANCEL if association.is_cancelled(message) else SUCCESS)


def _character_set_of(caller: Caller) -> AnswerCharacterSet:
    if caller.peer is None:
        return AnswerCharacterSet()
    return AnswerCharacterSet(caller.peer.character_set, caller.peer.unaccented)


def _search(archive: Archive, request: FindRequest) -> Iterator[Sequence[Match]]:
    if request.level is QueryLevel.PATIENT:
        return archive.index.search_patients(request.query)
    return archive.index.search_pages(request.query)


def _in_small_pages(pages: Iterator[Sequence[Match]]) -> Iterator[Sequence[Match]]:
    for page in pages:
        for begin in range(0, len(page), _ANSWERS_IN_ONE_GO):
            yield page[begin : begin + _ANSWERS_IN_ONE_GO]
