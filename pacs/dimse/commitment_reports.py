"""Storage Commitment as service class user: asking whether instances are safe, hearing it (PS3.4 J)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from pacs.archive import Archive
from pacs.dicom.encoding import ElementEncoder
from pacs.dicom.header import Elements, scan_header
from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from pacs.dicom.uids import parse_uid
from pacs.dimse.application_entity import Operation, SubOperation
from pacs.dimse.association import Association
from pacs.dimse.command import CommandField, Element
from pacs.dimse.contexts import NATIVE_TRANSFER_SYNTAXES
from pacs.dimse.message import Message
from pacs.dimse.requestor import Peer, PeerRejected, RequestedAssociation
from pacs.dimse.statuses import SUCCESS, Status, StatusCode, code_location, status_of
from pacs.dimse.storage_commitment import STORAGE_COMMITMENT, THE_INSTANCE
from pacs.errors import ArchiveError, InvalidRequest
from pacs.index.commitments import Reference

_REQUEST_STORAGE_COMMITMENT: Final = 1  # action type
_EVENT_TYPES: Final = (1, 2)  # all committed, some failed
_MAX_REPORT_SIZE_BYTES: Final = 16 * 1024 * 1024
_MAX_ITEMS: Final = 100_001
_ELEMENTS_OF_AN_ITEM: Final = 16  # a generous mean

_TRANSACTION_UID: Final = 0x00081195
_FAILED, _COMMITTED = 0x00081198, 0x00081199
_SOP_CLASS, _SOP_INSTANCE = 0x00081150, 0x00081155
_FAILURE_REASON: Final = 0x00081197

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What a peer says of a transaction: which SOP Instance UIDs are safe there, and why others are not."""

    transaction_uid: str
    committed: Sequence[str]
    failed: Mapping[str, int]


def commitment_report_operation(archive: Archive) -> Operation:
    """Make the operation that hears reports over associations of the peer's own."""
    return Operation(
        name="N-EVENT-REPORT",
        command_field=CommandField.N_EVENT_REPORT_RQ,
        transfer_syntaxes=NATIVE_TRANSFER_SYNTAXES,
        supports=STORAGE_COMMITMENT.__eq__,
        perform=partial(_handle_n_event_report, archive=archive),
        sub_operation=SubOperation(NATIVE_TRANSFER_SYNTAXES, STORAGE_COMMITMENT.__eq__),
    )


def _handle_n_event_report(association: Association, message: Message, *, archive: Archive) -> None:
    """Note what a peer says. What nobody has asked for is heard, and has no effect (PS3.4 J.3.3)."""
    note_report(archive, association.calling_ae_title, read_report(message))
    event_type = message.command.required_number(Element.EVENT_TYPE_ID)
    association.respond(message, SUCCESS, [(Element.EVENT_TYPE_ID, event_type)])


def note_report(archive: Archive, ae_title: str, report: CommitmentReport) -> None:
    """Note what a peer says. Raises IndexUnavailable."""
    known = archive.index.send_commitments.note(
        ae_title, report.transaction_uid, report.committed, report.failed, datetime.now(UTC)
    )
    if known:
        logger.info(
            "%s says that %d instances are safe there, and %d are not",
            ae_title, len(report.committed), len(report.failed),
        )  # fmt: skip
    else:
        logger.warning("%s reports a commitment that nobody waits for", ae_title)


def read_report(message: Message) -> CommitmentReport:
    """Read a report (PS3.4 Table J.3-2).

    Raises
    ------
    InvalidRequest
        It is of another event, or too long.
    pacs.errors.UnreadableInstance
        It is no data set, or a UID is none.
    """
    if message.command.number(Element.EVENT_TYPE_ID) not in _EVENT_TYPES:
        raise InvalidRequest("no event of Storage Commitment")
    encoded = message.dataset.read(_MAX_REPORT_SIZE_BYTES)
    if encoded is None:
        raise InvalidRequest(f"a report is longer than {_MAX_REPORT_SIZE_BYTES} bytes")
    header = scan_header(
        encoded,
        TRANSFER_SYNTAXES[message.context.transfer_syntax_uid],
        frozenset({_TRANSACTION_UID, _SOP_CLASS, _SOP_INSTANCE, _FAILURE_REASON}),
        frozenset({_FAILED, _COMMITTED}),
        max_elements=_ELEMENTS_OF_AN_ITEM * _MAX_ITEMS,
        max_items=_MAX_ITEMS,
    )
    elements, order = header.elements, "big" if header.big_endian else "little"
    failed = {
        _uid(item, _SOP_INSTANCE): int.from_bytes(item.values.get(_FAILURE_REASON, b"")[:2], order)  # type: ignore[arg-type]
        for item in elements.sequences.get(_FAILED, [])
    }
    committed = [_uid(item, _SOP_INSTANCE) for item in elements.sequences.get(_COMMITTED, [])]
    safe = [uid for uid in committed if uid not in failed]  # who says both is not believed
    return CommitmentReport(_uid(elements, _TRANSACTION_UID), safe, failed)


def _uid(elements: Elements, tag: int) -> str:
    return parse_uid(elements.values.get(tag, b"").decode("ascii", "replace"))


def request_commitment(
    peer: Peer,
    our_ae_title: str,
    transaction_uid: str,
    references: Sequence[Reference],
    hear: Callable[[CommitmentReport], None],
    *,
    timeout_s: float,
    patience_s: float,
) -> None:
    """Ask a peer whether instances are safe there, and wait a while for its answer over this association.

    An answer that comes later comes to our listener.

    Raises
    ------
    PeerUnreachable, PeerRejected
        It was not asked, or does not want to be.

    References
    ----------
    PS3.4 J.3.2; J.3.3.1.4: the report may come over the same association
    """
    offers = [(STORAGE_COMMITMENT, uid) for uid in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)]
    with RequestedAssociation(peer, our_ae_title, offers, timeout_s) as association:
        context = next(filter(None, (association.find_context(*offer) for offer in offers)), None)
        if context is None:
            raise PeerRejected(f"{peer.ae_title} does not offer Storage Commitment")
        elements: list[tuple[Element, int | str]] = [
            (Element.REQUESTED_SOP_CLASS_UID, STORAGE_COMMITMENT),
            (Element.REQUESTED_SOP_INSTANCE_UID, THE_INSTANCE),
            (Element.ACTION_TYPE_ID, _REQUEST_STORAGE_COMMITMENT),
        ]
        dataset = encode_request(transaction_uid, references, context.transfer_syntax_uid)
        answer = association.perform(context, CommandField.N_ACTION_RQ, elements, [dataset])
        status = answer.command.required_number(Element.STATUS)
        if status != StatusCode.SUCCESS:
            raise PeerRejected(f"{peer.ae_title} answers a request for commitment with {status:04X}")
        association.hear(partial(_hear, hear), patience_s)


def _hear(hear: Callable[[CommitmentReport], None], message: Message) -> Status:
    try:
        if message.command_field != CommandField.N_EVENT_REPORT_RQ:
            return Status(StatusCode.UNRECOGNIZED_OPERATION)
        hear(read_report(message))
    except ArchiveError as error:
        logger.warning("a report of a commitment was not heard: %s", code_location(error))
        return status_of(error) or Status(StatusCode.PROCESSING_FAILURE)
    return SUCCESS


def encode_request(transaction_uid: str, references: Sequence[Reference], transfer_syntax_uid: str) -> bytes:
    """Encode the data set of a request (PS3.4 Table J.3-1)."""
    encoder = ElementEncoder(TRANSFER_SYNTAXES[transfer_syntax_uid])
    items = (
        encoder.text(_SOP_CLASS, "UI", one.sop_class_uid.encode("ascii"))
        + encoder.text(_SOP_INSTANCE, "UI", one.sop_instance_uid.encode("ascii"))
        for one in references
    )
    return encoder.text(_TRANSACTION_UID, "UI", transaction_uid.encode("ascii")) + encoder.sequence(
        _COMMITTED, items
    )
