"""C-MOVE: instances go to a peer of the table, on behalf of who asks for it (PS3.4 C.4.2)."""

from __future__ import annotations

import logging
from functools import partial
from time import monotonic
from typing import Final

from pacs.dimse.application_entity import Operation
from pacs.dimse.association import Association
from pacs.dimse.called_peers import peer_to_call
from pacs.dimse.command import CommandField, Element
from pacs.dimse.information_models import INFORMATION_MODELS
from pacs.dimse.message import Message
from pacs.dimse.retrieving.courier import Destination, Originator
from pacs.dimse.retrieving.delivery import Delivery
from pacs.dimse.retrieving.identifier import RELATIONAL_RETRIEVAL
from pacs.dimse.retrieving.outgoing import NATIVE
from pacs.dimse.retrieving.progress import Progress
from pacs.dimse.retrieving.retrieval import Retrievals, tell_end, tell_progress
from pacs.errors import NotFound, SettingsError, UnknownDestination
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.peers import PeerBook
from pacs.settings import Settings

logger = logging.getLogger(__name__)

_MODELS: Final = {model.move_sop_class: model for model in INFORMATION_MODELS}
_LOOK_EVERY_S: Final = 0.05  # what was sent, and whether it is cancelled
_TELL_EVERY_S: Final = 5.0  # though nothing happened: requestors grow impatient
_GRACE_S: Final = 0.5  # for the instance that is under way when it is cancelled


def c_move_operation(retrievals: Retrievals, book: PeerBook) -> Operation:
    """Make the operation that sends instances to a third party."""
    return Operation(
        name="C-MOVE",
        command_field=CommandField.C_MOVE_RQ,
        transfer_syntaxes=NATIVE,
        supports=_MODELS.__contains__,
        perform=partial(handle_c_move, retrievals=retrievals, book=book),
        right=PeerRight.MOVE,
        extended_negotiation=lambda _: RELATIONAL_RETRIEVAL,
    )


def handle_c_move(
    association: Association, message: Message, *, retrievals: Retrievals, book: PeerBook
) -> None:
    """Send what is asked for to the destination, and tell the requestor how far it is.

    Raises
    ------
    UnknownDestination
        There is no such peer in the table, none that can be called, or not one for who asks.
    pacs.errors.ArchiveError
        Nothing was sent; `pacs.dimse.statuses` translates.
    """
    with retrievals.begun(association):
        instances = retrievals.find_instances(message, _MODELS[message.context.abstract_syntax])
        archive = retrievals.archive
        destination = _destination(association, message, book, archive.settings)
        progress = Progress(len(instances))
        with Delivery(archive, destination, instances, archive.settings.move_associations) as delivery:
            cancelled = _watch(association, message, delivery, progress)
        what = f"C-MOVE to {destination.peer.ae_title}"
        tell_end(association, message, progress, cancelled=cancelled, what=what)


def _destination(
    association: Association, message: Message, book: PeerBook, settings: Settings
) -> Destination:
    """Find the destination in the table of peers; nothing else that a requestor says leads anywhere."""
    known = book.find(message.command.text(Element.MOVE_DESTINATION) or "")
    if known is None:
        raise UnknownDestination("the Move Destination is no peer of this archive")
    if not _may_move_to(association.caller.peer, known.ae_title):
        raise UnknownDestination("the Move Destination is not one for this AE title")
    try:
        peer = peer_to_call(known, settings)
    except (NotFound, SettingsError) as error:
        logger.warning("%s cannot be called: %s", known.ae_title, error)
        raise UnknownDestination("the Move Destination is a peer that cannot be called") from error
    return Destination(
        peer=peer,
        preferred=known.transfer_syntax_uids,
        calling_ae_title=association.called_ae_title,
        timeout_s=settings.network_timeout_s,
        originator=Originator(
            association.calling_ae_title, message.command.required_number(Element.MESSAGE_ID)
        ),
    )


def _may_move_to(requestor: KnownPeer | None, destination: str) -> bool:
    """Tell whether the table lets who asks, where it is in there, send images to this destination."""
    return (
        requestor is None
        or not requestor.moves_to
        or destination in (requestor.ae_title, *requestor.moves_to)
    )


def _watch(association: Association, message: Message, delivery: Delivery, progress: Progress) -> bool:
    """Count results until all are there or the requestor cancels; tell whether it did.

    Raises
    ------
    AssociationEnded
        The requestor is gone.
    """
    told_at = monotonic()
    while progress.remaining:
        delivery.wait(_LOOK_EVERY_S)
        results = delivery.results()
        progress.count_all(results)
        if progress.remaining and association.is_cancelled(message):
            delivery.stop(_GRACE_S)
            progress.count_all(delivery.results())
            return True
        if progress.remaining and (results or monotonic() - told_at > _TELL_EVERY_S):
            tell_progress(association, message, progress)
            told_at = monotonic()
    return False
