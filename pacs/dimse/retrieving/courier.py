"""One association at a time to a peer that instances go to, made anew where it is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from pacs.archive import Archive
from pacs.dimse.command import CommandField, Element
from pacs.dimse.pdu import MAX_CONTEXTS
from pacs.dimse.requestor import Peer, PeerRejected, PeerUnreachable, RequestedAssociation
from pacs.dimse.retrieving.outgoing import NATIVE, choose_syntax, open_dataset
from pacs.dimse.retrieving.progress import SubOperationResult, result_of
from pacs.dimse.statuses import StatusCode, code_location
from pacs.index.records import StoredInstance
from storage.store import Buffer

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 2  # for an instance with which an association is lost, and it may be the instance's fault
_MOST_LOSSES: Final = 3  # one after the other, after which the peer is given up
_PAUSES_S: Final = (0.5, 1.5)  # before it is asked for an association again
_MEDIUM_PRIORITY: Final = 0x0000


Pace: TypeAlias = Callable[[Iterable[Buffer]], Iterator[Buffer]]


class Originator(NamedTuple):
    """Who asked for a C-MOVE, and by which message (PS3.7 9.1.1.1)."""

    ae_title: str
    message_id: int


class Destination(NamedTuple):
    """Where instances go, who sends them, on whose behalf, and how fast."""

    peer: Peer
    preferred: Sequence[str]  # transfer syntaxes
    calling_ae_title: str
    timeout_s: float
    originator: Originator | None = None
    pace: Pace = iter  # gives out the pieces of a data set when it is their time


class Delivered(NamedTuple):
    """What became of an instance: by the status of the peer's answer, or by what went wrong before one."""

    result: SubOperationResult
    status: int | None = None
    error: Exception | None = None


class Courier:
    """Brings instances to a peer. One thread uses it, but for `break_off`."""

    def __init__(self, archive: Archive, destination: Destination) -> None:
        self._archive = archive
        self._destination = destination
        self._offers: dict[str, list[str]] = {}  # transfer syntaxes by SOP class
        self._offered: frozenset[str] = frozenset()  # SOP classes, by the present association
        self._association: RequestedAssociation | None = None
        self._losses = 0
        self._stopped = threading.Event()

    def expect(self, instances: Iterable[StoredInstance]) -> None:
        """Hear what will have to be brought: an association offers what it needs, as far as there is room."""
        for sop_class_uid, syntaxes in _offers(instances, self._destination.preferred).items():
            known = self._offers.get(sop_class_uid, [])
            if new := [uid for uid in syntaxes if uid not in known]:
                self._offers[sop_class_uid] = [*new, *known]
                self._offered -= {sop_class_uid}  # the present association does not offer all of it

    def deliver(self, instance: StoredInstance) -> Delivered:
        """Bring one instance that was expected, and say what the peer did with it.

        Raises
        ------
        PeerUnreachable, PeerRejected
            There is no association to be had, or it is lost again and again.
        """
        lost: PeerUnreachable | None = None
        for _ in range(_ATTEMPTS):
            association = self._association_for(instance)
            try:
                delivered = self._store(association, instance)
            except PeerUnreachable as error:
                lost = error
                self._association = None
                self._losses += 1
                if self._losses >= _MOST_LOSSES or self._stopped.is_set():
                    raise
            else:
                self._losses = 0
                return delivered
        return Delivered(SubOperationResult.FAILED, error=lost)

    def break_off(self) -> None:
        """Have the thread that delivers give up at once. Called from any thread."""
        self._stopped.set()
        if association := self._association:
            association.break_off()

    def close(self) -> None:
        """Release the association."""
        association, self._association = self._association, None
        if association is not None:
            association.close()

    def _association_for(self, instance: StoredInstance) -> RequestedAssociation:
        if self._association is None or instance.sop_class_uid not in self._offered:
            self.close()
            self._association = self._open(instance)
        if self._stopped.is_set():  # there was nothing to break off yet
            raise PeerUnreachable("it is not wanted any more that anything is sent")
        return self._association

    def _open(self, instance: StoredInstance) -> RequestedAssociation:
        """Ask for an association that offers this SOP class and as many of the others as it can."""
        offers: list[tuple[str, str]] = []
        needed = {instance.sop_class_uid: self._offers[instance.sop_class_uid], **self._offers}
        offered = set()
        for sop_class_uid, syntaxes in needed.items():
            if len(offers) + len(syntaxes) <= MAX_CONTEXTS:
                offers += [(sop_class_uid, syntax) for syntax in syntaxes]
                offered.add(sop_class_uid)
        self._offered = frozenset(offered)
        to = self._destination
        for pause_s in _PAUSES_S:
            try:
                return RequestedAssociation(to.peer, to.calling_ae_title, offers, to.timeout_s)
            except (PeerUnreachable, PeerRejected) as error:
                logger.warning("no association to send instances: %s", error)
                if self._stopped.wait(pause_s):
                    raise
        return RequestedAssociation(to.peer, to.calling_ae_title, offers, to.timeout_s)

    def _store(self, association: RequestedAssociation, instance: StoredInstance) -> Delivered:
        accepted = association.accepted_syntaxes(instance.sop_class_uid)
        try:
            syntax = choose_syntax(self._archive, instance, accepted, self._destination.preferred)
            context = syntax and association.find_context(instance.sop_class_uid, syntax)
            if not syntax or not context:
                return Delivered(SubOperationResult.FAILED, StatusCode.SOP_CLASS_NOT_SUPPORTED)
            dataset = self._destination.pace(
                open_dataset(self._archive, instance, syntax, association.piece_size_bytes)
            )
        except Exception as error:  # of this instance; the association may do well with others
            logger.warning("%s cannot be sent: %s", instance.sop_instance_uid, code_location(error))
            return Delivered(SubOperationResult.FAILED, error=error)
        try:
            response = association.perform(
                context, CommandField.C_STORE_RQ, self._elements(instance), dataset
            )
        except PeerUnreachable:
            raise
        except Exception as error:  # of the data set, within a message that is begun
            logger.warning("%s was cut short: %s", instance.sop_instance_uid, code_location(error))
            self.close()
            return Delivered(SubOperationResult.FAILED, error=error)
        status = response.command.required_number(Element.STATUS)
        return Delivered(result_of(status), status)

    def _elements(self, instance: StoredInstance) -> list[tuple[Element, int | str]]:
        elements: list[tuple[Element, int | str]] = [
            (Element.PRIORITY, _MEDIUM_PRIORITY),
            (Element.AFFECTED_SOP_INSTANCE_UID, instance.sop_instance_uid),
        ]
        if originator := self._destination.originator:
            elements += [
                (Element.MOVE_ORIGINATOR_AE_TITLE, originator.ae_title),
                (Element.MOVE_ORIGINATOR_MESSAGE_ID, originator.message_id),
            ]
        return elements


def _offers(instances: Iterable[StoredInstance], preferred: Sequence[str]) -> dict[str, list[str]]:
    """List by SOP class the transfer syntaxes to offer: the stored ones, and what they can be made into."""
    found: dict[str, dict[str, None]] = {}
    for instance in instances:
        found.setdefault(instance.sop_class_uid, {})[instance.transfer_syntax_uid] = None
    return {
        sop_class_uid: list(dict.fromkeys((*stored, *preferred, *NATIVE)))
        for sop_class_uid, stored in found.items()
    }
