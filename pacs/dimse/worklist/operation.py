"""C-FIND of the Modality Worklist (PS3.4 K.4.1)."""

from __future__ import annotations

from functools import partial
from typing import Final

from pacs.archive import Archive
from pacs.dicom.encoding import ElementEncoder
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse.answering import answer_with, character_set_of
from pacs.dimse.application_entity import Operation
from pacs.dimse.association import Association
from pacs.dimse.command import CommandField
from pacs.dimse.contexts import NATIVE_TRANSFER_SYNTAXES
from pacs.dimse.message import Message
from pacs.dimse.received_identifier import read_identifier
from pacs.dimse.statuses import PENDING, PENDING_WITH_WARNING
from pacs.dimse.worklist.answers import worklist_writer
from pacs.dimse.worklist.request import parse_worklist_request
from pacs.index.known_peers import PeerRight
from pacs.settings import Settings

MODALITY_WORKLIST: Final = "1.2.840.10008.5.1.4.31"


def worklist_operation(archive: Archive) -> Operation:
    """Make the operation that tells stations what they have to do."""
    return Operation(
        name="C-FIND of the worklist",
        command_field=CommandField.C_FIND_RQ,
        transfer_syntaxes=NATIVE_TRANSFER_SYNTAXES,
        supports=MODALITY_WORKLIST.__eq__,
        perform=partial(handle_worklist_query, archive=archive),
        right=PeerRight.WORKLIST,
    )


def handle_worklist_query(association: Association, message: Message, *, archive: Archive) -> None:
    """Answer with each scheduled step that matches, the first to start first.

    Raises
    ------
    pacs.errors.ArchiveError
        It was not understood, or cannot be searched; `pacs.dimse.statuses` translates.
    """
    settings, caller = archive.settings, association.caller.ae_title
    identifier = read_identifier(message, settings.undeclared_character_set)
    station = caller if _sees_its_own_only(association, settings) else None
    request = parse_worklist_request(identifier, station)
    writer = worklist_writer(
        request,
        ElementEncoder(TRANSFER_SYNTAXES[message.context.transfer_syntax_uid]),
        character_set_of(association.caller).encoders(identifier.specific_character_set),
        caller,
    )
    pending = PENDING_WITH_WARNING if request.has_unsupported_keys else PENDING
    answer_with(association, message, pending, archive.index.orders.search(request.query), writer)


def _sees_its_own_only(association: Association, settings: Settings) -> bool:
    peer = association.caller.peer
    return settings.worklist_own_station_only or (peer is not None and peer.own_worklist_only)
