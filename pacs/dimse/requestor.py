"""The side of an association that asks for it, and for operations on it.

pynetdicom is not used here either: under load, its reactor thread now and then takes the response that the
sending thread waits for (seen with 3.0.4 and a peer that answers at once), and the sender waits until its
timeout and loses the association. It is also eight times slower.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from types import TracebackType
from typing import NamedTuple, Self

from pacs.dimse.command import RESPONSE, CommandField, CommandSet, Element
from pacs.dimse.endings import (
    AssociationAborted,
    AssociationEnded,
    RejectedByPeer,
    invalid_message,
)
from pacs.dimse.limits import Limits
from pacs.dimse.message import Message, receive_message
from pacs.dimse.pdu import (
    NegotiatedContext,
    ProposedContext,
    encode_associate_request,
    whole_fragments,
)
from pacs.dimse.requests import encode_request
from pacs.dimse.responses import encode_response
from pacs.dimse.statuses import Status
from pacs.dimse.upper_layer import UpperLayer
from pacs.dimse.user_information import Roles, UserInformation
from pacs.errors import ArchiveError
from storage.store import Buffer

_MAX_RESPONSE_DATASET_BYTES = 1024 * 1024
_PENDING = (0xFF00, 0xFF01)
_LOOK_EVERY_S = 0.05


class PeerUnreachable(ArchiveError):
    """The peer does not answer, or stopped answering."""


class PeerRejected(ArchiveError):
    """The peer answers, and does not want to talk to us, or not about this."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another application entity on the network.

    ``tls``: the context in which to speak TLS with it (`pacs.dimse.secure_transport.requestor_context`).
    ``certificate_sha256``: what it has to show there, in hexadecimal; None: any certificate that counts.
    """

    host: str
    port: int
    ae_title: str
    tls: ssl.SSLContext | None = None
    certificate_sha256: str | None = None


class Answer(NamedTuple):
    """One of several responses: its command set, its status, and the data set; None: it is too long."""

    command: CommandSet
    status: int
    identifier: bytes | None


class RequestedAssociation:
    """An association that we asked for; leaving the ``with`` block releases it. One thread uses it.

    Parameters
    ----------
    peer
        Whom to ask.
    calling_ae_title
        Who we are.
    offers
        Pairs of abstract syntax and transfer syntax, at most 128: one presentation context each, so that the
        peer cannot choose an encoding that we do not have.
    timeout_s
        How long to wait for the connection, for the answer, and for each response.
    roles
        What we want to be, by abstract syntax, where that is not SCU only.

    Raises
    ------
    PeerUnreachable, PeerRejected
    """

    def __init__(
        self,
        peer: Peer,
        calling_ae_title: str,
        offers: Sequence[tuple[str, str]],
        timeout_s: float,
        *,
        roles: Mapping[str, Roles] | None = None,
    ) -> None:
        self._peer = peer
        self._message_id = 0
        self._at_rest = True  # no message is on its way
        self._closed = False
        proposed = [ProposedContext(2 * i + 1, a, (t,)) for i, (a, t) in enumerate(offers)]
        limits = Limits(associate_timeout_s=timeout_s, network_timeout_s=timeout_s)
        longest = limits.max_pdu_length
        self._max_command_size_bytes = limits.max_command_size_bytes
        user = UserInformation(maximum_length=longest, roles=roles or {})
        request = encode_associate_request(peer.ae_title, calling_ae_title, proposed, user)
        self._upper_layer = UpperLayer(_connect(peer, timeout_s), limits, peer.tls)
        try:
            accept = self._upper_layer.request_association(request, peer.certificate_sha256)
        except AssociationEnded as ending:
            raise self._end(ending) from None
        self._maximum_length = min(accept.maximum_length or longest, longest)
        self._contexts = {
            p.context_id: NegotiatedContext(p.context_id, p.abstract_syntax, p.transfer_syntaxes[0])
            for p in proposed
            if accept.transfer_syntaxes.get(p.context_id) == p.transfer_syntaxes[0]
        }

    @property
    def piece_size_bytes(self) -> int:
        """How much of a data set that is sent is best read at a time."""
        return whole_fragments(self._maximum_length)

    def find_context(self, abstract_syntax: str, transfer_syntax_uid: str) -> NegotiatedContext | None:
        """Find the accepted presentation context of an offer; None when the peer did not accept it."""
        for context in self._contexts.values():
            if (context.abstract_syntax, context.transfer_syntax_uid) == (
                abstract_syntax,
                transfer_syntax_uid,
            ):
                return context
        return None

    def accepted_syntaxes(self, abstract_syntax: str) -> list[str]:
        """List the transfer syntaxes that the peer accepted for an abstract syntax."""
        contexts = self._contexts.values()
        return [one.transfer_syntax_uid for one in contexts if one.abstract_syntax == abstract_syntax]

    def perform(
        self,
        context: NegotiatedContext,
        command_field: CommandField,
        elements: Iterable[tuple[Element, int | str]],
        dataset: Iterable[Buffer] | None = None,
    ) -> Message:
        """Have the peer perform an operation, and return its response, which has a status.

        Parameters
        ----------
        context
            One of ours, see `find_context`.
        elements
            Those of the command set besides the ones that every request has.
        dataset
            The encoded data set, piece by piece.

        Raises
        ------
        PeerUnreachable
            The association is over.
        """
        self._at_rest = False
        try:
            self._send_request(context, command_field, elements, dataset)
            response = self._receive_response(command_field)
        except AssociationEnded as ending:
            raise self._end(ending) from None
        self._at_rest = True
        return response

    def exchange(
        self,
        context: NegotiatedContext,
        command_field: CommandField,
        elements: Iterable[tuple[Element, int | str]],
        identifier: bytes,
        perform: Callable[[Message], Status] | None = None,
        max_dataset_bytes: int = _MAX_RESPONSE_DATASET_BYTES,
    ) -> Iterator[Answer]:
        """Have the peer perform an operation with pending responses, and yield each response.

        Parameters
        ----------
        perform
            Performs what the peer asks of us meanwhile, and gives the status that it is told; where it
            leaves something of a data set, that is thrown away.
        max_dataset_bytes
            A longer data set of such a request ends the association.

        Raises
        ------
        PeerUnreachable
            The association is over.
        """
        self._at_rest = False
        try:
            self._send_request(context, command_field, elements, [identifier])
            while True:
                message = self._receive(max_dataset_bytes)
                if perform is not None and not message.command_field & RESPONSE:
                    self._respond(message, perform(message))
                    continue
                self._require_response(message, command_field)
                status = message.command.required_number(Element.STATUS)
                answer = Answer(message.command, status, message.dataset.read(_MAX_RESPONSE_DATASET_BYTES))
                message.dataset.drain()
                if status not in _PENDING:
                    break
                yield answer
        except AssociationEnded as ending:
            raise self._end(ending) from None
        self._at_rest = True
        yield answer

    def hear(self, perform: Callable[[Message], Status], timeout_s: float) -> bool:
        """Wait a while for a request of the peer, and perform it; tell whether there was one.

        Raises
        ------
        PeerUnreachable
            The association is over, by the peer's wish perhaps.
        """
        deadline = monotonic() + timeout_s
        try:
            while not self._upper_layer.has_arrived():
                if monotonic() > deadline:
                    return False
                sleep(_LOOK_EVERY_S)
            message = self._receive(_MAX_RESPONSE_DATASET_BYTES)
            self._respond(message, perform(message))
        except AssociationEnded as ending:
            raise self._end(ending) from None
        return True

    def _send_request(
        self,
        context: NegotiatedContext,
        command_field: CommandField,
        elements: Iterable[tuple[Element, int | str]],
        dataset: Iterable[Buffer] | None,
    ) -> None:
        self._message_id = self._message_id % 0xFFFF + 1
        request = encode_request(
            context, command_field, self._message_id, elements, dataset, self._maximum_length
        )
        for parts in request:
            self._upper_layer.send_parts(parts)

    def _receive(self, max_dataset_bytes: int) -> Message:
        message = receive_message(
            self._upper_layer, self._contexts, max_dataset_bytes, self._max_command_size_bytes
        )
        if message is None:
            raise invalid_message("a release instead of a response")
        return message

    def _respond(self, message: Message, status: Status) -> None:
        message.dataset.drain()
        self._upper_layer.send(
            encode_response(
                message.context.context_id,
                message.command_field,
                message.command,
                status,
                self._maximum_length,
            )
        )

    def _require_response(self, message: Message, command_field: CommandField) -> None:
        answered = message.command.number(Element.MESSAGE_ID_BEING_RESPONDED_TO)
        if message.command_field != command_field | RESPONSE or answered != self._message_id:
            raise invalid_message("the response is to another request")

    def _receive_response(self, command_field: CommandField) -> Message:
        message = self._receive(_MAX_RESPONSE_DATASET_BYTES)
        self._require_response(message, command_field)
        message.command.required_number(Element.STATUS)
        message.dataset.drain()
        return message

    def _end(self, ending: AssociationEnded) -> ArchiveError:
        """Close, and say to the caller what happened."""
        if isinstance(ending, AssociationAborted):
            self._upper_layer.abort(ending)
        self._upper_layer.close()
        self._closed = True
        if isinstance(ending, RejectedByPeer):
            return PeerRejected(f"{self._peer.ae_title} rejected the association: {ending}")
        return PeerUnreachable(f"the association with {self._peer.ae_title} is lost: {ending}")

    def break_off(self) -> None:
        """Have the thread that uses it lose the connection at once. Called from any thread."""
        self._upper_layer.break_off()

    def close(self) -> None:
        """Release it; abort it where a message has not come to its end."""
        if not self._at_rest and not self._closed:
            self._end(invalid_message("the user gives up inside a message"))
        if not self._closed:
            self._closed = True
            with contextlib.suppress(AssociationEnded):  # every response is here
                self._upper_layer.release()
            self._upper_layer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _connect(peer: Peer, timeout_s: float) -> socket.socket:
    try:
        connection = socket.create_connection((peer.host, peer.port), timeout_s)
    except OSError as error:
        reason = error.strerror or "no answer"
        raise PeerUnreachable(f"{peer.host}:{peer.port} cannot be reached: {reason}") from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
