"""Modality Performed Procedure Step: devices say what they do, and what they have done (PS3.4 F.7, F.8)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final
from uuid import uuid4

from pacs.archive import Archive
from pacs.dicom.performed_procedure_step import (
    MODALITY_PERFORMED_PROCEDURE_STEP,
    MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE,
)
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dicom.uids import parse_uid
from pacs.dicom.written_dataset import write_dataset
from pacs.dimse.application_entity import Operation
from pacs.dimse.association import Association
from pacs.dimse.command import CommandField, Element
from pacs.dimse.contexts import NATIVE_TRANSFER_SYNTAXES
from pacs.dimse.message import Message
from pacs.dimse.statuses import SUCCESS, Status, StatusCode
from pacs.errors import (
    InvalidAttributeValue,
    InvalidUid,
    UnknownProcedureStep,
    UnreadableInstance,
    UnsupportedSopClass,
)
from pacs.index.known_peers import PeerRight
from pacs.order_progress import tell_orders_soon
from pacs.performed_steps import MAX_MESSAGE_SIZE_BYTES, Said, create_step, set_step

_MOST_TAGS_TOLD: Final = 3  # in an Error Comment


def performed_step_operations(archive: Archive) -> list[Operation]:
    """Make the operations on performed procedure steps. Who may ask for the worklist may tell what it did."""
    return [
        Operation(
            name=name,
            command_field=command_field,
            transfer_syntaxes=NATIVE_TRANSFER_SYNTAXES,
            supports=sop_class.__eq__,
            perform=partial(perform, archive=archive),
            right=PeerRight.WORKLIST,
        )
        for name, command_field, sop_class, perform in (
            ("N-CREATE", CommandField.N_CREATE_RQ, MODALITY_PERFORMED_PROCEDURE_STEP, handle_n_create),
            ("N-SET", CommandField.N_SET_RQ, MODALITY_PERFORMED_PROCEDURE_STEP, handle_n_set),
            ("N-GET", CommandField.N_GET_RQ, MODALITY_PERFORMED_PROCEDURE_STEP_RETRIEVE, handle_n_get),
        )
    ]


def handle_n_create(association: Association, message: Message, *, archive: Archive) -> None:
    """Take in what a device begins to do; a step without a UID gets one of ours.

    Raises
    ------
    pacs.errors.ArchiveError
        It was not taken in; `pacs.dimse.statuses` translates.

    References
    ----------
    PS3.4 F.7.2.1; PS3.7 10.1.5
    """
    _require_sop_class(message, Element.AFFECTED_SOP_CLASS_UID)
    given = message.command.text(Element.AFFECTED_SOP_INSTANCE_UID)
    sop_instance_uid = f"2.25.{uuid4().int}" if given is None else parse_uid(given)
    with _undecodable_values_refused():
        create_step(archive, _said(association, message, sop_instance_uid))
    tell_orders_soon(archive, sop_instance_uid)
    is_ours = [(Element.AFFECTED_SOP_INSTANCE_UID, sop_instance_uid)] if given is None else []
    association.respond(message, SUCCESS, is_ours)


def handle_n_set(association: Association, message: Message, *, archive: Archive) -> None:
    """Take in how a step goes on, or ends. What may not be set is told in a warning, and left as it was.

    Raises
    ------
    pacs.errors.ArchiveError
        It was not taken in; `pacs.dimse.statuses` translates.

    References
    ----------
    PS3.4 F.7.2.2; PS3.7 10.1.3
    """
    sop_instance_uid = _requested_instance(message)
    with _undecodable_values_refused():
        refused = set_step(archive, _said(association, message, sop_instance_uid))
    tell_orders_soon(archive, sop_instance_uid)
    association.respond(message, _not_set(refused) if refused else SUCCESS, _names(message))


def handle_n_get(association: Association, message: Message, *, archive: Archive) -> None:
    """Tell a step as it stands: the attributes that are asked for, or all.

    Raises
    ------
    UnknownProcedureStep
        There is none of this UID.
    pacs.errors.ArchiveError

    References
    ----------
    PS3.4 F.8.2.1; PS3.7 10.1.2
    """
    step = archive.index.performed_steps.find(_requested_instance(message))
    if step is None:
        raise UnknownProcedureStep("no procedure step has this SOP Instance UID")
    wanted = {f"{tag:08X}" for tag in message.command.tags(Element.ATTRIBUTE_IDENTIFIER_LIST)}
    told = {tag: one for tag, one in step.dataset.items() if not wanted or tag in wanted}
    syntax = TRANSFER_SYNTAXES[message.context.transfer_syntax_uid]
    status = SUCCESS
    if missing := wanted - told.keys():
        status = Status(StatusCode.OPTIONAL_ATTRIBUTES_NOT_SUPPORTED, f"{len(missing)} are not known")
    association.respond(message, status, _names(message), write_dataset(told, syntax))


def _said(association: Association, message: Message, sop_instance_uid: str) -> Said:
    data = message.dataset.read(MAX_MESSAGE_SIZE_BYTES)
    if data is None:
        raise InvalidAttributeValue(f"a procedure step is longer than {MAX_MESSAGE_SIZE_BYTES} bytes")
    syntax = message.context.transfer_syntax_uid
    return Said(sop_instance_uid, syntax, data, association.calling_ae_title)


@contextmanager
def _undecodable_values_refused() -> Iterator[None]:
    """Say 0106 of what cannot be read: a normalized service knows no status of its own for that."""
    try:
        yield
    except InvalidUid:
        raise
    except UnreadableInstance as error:
        raise InvalidAttributeValue(str(error)) from error


def _requested_instance(message: Message) -> str:
    _require_sop_class(message, Element.REQUESTED_SOP_CLASS_UID)
    return parse_uid(message.command.text(Element.REQUESTED_SOP_INSTANCE_UID) or "")


def _require_sop_class(message: Message, element: Element) -> None:
    """Refuse a message about another class than a performed procedure step.

    That is the class of all of them, also where the Retrieve SOP Class was negotiated (PS3.4 F.8.3).
    """
    named = message.command.text(element)
    if named not in (None, MODALITY_PERFORMED_PROCEDURE_STEP, message.context.abstract_syntax):
        raise UnsupportedSopClass("the message is about an object of another class")


def _names(message: Message) -> list[tuple[Element, int | str]]:
    """Say in a response which object it is about (PS3.7 Tables 10.3-4 and 10.3-6)."""
    named = (
        (Element.AFFECTED_SOP_CLASS_UID, message.command.text(Element.REQUESTED_SOP_CLASS_UID)),
        (Element.AFFECTED_SOP_INSTANCE_UID, message.command.text(Element.REQUESTED_SOP_INSTANCE_UID)),
    )
    return [(element, uid) for element, uid in named if uid is not None]


def _not_set(refused: tuple[str, ...]) -> Status:
    tags = ", ".join(f"({tag[:4]},{tag[4:]})" for tag in refused[:_MOST_TAGS_TOLD])
    more = " ..." if len(refused) > _MOST_TAGS_TOLD else ""
    return Status(StatusCode.ATTRIBUTE_LIST_ERROR, f"not set: {tags}{more}")
