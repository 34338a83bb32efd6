"""C-GET: instances go to who asks for them, over the association on which it asks (PS3.4 C.4.3)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from pacs.archive import Archive
from pacs.dicom.sop_classes import is_storage_sop_class
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse.application_entity import Operation, SubOperation
from pacs.dimse.association import Association
from pacs.dimse.command import CommandField, Element
from pacs.dimse.information_models import INFORMATION_MODELS
from pacs.dimse.message import Message
from pacs.dimse.pdu import NegotiatedContext
from pacs.dimse.retrieving.identifier import RELATIONAL_RETRIEVAL
from pacs.dimse.retrieving.outgoing import NATIVE, Outgoing, open_whole
from pacs.dimse.retrieving.progress import Progress, SubOperationResult, result_of
from pacs.dimse.retrieving.read_ahead import ReadAhead
from pacs.dimse.retrieving.retrieval import Retrievals, tell_end, tell_progress
from pacs.dimse.retrieving.without_bulk import WITHOUT_BULK, open_without_bulk
from pacs.index.known_peers import PeerRight
from pacs.index.records import StoredInstance

_MODELS: Final = {model.get_sop_class: model for model in (*INFORMATION_MODELS, WITHOUT_BULK)}
_MEDIUM_PRIORITY: Final = 0x0000


def c_get_operation(retrievals: Retrievals) -> Operation:
    """Make the operation that sends instances to its requestor."""
    return Operation(
        name="C-GET",
        command_field=CommandField.C_GET_RQ,
        transfer_syntaxes=NATIVE,
        supports=_MODELS.__contains__,
        perform=partial(handle_c_get, retrievals=retrievals),
        right=PeerRight.GET,
        extended_negotiation=lambda _: RELATIONAL_RETRIEVAL,
        sub_operation=SubOperation(
            TRANSFER_SYNTAXES.keys(), partial(is_storage_sop_class, accept_unknown=True)
        ),
    )


def handle_c_get(association: Association, message: Message, *, retrievals: Retrievals) -> None:
    """Send what is asked for, one instance after the other.

    Raises
    ------
    pacs.errors.ArchiveError
        Nothing was sent; `pacs.dimse.statuses` translates.
    """
    with retrievals.begun(association):
        instances = retrievals.find_instances(message, _MODELS[message.context.abstract_syntax])
        progress = Progress(len(instances))
        cancelled = False
        ahead = ReadAhead(instances, partial(_open, association, message, retrievals.archive))
        for instance, outgoing in ahead:
            if cancelled := association.is_cancelled(message):
                break
            result = _send(association, message, instance, outgoing, ahead.look_ahead)
            progress.count(instance.sop_instance_uid, result)
            if progress.remaining:
                tell_progress(association, message, progress, soon=True)
        tell_end(association, message, progress, cancelled=cancelled, what="C-GET")


def _open(
    association: Association, message: Message, archive: Archive, instance: StoredInstance
) -> Outgoing | None:
    """Open an instance for the best of the contexts that the requestor accepts as SCP."""
    accepted = _contexts(association, instance)
    peer = association.caller.peer
    preferred = peer.transfer_syntax_uids if peer else ()
    is_bulkless = message.context.abstract_syntax == WITHOUT_BULK.get_sop_class
    open_outgoing = open_without_bulk if is_bulkless else open_whole
    return open_outgoing(archive, instance, accepted, preferred, association.piece_size_bytes)


def _send(
    association: Association,
    message: Message,
    instance: StoredInstance,
    outgoing: Outgoing | None,
    meanwhile: Callable[[], None],
) -> SubOperationResult:
    """Perform one C-STORE sub-operation."""
    if outgoing is None:
        return SubOperationResult.FAILED
    elements = (
        (Element.PRIORITY, _MEDIUM_PRIORITY),
        (Element.AFFECTED_SOP_INSTANCE_UID, instance.sop_instance_uid),
    )
    context = _contexts(association, instance)[outgoing.transfer_syntax_uid]
    status = association.invoke(
        message, context, CommandField.C_STORE_RQ, elements, outgoing.dataset, meanwhile
    )
    return result_of(status)


def _contexts(association: Association, instance: StoredInstance) -> dict[str, NegotiatedContext]:
    """Return the presentation contexts in which it can be sent, by transfer syntax."""
    contexts = association.contexts_to_invoke(instance.sop_class_uid)
    return {one.transfer_syntax_uid: one for one in contexts}
