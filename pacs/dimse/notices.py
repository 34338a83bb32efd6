"""Telling peers something as service class user: N-CREATE and N-SET over an association of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final, NamedTuple

from pacs.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from pacs.dimse.command import CommandField, Element
from pacs.dimse.contexts import NATIVE_TRANSFER_SYNTAXES
from pacs.dimse.requestor import Peer, PeerRejected, RequestedAssociation
from pacs.dimse.statuses import NO_LONGER_UPDATED, StatusCode, may_pass

_WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116})  # PS3.7 Annex C; those of services are Bxxx


class ServiceNotOffered(PeerRejected):
    """The peer answers, and does not take this kind of message."""


class Outcome(Enum):
    """What became of a message."""

    TAKEN = "taken"
    REFUSED = "refused"  # and will be, as often as it is sent
    LATER = "later"  # the peer cannot take it now


class PeerAnswer(NamedTuple):
    """The status of a response, and its Error ID where there is one."""

    status: int
    error_id: int | None

    def outcome(self, command_field: CommandField, *, is_again: bool) -> Outcome:
        """Judge what became of a message.

        Parameters
        ----------
        is_again
            It may have been sent before, and the answer was not heard. An N-SET to a step that has ended
            (PS3.4 F.7.2.2.4) was heard then. An N-CREATE of a known UID was heard in any case: UIDs are
            unique.
        """
        if self.status == StatusCode.SUCCESS or self.status in _WARNINGS or self.status & 0xF000 == 0xB000:
            return Outcome.TAKEN
        if self.status == StatusCode.DUPLICATE_SOP_INSTANCE and command_field == CommandField.N_CREATE_RQ:
            return Outcome.TAKEN
        if self.error_id == NO_LONGER_UPDATED:
            return Outcome.TAKEN if is_again else Outcome.REFUSED
        return Outcome.LATER if may_pass(self.status) else Outcome.REFUSED


class CalledPeer:
    """A peer with which an association is on, about one SOP class."""

    def __init__(self, association: RequestedAssociation, sop_class_uid: str) -> None:
        self._association = association
        self._sop_class_uid = sop_class_uid
        self._syntaxes = association.accepted_syntaxes(sop_class_uid)

    def create(self, sop_instance_uid: str, syntax_uid: str, encode: Callable[[str], bytes]) -> PeerAnswer:
        """Send an N-CREATE (PS3.7 10.1.5) in a transfer syntax, if the peer takes it, or in another one.

        Parameters
        ----------
        encode
            Encodes the data set in a transfer syntax.

        Raises
        ------
        pacs.dimse.requestor.PeerUnreachable
        """
        named: list[tuple[Element, int | str]] = [(Element.AFFECTED_SOP_INSTANCE_UID, sop_instance_uid)]
        return self._perform(CommandField.N_CREATE_RQ, named, syntax_uid, encode)

    def set(self, sop_instance_uid: str, syntax_uid: str, encode: Callable[[str], bytes]) -> PeerAnswer:
        """Send an N-SET (PS3.7 10.1.3), as `create` does."""
        named: list[tuple[Element, int | str]] = [
            (Element.REQUESTED_SOP_CLASS_UID, self._sop_class_uid),
            (Element.REQUESTED_SOP_INSTANCE_UID, sop_instance_uid),
        ]
        return self._perform(CommandField.N_SET_RQ, named, syntax_uid, encode)

    def _perform(
        self,
        command_field: CommandField,
        named: list[tuple[Element, int | str]],
        syntax_uid: str,
        encode: Callable[[str], bytes],
    ) -> PeerAnswer:
        chosen = syntax_uid if syntax_uid in self._syntaxes else self._syntaxes[0]
        context = self._association.find_context(self._sop_class_uid, chosen)
        if context is None:
            raise ServiceNotOffered("the peer takes no such message")
        command = self._association.perform(context, command_field, named, [encode(chosen)]).command
        return PeerAnswer(command.required_number(Element.STATUS), command.number(Element.ERROR_ID))


@contextmanager
def calling(peer: Peer, our_ae_title: str, sop_class_uid: str, timeout_s: float) -> Iterator[CalledPeer]:
    """Open an association with a peer about a SOP class; the end of the block releases it.

    Raises
    ------
    ServiceNotOffered
        The peer does not take messages about this class.
    pacs.dimse.requestor.PeerUnreachable, pacs.dimse.requestor.PeerRejected
    """
    syntaxes = sorted(NATIVE_TRANSFER_SYNTAXES, key=IMPLICIT_VR_LITTLE_ENDIAN.__ne__)
    offers = [(sop_class_uid, uid) for uid in syntaxes]
    with RequestedAssociation(peer, our_ae_title, offers, timeout_s) as association:
        if not association.accepted_syntaxes(sop_class_uid):
            raise ServiceNotOffered(f"{peer.ae_title} takes no messages of {sop_class_uid}")
        yield CalledPeer(association, sop_class_uid)
