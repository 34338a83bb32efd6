"""One association at a time to a peer that instances go to, made anew where it is lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pacs.archive import Archive
from pacs.dimse.command import CommandField, Element
from pacs.dimse.pdu import MAX_CONTEXTS
from pacs.dimse.requestor import Peer, PeerRejected, PeerUnreachable, RequestedAssociation
from pacs.dimse.retrieving.outgoing import NATIVE, choose_syntax, open_dataset
from pacs.dimse.retrieving.progress import SubOperationResult, result_of
from pacs.dimse.statuses import code_location
from pacs.errors import ArchiveError
from pacs.index.records import StoredInstance
from storage.errors import StoreError

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 2  # for an instance with which an association is lost, and it may be the instance's fault
_MOST_LOSSES: Final = 3  # one after the other, after which the peer is given up
_PAUSES_S: Final = (0.5, 1.5)  # before it is asked for an association again
_MEDIUM_PRIORITY: Final = 0x0000


class Destination(NamedTuple):
    """Where instances go, who sends them, and on whose behalf (PS3.7 9.1.1.1)."""

    peer: Peer
    preferred: Sequence[str]  # transfer syntaxes
    calling_ae_title: str
    originator_ae_title: str
    originator_message_id: int
    timeout_s: float


class Courier:
    """Brings instances to a peer. One thread uses it, but for `break_off`.

    Parameters
    ----------
    instances
        All that may have to be brought: an association offers what the next ones need, as far as there is
        room for it.
    """

    def __init__(
        self, archive: Archive, destination: Destination, instances: Iterable[StoredInstance]
    ) -> None:
        self._archive = archive
        self._destination = destination
        self._offers = _offers(instances, destination.preferred)
        self._offered: frozenset[str] = frozenset()  # SOP classes, by the present association
        self._association: RequestedAssociation | None = None
        self._losses = 0
        self._stopped = threading.Event()

    def deliver(self, instance: StoredInstance) -> SubOperationResult:
        """Bring one instance, and say what the peer did with it.

        Raises
        ------
        PeerUnreachable, PeerRejected
            There is no association to be had, or it is lost again and again.
        """
        for _ in range(_ATTEMPTS):
            association = self._association_for(instance)
            try:
                result = self._store(association, instance)
            except PeerUnreachable:
                self._association = None
                self._losses += 1
                if self._losses >= _MOST_LOSSES or self._stopped.is_set():
                    raise
            else:
                self._losses = 0
                return result
        return SubOperationResult.FAILED

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
                logger.warning("no association for a C-MOVE: %s", error)
                if self._stopped.wait(pause_s):
                    raise
        return RequestedAssociation(to.peer, to.calling_ae_title, offers, to.timeout_s)

    def _store(self, association: RequestedAssociation, instance: StoredInstance) -> SubOperationResult:
        accepted = association.accepted_syntaxes(instance.sop_class_uid)
        try:
            syntax = choose_syntax(self._archive, instance, accepted, self._destination.preferred)
            context = syntax and association.find_context(instance.sop_class_uid, syntax)
            if not syntax or not context:
                return SubOperationResult.FAILED
            dataset = open_dataset(self._archive, instance, syntax)
        except (ArchiveError, StoreError) as error:
            logger.warning("%s cannot be sent: %s", instance.sop_instance_uid, code_location(error))
            return SubOperationResult.FAILED
        try:
            response = association.perform(
                context, CommandField.C_STORE_RQ, self._elements(instance), dataset
            )
        except PeerUnreachable:
            raise
        except (ArchiveError, StoreError) as error:  # of the data set, within a message that is begun
            logger.warning("%s was cut short: %s", instance.sop_instance_uid, code_location(error))
            self.close()
            return SubOperationResult.FAILED
        return result_of(response.command.required_number(Element.STATUS))

    def _elements(self, instance: StoredInstance) -> list[tuple[Element, int | str]]:
        return [
            (Element.PRIORITY, _MEDIUM_PRIORITY),
            (Element.AFFECTED_SOP_INSTANCE_UID, instance.sop_instance_uid),
            (Element.MOVE_ORIGINATOR_AE_TITLE, self._destination.originator_ae_title),
            (Element.MOVE_ORIGINATOR_MESSAGE_ID, self._destination.originator_message_id),
        ]


def _offers(instances: Iterable[StoredInstance], preferred: Sequence[str]) -> dict[str, list[str]]:
    """List by SOP class the transfer syntaxes to offer: the stored ones, and what they can be made into."""
    found: dict[str, dict[str, None]] = {}
    for instance in instances:
        found.setdefault(instance.sop_class_uid, {})[instance.transfer_syntax_uid] = None
    return {
        sop_class_uid: list(dict.fromkeys((*stored, *preferred, *NATIVE)))
        for sop_class_uid, stored in found.items()
    }
