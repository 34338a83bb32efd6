"""Storage Commitment Push Model: requests are kept durably, answered later (PS3.4 Annex J, PS3.7 10.1)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from typing import Final

from pacs.archive import Archive
from pacs.commitment import Verdict, judge
from pacs.dicom.encoding import ElementEncoder
from pacs.dicom.header import Elements, scan_header
from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from pacs.dicom.uids import parse_uid
from pacs.dimse.application_entity import Operation
from pacs.dimse.association import Association
from pacs.dimse.command import CommandField, Element
from pacs.dimse.contexts import NATIVE_TRANSFER_SYNTAXES
from pacs.dimse.message import Message
from pacs.dimse.pdu import NegotiatedContext
from pacs.dimse.requestor import Peer, PeerRejected, RequestedAssociation
from pacs.dimse.statuses import SUCCESS, StatusCode
from pacs.dimse.user_information import Roles
from pacs.errors import ArchiveError, InvalidRequest, TooManyRequests, UnknownAction
from pacs.index.commitments import Commitment, Reference
from pacs.index.known_peers import PeerRight
from storage.errors import StoreError

STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
THE_INSTANCE: Final = "1.2.840.10008.1.20.1.1"  # well-known, the only one of its class
_REQUEST_STORAGE_COMMITMENT: Final = 1  # action type
_ALL_COMMITTED, _SOME_FAILED = 1, 2  # event types
_SCP_ONLY: Final = Roles(scu=False, scp=True)

_MAX_REQUEST_SIZE_BYTES: Final = 16 * 1024 * 1024
_MAX_REFERENCES: Final = 100_000
_MAX_WAITING: Final = 1000  # requests of one device
_ELEMENTS_OF_A_REFERENCE: Final = 16  # a generous mean

_TRANSACTION_UID: Final = 0x00081195
_REFERENCED_SOP_SEQUENCE: Final = 0x00081199
_FAILED_SOP_SEQUENCE: Final = 0x00081198
_REFERENCED_SOP_CLASS_UID: Final = 0x00081150
_REFERENCED_SOP_INSTANCE_UID: Final = 0x00081155
_FAILURE_REASON: Final = 0x00081197
_RETRIEVE_AE_TITLE: Final = 0x00080054

logger = logging.getLogger(__name__)


def commitment_operation(archive: Archive) -> Operation:
    """Make the operation that takes requests in."""
    return Operation(
        name="N-ACTION",
        command_field=CommandField.N_ACTION_RQ,
        transfer_syntaxes=NATIVE_TRANSFER_SYNTAXES,
        supports=STORAGE_COMMITMENT.__eq__,
        perform=partial(handle_n_action, archive=archive),
        right=PeerRight.COMMIT,
    )


def handle_n_action(association: Association, message: Message, *, archive: Archive) -> None:
    """Keep a request, and say so when it is durable. Nothing is confirmed yet.

    A device that cannot be called, for it is not in the table of peers with host and port, is told over this
    association, as soon as it asks for nothing else; the others over one of their own, by the worker.

    Raises
    ------
    UnknownAction, InvalidRequest, pacs.errors.UnreadableInstance
        It is none, or too many instances are named.
    TooManyRequests, pacs.errors.DuplicateTransaction, pacs.errors.IndexUnavailable
        It was not kept.

    References
    ----------
    PS3.4 J.3.2
    """
    if not _is_the_action(message):
        raise UnknownAction("only requests for storage commitment are performed")
    request = _keep(archive, association.calling_ae_title, *read_request(message))
    association.respond(
        message,
        SUCCESS,
        [
            (Element.AFFECTED_SOP_CLASS_UID, STORAGE_COMMITMENT),
            (Element.AFFECTED_SOP_INSTANCE_UID, THE_INSTANCE),
            (Element.ACTION_TYPE_ID, _REQUEST_STORAGE_COMMITMENT),
        ],
    )
    peer = association.caller.peer
    if peer is None or peer.port is None:
        association.put_off(partial(_report_here, association, message.context, archive, request.row_id))


def _is_the_action(message: Message) -> bool:
    return (
        message.command.number(Element.ACTION_TYPE_ID) == _REQUEST_STORAGE_COMMITMENT
        and message.command.text(Element.REQUESTED_SOP_INSTANCE_UID) == THE_INSTANCE
    )


def _keep(
    archive: Archive, ae_title: str, transaction_uid: str, references: tuple[Reference, ...]
) -> Commitment:
    if archive.index.commitments.count_waiting(ae_title) >= _MAX_WAITING:
        raise TooManyRequests("too many requests of this device wait for their answer")
    return archive.index.commitments.add(ae_title, transaction_uid, references, datetime.now(UTC))


class _Interrupted(Exception):
    """The device says something, which comes first."""


def _report_here(association: Association, context: NegotiatedContext, archive: Archive, row_id: int) -> None:
    """Tell a device over the association that it is still on; if that fails, the request stays kept.

    Bytes are not read to their end where the device says something meanwhile: it is not to wait.
    """

    def go_on(_size_bytes: int) -> bool:
        if not association.is_silent:
            raise _Interrupted
        return True

    try:
        request = archive.index.commitments.find(row_id)
        if request is not None:
            _tell(association, context, archive, request, judge(archive, request.references, go_on))
    except _Interrupted:
        association.put_off(partial(_report_here, association, context, archive, row_id))
    except (ArchiveError, StoreError) as error:
        caller = association.calling_ae_title
        logger.warning("%s could not be told what is stored: %s", caller, type(error).__name__)


def _tell(
    association: Association,
    context: NegotiatedContext,
    archive: Archive,
    request: Commitment,
    verdict: Verdict,
) -> None:
    elements, dataset = encode_report(
        request, verdict, archive.settings.ae_title, context.transfer_syntax_uid
    )
    status = association.report(context, CommandField.N_EVENT_REPORT_RQ, elements, [dataset])
    if status == StatusCode.SUCCESS:
        archive.index.commitments.mark_told(request.row_id, datetime.now(UTC))


def read_request(message: Message) -> tuple[str, tuple[Reference, ...]]:
    """Read which instances are to be confirmed, and the transaction UID.

    Raises
    ------
    InvalidRequest
        It names none, or more than 100,000.
    pacs.errors.UnreadableInstance
        It is no data set, or a UID is none.

    References
    ----------
    PS3.4 Table J.3-1
    """
    encoded = message.dataset.read(_MAX_REQUEST_SIZE_BYTES)
    if encoded is None:
        raise InvalidRequest(f"a request is longer than {_MAX_REQUEST_SIZE_BYTES} bytes")
    elements = scan_header(
        encoded,
        TRANSFER_SYNTAXES[message.context.transfer_syntax_uid],
        frozenset({_TRANSACTION_UID, _REFERENCED_SOP_CLASS_UID, _REFERENCED_SOP_INSTANCE_UID}),
        frozenset({_REFERENCED_SOP_SEQUENCE}),
        max_elements=_ELEMENTS_OF_A_REFERENCE * _MAX_REFERENCES,
        max_items=_MAX_REFERENCES + 1,
    ).elements
    items = elements.sequences.get(_REFERENCED_SOP_SEQUENCE, [])
    if not 0 < len(items) <= _MAX_REFERENCES:
        raise InvalidRequest(f"a request names 1 to {_MAX_REFERENCES} instances")
    transaction_uid = _uid(elements, _TRANSACTION_UID)
    return transaction_uid, tuple(
        Reference(_uid(item, _REFERENCED_SOP_CLASS_UID), _uid(item, _REFERENCED_SOP_INSTANCE_UID))
        for item in items
    )


def _uid(elements: Elements, tag: int) -> str:
    return parse_uid(elements.values.get(tag, b"").decode("ascii", "replace"))


def report(peer: Peer, our_ae_title: str, request: Commitment, verdict: Verdict, timeout_s: float) -> None:
    """Tell a device over an association of our own what is confirmed, and see that it has understood.

    Raises
    ------
    PeerUnreachable, PeerRejected

    References
    ----------
    PS3.4 J.3.3; J.3.3.1.4 for the role that is negotiated
    """
    syntaxes = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
    offers = [(STORAGE_COMMITMENT, uid) for uid in syntaxes]
    roles = {STORAGE_COMMITMENT: _SCP_ONLY}
    with RequestedAssociation(peer, our_ae_title, offers, timeout_s, roles=roles) as association:
        context = next(filter(None, (association.find_context(*offer) for offer in offers)), None)
        if context is None:
            raise PeerRejected(f"{peer.ae_title} does not take reports of Storage Commitment")
        elements, dataset = encode_report(request, verdict, our_ae_title, context.transfer_syntax_uid)
        answer = association.perform(context, CommandField.N_EVENT_REPORT_RQ, elements, [dataset])
    status = answer.command.required_number(Element.STATUS)
    if status != StatusCode.SUCCESS:
        raise PeerRejected(f"{peer.ae_title} answered the report with {status:04X}")


def encode_report(
    request: Commitment, verdict: Verdict, our_ae_title: str, transfer_syntax_uid: str
) -> tuple[list[tuple[Element, int | str]], bytes]:
    """Encode the command elements and the data set of an N-EVENT-REPORT (PS3.4 Table J.3-2)."""
    encoder = ElementEncoder(TRANSFER_SYNTAXES[transfer_syntax_uid])
    dataset = encoder.text(_RETRIEVE_AE_TITLE, "AE", our_ae_title.encode("ascii", "replace"))
    dataset += encoder.text(_TRANSACTION_UID, "UI", request.transaction_uid.encode("ascii"))
    if verdict.failed:
        failed = (
            _item(encoder, reference) + encoder.numbers(_FAILURE_REASON, "US", [reason])
            for reference, reason in verdict.failed
        )
        dataset += encoder.sequence(_FAILED_SOP_SEQUENCE, failed)
    if verdict.committed:
        committed = (_item(encoder, reference) for reference in verdict.committed)
        dataset += encoder.sequence(_REFERENCED_SOP_SEQUENCE, committed)
    elements: list[tuple[Element, int | str]] = [
        (Element.AFFECTED_SOP_INSTANCE_UID, THE_INSTANCE),
        (Element.EVENT_TYPE_ID, _SOME_FAILED if verdict.failed else _ALL_COMMITTED),
    ]
    return elements, dataset


def _item(encoder: ElementEncoder, reference: Reference) -> bytes:
    sop_class_uid, sop_instance_uid = (uid.encode("ascii") for uid in reference)
    return encoder.text(_REFERENCED_SOP_CLASS_UID, "UI", sop_class_uid) + encoder.text(
        _REFERENCED_SOP_INSTANCE_UID, "UI", sop_instance_uid
    )
