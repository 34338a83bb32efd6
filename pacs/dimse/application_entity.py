"""What a peer meets behind the port: the operations performed for it, and those that come of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pacs.dimse.callers import Caller, Reception
from pacs.dimse.contexts import Capability
from pacs.dimse.endings import RejectCause
from pacs.dimse.limits import Limits
from pacs.dimse.user_identity import IdentityCheck
from pacs.index.known_peers import PeerRight

if TYPE_CHECKING:
    from pacs.dimse.association import Association
    from pacs.dimse.message import Message


@dataclass(frozen=True, slots=True)
class SubOperation:
    """What an operation invokes on the requestor, over its own association, such as the C-STOREs of a C-GET.

    It is negotiated by role selection: the requestor is SCP of these abstract syntaxes (PS3.7 D.3.3.4).
    """

    transfer_syntaxes: Collection[str]
    supports: Callable[[str], bool]  # an abstract syntax


@dataclass(frozen=True, slots=True)
class Operation:
    """A DIMSE operation that this application entity performs for others.

    ``perform`` has the request and answers it: once with `Association.respond`, or before that many times
    with `Association.respond_pending`, asking `Association.is_cancelled` in between. An error of the archive
    that it raises is translated, and answered for it.
    """

    name: str  # "C-STORE"
    command_field: int
    transfer_syntaxes: Collection[str]
    supports: Callable[[str], bool]  # an abstract syntax
    perform: Callable[[Association, Message], None]
    right: PeerRight | None = None  # that a caller needs for it; None: none
    # Service class application information, ours to the requestor's, where the service defines one.
    extended_negotiation: Callable[[bytes], bytes] | None = None
    sub_operation: SubOperation | None = None


@dataclass(frozen=True, slots=True)
class ApplicationEntity:
    """All that is done here, by the operations that do it."""

    ae_title: str
    operations: Sequence[Operation]
    limits: Limits = field(default_factory=Limits)
    max_dataset_bytes: int = 32 * 1024**3
    reception: Reception | None = None  # None: everybody is let in who knows our AE title
    identity_check: IdentityCheck = field(default_factory=IdentityCheck)

    def receive(
        self, called_ae_title: str, calling_ae_title: str, address: str, certificate_sha256: str | None
    ) -> Caller | RejectCause:
        """Recognise a caller, or say why it is not let in."""
        reception = self.reception or Reception([self.ae_title])
        return reception.receive(called_ae_title, calling_ae_title, address, certificate_sha256)

    def recognise_again(self, caller: Caller, address: str, certificate_sha256: str | None) -> Caller:
        """Recognise a caller by what is known now: an association may last longer than a right."""
        if self.reception is None:
            return caller
        return self.reception.recognise_again(caller, address, certificate_sha256)

    def note_failure(self, address: str) -> None:
        """Count a wrong passcode or token: who guesses is put off for a while."""
        if self.reception is not None:
            self.reception.note_failure(address)

    def capability(self, abstract_syntax: str) -> Capability:
        """Tell what some operation performs of an abstract syntax, or invokes."""
        performed = [o.transfer_syntaxes for o in self.operations if o.supports(abstract_syntax)]
        sub_operations = [o.sub_operation for o in self.operations if o.sub_operation is not None]
        invoked = [s.transfer_syntaxes for s in sub_operations if s.supports(abstract_syntax)]
        return Capability(frozenset().union(*performed), frozenset().union(*invoked))

    def application_information(self, abstract_syntax: str, proposed: bytes) -> bytes | None:
        """Answer an extended negotiation (PS3.7 D.3.3.5); None where the service has none."""
        for operation in self.operations:
            if operation.extended_negotiation is not None and operation.supports(abstract_syntax):
                return operation.extended_negotiation(proposed)
        return None

    def find_operation(self, command_field: int, abstract_syntax: str) -> Operation | None:
        """Find who performs a command in a presentation context."""
        for operation in self.operations:
            if operation.command_field == command_field and operation.supports(abstract_syntax):
                return operation
        return None
