"""Requests of ours, of the acceptor as of the requestor of an association (PS3.7 9.3, 10.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pacs.dimse.command import DATA_SET, NO_DATA_SET, CommandField, Element, encode_command_set
from pacs.dimse.pdu import NegotiatedContext, encode_message
from storage.store import Buffer


def encode_request(
    context: NegotiatedContext,
    command_field: CommandField,
    message_id: int,
    elements: Iterable[tuple[Element, int | str]],
    dataset: Iterable[Buffer] | None,
    maximum_length: int,
) -> Iterator[list[Buffer]]:
    """Encode a request in writes of P-DATA-TFs, as `encode_message` does.

    Parameters
    ----------
    elements
        Those of the command set besides the ones that every request has. Where no Requested SOP Class UID
        is among them, the one of the context is the Affected one.
    dataset
        The encoded data set, piece by piece; None: there is none.
    maximum_length
        Longest P-DATA-TF that the peer takes.
    """
    named = dict(elements)
    if Element.REQUESTED_SOP_CLASS_UID not in named:
        named[Element.AFFECTED_SOP_CLASS_UID] = context.abstract_syntax
    command = encode_command_set(
        [
            (Element.COMMAND_FIELD, command_field),
            (Element.MESSAGE_ID, message_id),
            (Element.COMMAND_DATA_SET_TYPE, NO_DATA_SET if dataset is None else DATA_SET),
            *named.items(),
        ]
    )
    return encode_message(context.context_id, command, dataset, maximum_length)
