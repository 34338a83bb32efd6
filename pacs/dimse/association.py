"""One association from its A-ASSOCIATE-RQ to its end: negotiation, then operations one after the other.

Which operations there are is not known here: they are registered by command field and abstract syntax.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from pacs.dimse.application_entity import ApplicationEntity, Operation
from pacs.dimse.callers import Caller, plain_address
from pacs.dimse.command import RESPONSE, CommandField, Element
from pacs.dimse.contexts import negotiate
from pacs.dimse.conversation import Conversation, status_in
from pacs.dimse.endings import (
    LOCAL_LIMIT_EXCEEDED,
    AssociationAborted,
    AssociationEnded,
    AssociationRejected,
    HandshakeFailed,
    invalid_message,
)
from pacs.dimse.entry import identify, recognise
from pacs.dimse.message import Message
from pacs.dimse.negotiation import answer_user_information
from pacs.dimse.pdu import (
    AssociateRequest,
    ContextResult,
    NegotiatedContext,
    encode_associate_accept,
)
from pacs.dimse.statuses import Status, StatusCode, code_location, error_comment, status_of
from pacs.dimse.upper_layer import UpperLayer
from pacs.dimse.user_identity import Identified
from pacs.errors import PeerRefused
from storage.store import Buffer

logger = logging.getLogger(__name__)


class Association(Conversation):
    """One association, served by the thread that calls `serve`."""

    def __init__(
        self,
        connection: socket.socket,
        entity: ApplicationEntity,
        admit: Callable[[Association], bool],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = _address_of(connection)
        upper_layer = UpperLayer(connection, entity.limits, tls)
        super().__init__(upper_layer, entity.limits, entity.max_dataset_bytes)
        self._entity = entity
        self._admit = admit
        self._tally: Counter[str] = Counter()
        self._put_off: deque[Callable[[], None]] = deque()
        self.calling_ae_title = ""
        self.called_ae_title = ""
        # What the requestor said in extended negotiation, by SOP class, where we answered.
        self.application_information: Mapping[str, bytes] = {}
        self.caller = Caller("", frozenset())
        self.user_name: str | None = None  # where a login says who it is

    @property
    def idle(self) -> bool:
        """Whether it waits for a message of which nothing has come yet."""
        return self._upper_layer.idle

    def interrupt(self) -> None:
        """Have it aborted as soon as it waits for the peer. Called from any thread."""
        self._upper_layer.interrupt()

    def serve(self) -> None:
        """Negotiate, then do as asked until the peer releases, aborts, vanishes or breaks a rule."""
        begin = monotonic()
        try:
            self._establish(self._upper_layer.receive_associate_request())
            self._perform_operations()
            self._upper_layer.confirm_release()
            self._log_end("released", begin)
        except AssociationRejected as rejection:
            self._upper_layer.reject(rejection.cause)
        except AssociationAborted as abort:
            self._upper_layer.abort(abort)
            self._log_end(f"aborted: {abort}", begin)
        except HandshakeFailed as failure:
            logger.warning("%s", failure)
        except AssociationEnded as ending:
            self._log_end(f"lost: {ending}", begin)
        except Exception as error:  # a thread that dies silently would leave the peer waiting
            logger.error("association with %s failed: %s", self.calling_ae_title, code_location(error))
            self._upper_layer.abort(AssociationAborted("internal error"))
        finally:
            self._upper_layer.close()

    def _establish(self, request: AssociateRequest) -> None:
        self.caller, identified = self._judge(request)
        proposed = request.user
        self.user_name = identified.user_name
        answers = negotiate(request.contexts, self._entity.capability, proposed.roles)
        self.calling_ae_title = request.calling_ae_title
        self.called_ae_title = request.called_ae_title
        longest = self._entity.limits.max_pdu_length
        contexts = {a.context_id: a for a in answers if a.result == ContextResult.ACCEPTANCE}
        self._begin(contexts, min(proposed.maximum_length or longest, longest))
        accepted = {context.abstract_syntax: context.roles for context in contexts.values()}
        user = answer_user_information(
            proposed, accepted, self._entity.application_information, longest, identified.response
        )
        self.application_information = {uid: proposed.extended[uid] for uid in user.extended}
        self._upper_layer.accept(encode_associate_accept(request, answers, user))
        logger.debug(
            "association with %s (%s): %d of %d presentation contexts accepted",
            request.calling_ae_title, proposed.implementation_version_name, len(contexts), len(answers),
        )  # fmt: skip

    def _judge(self, request: AssociateRequest) -> tuple[Caller, Identified]:
        """Accept or reject as a whole (PS3.8 Table 9-21)."""
        try:
            certificate = self._upper_layer.peer_certificate_sha256
            caller = recognise(request, self._entity, self._address, certificate)
            is_secure = certificate is not None
            identified = identify(request, self._entity, self._address, is_secure=is_secure)
            if not self._admit(self):
                raise AssociationRejected(LOCAL_LIMIT_EXCEEDED)
        except AssociationRejected as rejection:
            logger.warning(
                "association from %s rejected: %s; called AE title %r, calling AE title %r",
                self._address, rejection.cause.meaning, request.called_ae_title, request.calling_ae_title,
            )  # fmt: skip
            raise
        return caller, identified

    def _perform_operations(self) -> None:
        while (message := self._next_message()) is not None:
            self._answer(message)
            while self._put_off and self.is_silent:
                self._put_off.popleft()()

    def _answer(self, message: Message) -> None:
        if message.command_field == CommandField.C_CANCEL_RQ:
            return  # it crossed our last response, and is not answered (PS3.7 9.3.2.3)
        if message.command_field & RESPONSE or message.command.number(Element.MESSAGE_ID) is None:
            raise invalid_message("a message is no request that could be answered")
        self._perform(message)
        message.dataset.drain()

    def _perform(self, message: Message) -> None:
        self._cancelled = False
        operation = self._entity.find_operation(message.command_field, message.context.abstract_syntax)
        if operation is None:
            self.respond(message, Status(StatusCode.UNRECOGNIZED_OPERATION, "not performed in this context"))
            return
        try:
            self._require_right(operation)
            operation.perform(self, message)
            self._tally[f"{operation.name} done"] += 1
        except AssociationEnded:
            raise
        except Exception as error:
            self._tally[f"{operation.name} failed"] += 1
            self.respond(message, self._failure(operation, error))

    def _require_right(self, operation: Operation) -> None:
        if operation.right is None:
            return
        shown = self._upper_layer.peer_certificate_sha256
        self.caller = self._entity.recognise_again(self.caller, self._address, shown)
        if operation.right not in self.caller.rights:
            raise PeerRefused(f"{operation.name} is not allowed to this AE title")

    def _failure(self, operation: Operation, error: Exception) -> Status:
        status = status_of(error)
        if status is None:
            logger.error("%s from %s failed: %s", operation.name, self.calling_ae_title, code_location(error))
            status = Status(StatusCode.PROCESSING_FAILURE, "internal error")
        else:
            logger.warning(
                "%s from %s refused with %04X: %s",
                operation.name, self.calling_ae_title, status.code, error_comment(str(error)),
            )  # fmt: skip
        return status

    def put_off(self, task: Callable[[], None]) -> None:
        """Have something done when the peer has been answered, as long as it says nothing."""
        self._put_off.append(task)

    def report(
        self,
        context: NegotiatedContext,
        command_field: CommandField,
        elements: Iterable[tuple[Element, int | str]],
        dataset: Iterable[Buffer],
    ) -> int | None:
        """Have the peer perform an operation that is no part of one of its own, and return its status.

        What the peer asks for before it answers, as it may, is performed first. None: it asks for the release
        instead. Parameters and errors are those of `invoke`.
        """
        message_id = self._send_request(context, command_field, elements, dataset)
        while (arrived := self._next_message()) is not None:
            if (status := status_in(arrived, command_field, message_id)) is not None:
                return status
            self._answer(arrived)
        return None

    def _log_end(self, how: str, begin: float) -> None:
        """Log one line; no louder than debug for what never became an association, such as a port scan."""
        logger.log(
            logging.INFO if self.calling_ae_title else logging.DEBUG,
            "association with %s %s; %s, %d bytes in %.1f s",
            self.calling_ae_title or "nobody",
            how,
            ", ".join(f"{count} {what}" for what, count in sorted(self._tally.items())) or "nothing done",
            self._upper_layer.received_bytes,
            monotonic() - begin,
        )


def _address_of(connection: socket.socket) -> str:
    """Tell from which address a peer has connected."""
    try:
        name = connection.getpeername()
    except OSError:  # it is gone already
        return ""
    return plain_address(str(name[0])) if isinstance(name, tuple) else ""
