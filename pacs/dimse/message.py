"""DIMSE messages: a command set at once, the data set behind it as it comes (PS3.7 6.3, PS3.8 Annex E)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from pacs.dimse.command import NO_DATA_SET, CommandField, CommandSet, Element, decode_command_set
from pacs.dimse.endings import invalid_message, invalid_parameter
from pacs.dimse.pdu import NegotiatedContext
from pacs.dimse.upper_layer import Pdv

_MOST_THROWN_AWAY_BYTES = 16 * 1024 * 1024  # so that a peer that errs is answered, and not one that attacks


class PdvSource(Protocol):
    """Where fragments come from."""

    def receive_pdv(self, *, begins_message: bool = False) -> Pdv | None:
        """See `UpperLayer.receive_pdv`."""


class DatasetChunks:
    """The encoded data set of a message, pulled from the socket piece by piece while it is consumed.

    A chunk is a view of a buffer that the next one uses again. What the consumer leaves is thrown away by
    `drain`, so that the next message finds its place.
    """

    def __init__(self, source: PdvSource, context_id: int, max_size_bytes: int, *, present: bool) -> None:
        self._source = source
        self._context_id = context_id
        self._room_bytes = max_size_bytes
        self._complete = not present

    def __iter__(self) -> Iterator[memoryview]:
        """Iterate once; a second loop goes on where the first one stopped."""
        while not self._complete:
            pdv = self._source.receive_pdv()
            if pdv is None or pdv.is_command or pdv.context_id != self._context_id:
                raise invalid_message("a data set is followed by something else before its last fragment")
            # Empty fragments without end are an attack too: the header of each is counted.
            self._room_bytes -= len(pdv.data) + 6
            if self._room_bytes < 0:
                raise invalid_message("a data set has no end")
            self._complete = pdv.is_last
            yield pdv.data

    def read(self, max_size_bytes: int) -> bytes | None:
        """Read it as a whole; None if it is longer than that, and the rest is not taken in for long."""
        read = bytearray()
        for chunk in self:
            read += chunk
            if len(read) > max_size_bytes:
                self._room_bytes = min(self._room_bytes, _MOST_THROWN_AWAY_BYTES)
                return None
        return bytes(read)

    def drain(self) -> None:
        """Receive the rest and forget it."""
        for _ in self:
            pass


class Message(NamedTuple):
    """A message as a handler gets it."""

    context: NegotiatedContext
    command: CommandSet
    dataset: DatasetChunks
    command_field: int

    def is_cancel_of(self, request: Message) -> bool:
        """Tell whether it is the C-CANCEL-RQ for a request (PS3.7 9.3.2.3)."""
        cancelled = self.command.number(Element.MESSAGE_ID_BEING_RESPONDED_TO)
        return self.command_field == CommandField.C_CANCEL_RQ and cancelled == request.command.number(
            Element.MESSAGE_ID
        )


def receive_message(
    source: PdvSource,
    contexts: Mapping[int, NegotiatedContext],
    max_dataset_bytes: int,
    max_command_size_bytes: int,
) -> Message | None:
    """Receive the next message up to its data set; None when the peer asks for the release instead.

    Parameters
    ----------
    source
        The upper layer.
    contexts
        The accepted presentation contexts by ID.
    max_dataset_bytes
        A data set longer than this ends the association, even where nobody keeps it.
    max_command_size_bytes
        So does a command set longer than this.

    Raises
    ------
    AssociationAborted, ConnectionLost, PeerAborted
        The association is over.
    """
    pdv = source.receive_pdv(begins_message=True)
    if pdv is None:
        return None
    context = contexts.get(pdv.context_id)
    if context is None:
        raise invalid_parameter("a fragment belongs to no accepted presentation context")
    command = decode_command_set(_receive_command(source, pdv, max_command_size_bytes))
    has_dataset = command.required_number(Element.COMMAND_DATA_SET_TYPE) != NO_DATA_SET
    return Message(
        context,
        command,
        DatasetChunks(source, context.context_id, max_dataset_bytes, present=has_dataset),
        command.required_number(Element.COMMAND_FIELD),
    )


def _receive_command(source: PdvSource, first: Pdv, max_size_bytes: int) -> bytearray:
    """Put the fragments of a command set together; almost always there is one."""
    command = bytearray()
    pdv: Pdv | None = first
    fragments = 0
    while pdv is not None and pdv.is_command and pdv.context_id == first.context_id:
        command += pdv.data
        fragments += 1
        if max(len(command), fragments) > max_size_bytes:
            raise invalid_message("a command set has no end")
        if pdv.is_last:
            return command
        pdv = source.receive_pdv()
    raise invalid_message("a command set is not followed by its last fragment")
