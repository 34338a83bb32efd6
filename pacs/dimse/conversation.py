"""The messages of an association once it is established: requests of both sides, and their responses.

What is done with a request is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pacs.dimse.command import RESPONSE, CommandField, Element
from pacs.dimse.endings import AssociationAborted, AssociationEnded, invalid_message
from pacs.dimse.limits import Limits
from pacs.dimse.message import Message, receive_message
from pacs.dimse.pdu import NegotiatedContext, whole_fragments
from pacs.dimse.requests import encode_request
from pacs.dimse.responses import encode_pending_responses, encode_response
from pacs.dimse.statuses import Status, code_location
from pacs.dimse.upper_layer import UpperLayer
from storage.store import Buffer


class Conversation:
    """What both sides of an association say to each other, with a window of one operation.

    Parameters
    ----------
    max_dataset_bytes
        Of one message.
    """

    def __init__(self, upper_layer: UpperLayer, limits: Limits, max_dataset_bytes: int) -> None:
        self._upper_layer = upper_layer
        self._max_command_size_bytes = limits.max_command_size_bytes
        self._max_dataset_bytes = max_dataset_bytes
        self._contexts: Mapping[int, NegotiatedContext] = {}
        self._maximum_length = 0
        self._came_early: Message | None = None  # while an operation was performed
        self._cancelled = False  # the operation that is performed
        self._release_requested = False
        self._message_id = 0  # of the last operation that we invoked
        self._held = b""  # responses that go with what is sent next

    def _begin(self, contexts: Mapping[int, NegotiatedContext], maximum_length: int) -> None:
        """Heed what was negotiated: the accepted contexts, and how long a PDU of ours may be."""
        self._contexts, self._maximum_length = contexts, maximum_length

    def _next_message(self) -> Message | None:
        """Return what came during an operation, or wait; None where the release was asked for."""
        message, self._came_early = self._came_early, None
        if message is not None or self._release_requested:
            return message
        return self._receive_message()

    def _receive_message(self) -> Message | None:
        return receive_message(
            self._upper_layer,
            self._contexts,
            self._max_dataset_bytes,
            self._max_command_size_bytes,
        )

    def respond(
        self,
        message: Message,
        status: Status,
        elements: Iterable[tuple[Element, int | str]] = (),
        dataset: bytes | None = None,
        *,
        soon: bool = False,
    ) -> None:
        """Answer a request, once its data set is received to its end.

        Parameters
        ----------
        elements
            What the command set of the response has besides what every response has, such as the numbers of
            sub-operations.
        dataset
            What goes along, encoded in the transfer syntax of the request's presentation context.
        soon
            Send it with what is sent next, in one write, for a message of ours is about to follow.

        Raises
        ------
        AssociationEnded
            The peer is not there any more.
        """
        message.dataset.drain()
        self._held += encode_response(
            message.context.context_id,
            message.command_field,
            message.command,
            status,
            self._maximum_length,
            tuple(elements),
            dataset,
        )
        if not soon:
            self._upper_layer.send(self._take_held())

    def respond_pending(self, message: Message, status: Status, identifiers: Iterable[bytes]) -> None:
        """Send pending responses, each with an identifier, as these are made: many small ones in one write.

        All that is given here is sent when it returns.

        Raises
        ------
        AssociationEnded
            The peer is not there any more.

        References
        ----------
        PS3.7 9.1.2.1
        """
        message.dataset.drain()
        for data in encode_pending_responses(
            message.context.context_id,
            message.command_field,
            message.command,
            status,
            self._maximum_length,
            identifiers,
        ):
            self._upper_layer.send(data)

    def is_cancelled(self, message: Message) -> bool:
        """Look, without waiting, whether the peer has taken back the request that is being performed.

        An operation that answers more than once asks this several times a second. What else comes meanwhile
        is treated as it has to be: an abort ends the association; who asks for its release wants no more
        answers, gets the last one, and is released (PS3.8 9.2.3, AR-2 and AR-7); another request, which no
        peer may make with a window of one operation, waits for its turn, and behind it nothing is seen.

        Raises
        ------
        AssociationEnded
            The peer is not there any more, or breaks a rule.

        References
        ----------
        PS3.7 9.3.2.3; PS3.4 C.4.1.1.4
        """
        message.dataset.drain()
        while not self._withdrawn and self._came_early is None and self._upper_layer.has_arrived():
            arrived = self._receive_message()
            if arrived is None:
                self._release_requested = True
            elif arrived.is_cancel_of(message):
                self._cancelled = True
            elif arrived.command_field != CommandField.C_CANCEL_RQ:
                self._came_early = arrived
        return self._withdrawn

    @property
    def piece_size_bytes(self) -> int:
        """How much of a data set that is sent is best read at a time."""
        return whole_fragments(self._maximum_length)

    def contexts_to_invoke(self, abstract_syntax: str) -> list[NegotiatedContext]:
        """List the accepted contexts of an abstract syntax in which the peer is SCP."""
        contexts = self._contexts.values()
        return [one for one in contexts if one.abstract_syntax == abstract_syntax and one.roles.scp]

    def invoke(
        self,
        request: Message,
        context: NegotiatedContext,
        command_field: CommandField,
        elements: Iterable[tuple[Element, int | str]],
        dataset: Iterable[Buffer],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> int:
        """Have the peer perform a sub-operation of what it asked for, and return its status.

        That it takes its request back meanwhile is noted for `is_cancelled`.

        Parameters
        ----------
        request
            What the sub-operation is for.
        context
            One of `contexts_to_invoke`.
        elements
            Those of the command set besides the ones that every request has.
        dataset
            The encoded data set, piece by piece. What it raises leaves half a message behind, so the
            association ends.
        meanwhile
            Called while the peer is busy with what was sent.

        Raises
        ------
        AssociationEnded
            The peer is not there any more, or breaks a rule.
        """
        message_id = self._send_request(context, command_field, elements, dataset)
        meanwhile()
        while (arrived := self._receive_message()) is not None:
            if (status := status_in(arrived, command_field, message_id)) is not None:
                return status
            if arrived.command_field != CommandField.C_CANCEL_RQ:
                break
            self._cancelled |= arrived.is_cancel_of(request)
        raise invalid_message("something else than the response to a sub-operation")

    @property
    def is_silent(self) -> bool:
        """Whether the peer has said nothing that waits for an answer: no request, no wish for the release."""
        return not (self._release_requested or self._came_early or self._upper_layer.has_arrived())

    def _send_request(
        self,
        context: NegotiatedContext,
        command_field: CommandField,
        elements: Iterable[tuple[Element, int | str]],
        dataset: Iterable[Buffer],
    ) -> int:
        """Send a request of ours, and return its Message ID."""
        self._message_id = message_id = self._message_id % 0xFFFF + 1
        try:
            for parts in encode_request(
                context, command_field, message_id, elements, dataset, self._maximum_length
            ):
                self._upper_layer.send_parts([self._take_held(), *parts] if self._held else parts)
        except AssociationEnded:
            raise
        except Exception as error:
            raise AssociationAborted(f"a data set was cut short: {code_location(error)}") from error
        return message_id

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        return held

    @property
    def _withdrawn(self) -> bool:
        return self._cancelled or self._release_requested


def status_in(message: Message, command_field: CommandField, message_id: int) -> int | None:
    """Read the status of a message that responds to a request of ours; None where it is something else."""
    answered = message.command.number(Element.MESSAGE_ID_BEING_RESPONDED_TO)
    if message.command_field != command_field | RESPONSE or answered != message_id:
        return None
    message.dataset.drain()
    return message.command.required_number(Element.STATUS)
