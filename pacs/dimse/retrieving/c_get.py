"""C-GET: instances go to who asks for them, over the association on which it asks (PS3.4 C.4.3)."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from pacs.dicom.sop_classes import is_storage_sop_class
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse.application_entity import Operation, SubOperation
from pacs.dimse.association import Association
from pacs.dimse.command import CommandField, Element
from pacs.dimse.information_models import INFORMATION_MODELS
from pacs.dimse.message import Message
from pacs.dimse.retrieving.identifier import RELATIONAL_RETRIEVAL
from pacs.dimse.retrieving.outgoing import NATIVE, open_whole
from pacs.dimse.retrieving.progress import Progress, SubOperationResult, result_of
from pacs.dimse.retrieving.retrieval import Retrievals, tell_end, tell_progress
from pacs.dimse.retrieving.without_bulk import WITHOUT_BULK, open_without_bulk
from pacs.dimse.statuses import code_location
from pacs.index.known_peers import PeerRight
from pacs.index.records import StoredInstance

logger = logging.getLogger(__name__)

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
        for instance in instances:
            if cancelled := association.is_cancelled(message):
                break
            progress.count(instance.sop_instance_uid, _send(association, message, instance, retrievals))
            if progress.remaining:
                tell_progress(association, message, progress, soon=True)
        tell_end(association, message, progress, cancelled=cancelled, what="C-GET")


def _send(
    association: Association, message: Message, instance: StoredInstance, retrievals: Retrievals
) -> SubOperationResult:
    """Perform one C-STORE sub-operation in the best of the contexts that the requestor accepts as SCP."""
    contexts = {
        one.transfer_syntax_uid: one for one in association.contexts_to_invoke(instance.sop_class_uid)
    }
    peer = association.caller.peer
    preferred = peer.transfer_syntax_uids if peer else ()
    is_bulkless = message.context.abstract_syntax == WITHOUT_BULK.get_sop_class
    open_outgoing = open_without_bulk if is_bulkless else open_whole
    try:
        outgoing = open_outgoing(
            retrievals.archive, instance, contexts, preferred, association.piece_size_bytes
        )
    except Exception as error:  # of this instance, of which nothing is sent yet; the others may do well
        logger.warning("%s cannot be sent: %s", instance.sop_instance_uid, code_location(error))
        return SubOperationResult.FAILED
    if outgoing is None:
        return SubOperationResult.FAILED
    elements = (
        (Element.PRIORITY, _MEDIUM_PRIORITY),
        (Element.AFFECTED_SOP_INSTANCE_UID, instance.sop_instance_uid),
    )
    context = contexts[outgoing.transfer_syntax_uid]
    status = association.invoke(message, context, CommandField.C_STORE_RQ, elements, outgoing.dataset)
    return result_of(status)
