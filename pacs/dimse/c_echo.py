"""C-ECHO, the Verification Service Class (PS3.4 Annex A)."""

from __future__ import annotations

from pacs.dimse.application_entity import Operation
from pacs.dimse.association import Association
from pacs.dimse.command import CommandField
from pacs.dimse.contexts import NATIVE_TRANSFER_SYNTAXES
from pacs.dimse.message import Message
from pacs.dimse.statuses import SUCCESS

VERIFICATION_SOP_CLASS = "1.2.840.10008.1.1"


def handle_c_echo(association: Association, message: Message) -> None:
    """Say that we are here."""
    association.respond(message, SUCCESS)


C_ECHO = Operation(
    name="C-ECHO",
    command_field=CommandField.C_ECHO_RQ,
    transfer_syntaxes=NATIVE_TRANSFER_SYNTAXES,
    supports=VERIFICATION_SOP_CLASS.__eq__,
    perform=handle_c_echo,
)
