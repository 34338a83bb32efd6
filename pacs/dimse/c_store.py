"""C-STORE, the Storage Service Class (PS3.4 Annex B, PS3.7 9.1.1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from pacs.dicom.sop_classes import is_storage_sop_class
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse.application_entity import Operation
from pacs.dimse.association import Association
from pacs.dimse.command import CommandField, Element
from pacs.dimse.message import Message
from pacs.dimse.statuses import SUCCESS, Status, StatusCode
from pacs.errors import UnsupportedSopClass
from pacs.index.known_peers import PeerRight
from pacs.ingest import Disposition, IncomingInstance, Origin, StoreOutcome
from pacs.ledger.entries import Door

Store: TypeAlias = Callable[[IncomingInstance, Origin], StoreOutcome]

# PS3.4 Table B.3-2, six bytes of which the even ones are reserved: storage level 2 (all attributes are kept),
# digital signature level 3 (every bit is, B.4.1), element coercion 0 (none).
_LEVEL_OF_SUPPORT = bytes((2, 0, 3, 0, 0, 0))
_STATUSES = {
    Disposition.STORED: SUCCESS,
    Disposition.ALREADY_STORED: SUCCESS,  # a sender that missed our answer sends again
    Disposition.CONFLICT: Status(
        StatusCode.COERCION_OF_DATA_ELEMENTS, "other content under a known SOP Instance UID; both are kept"
    ),
    Disposition.REPLACED: SUCCESS,  # what was sent is what readers get
    Disposition.PATIENT_DIFFERS: Status(
        StatusCode.COERCION_OF_DATA_ELEMENTS, "stored, but its patient is not the one of this study"
    ),
}


def c_store_operation(store: Store, *, accept_unknown_sop_classes: bool) -> Operation:
    """Make the operation that hands instances to ``store``, which is `store_instance` bound to an archive."""
    supports = partial(is_storage_sop_class, accept_unknown=accept_unknown_sop_classes)
    return Operation(
        name="C-STORE",
        command_field=CommandField.C_STORE_RQ,
        transfer_syntaxes=TRANSFER_SYNTAXES.keys(),
        supports=supports,
        perform=partial(handle_c_store, store=store, supports=supports),
        right=PeerRight.STORE,
        extended_negotiation=lambda _: _LEVEL_OF_SUPPORT,
    )


def handle_c_store(
    association: Association, message: Message, *, store: Store, supports: Callable[[str], bool]
) -> None:
    """Keep one instance, its bytes as they come, and answer when it is durable.

    The SOP class of the command counts, not that of the presentation context: some modalities send their
    secondary captures in whatever context was accepted, and refusing would lose images.

    Raises
    ------
    pacs.errors.ArchiveError, storage.errors.StoreError
        It was not kept; `pacs.dimse.statuses` translates.
    """
    sop_class_uid = message.command.text(Element.AFFECTED_SOP_CLASS_UID) or ""
    if not supports(sop_class_uid):
        raise UnsupportedSopClass("the Affected SOP Class UID is not one that is stored here")
    incoming = IncomingInstance(
        transfer_syntax_uid=message.context.transfer_syntax_uid,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=message.command.text(Element.AFFECTED_SOP_INSTANCE_UID) or "",
        chunks=message.dataset,
    )
    outcome = store(incoming, Origin(Door.DIMSE, association.calling_ae_title))
    association.respond(message, _STATUSES[outcome.disposition])
