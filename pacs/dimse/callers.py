"""Who may call, and what each caller may do here."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pacs.dimse.endings import (
    TEMPORARY_CONGESTION,
    UNKNOWN_CALLED_AE_TITLE,
    UNKNOWN_CALLING_AE_TITLE,
    RejectCause,
)
from pacs.dimse.guesses import Guesses
from pacs.errors import IndexUnavailable
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.peers import PeerBook

EVERY_RIGHT: Final = frozenset(PeerRight)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """The requestor of an association, once it is recognised. ``peer`` is its row in the table, if any."""

    ae_title: str
    rights: frozenset[PeerRight] = EVERY_RIGHT
    peer: KnownPeer | None = None

    @property
    def is_certain(self) -> bool:
        """Whether more than its own word says who it is."""
        return self.peer is not None and (
            self.peer.only_from_host or self.peer.certificate_sha256 is not None
        )


class Reception:
    """Decides by AE titles and address who is let in (PS3.8 Table 9-21).

    Where strangers are not let in, one who guesses does not learn whether the called or the calling title was
    wrong. An AE title is a label that anybody can write; where it matters, a peer's address is checked too,
    or its certificate, which cannot be made up.

    Parameters
    ----------
    ae_titles
        Our own. Who calls from this very machine under one of them may ask whether we hear: a health check.
    book
        The table of peers; None: there is none.
    strangers
        What callers may do that are not in the table; None: they are not let in.
    guesses
        Counts those that are not let in.
    """

    def __init__(
        self,
        ae_titles: Collection[str],
        book: PeerBook | None = None,
        strangers: frozenset[PeerRight] | None = EVERY_RIGHT,
        guesses: Guesses | None = None,
    ) -> None:
        self._ae_titles = frozenset(ae_titles)
        self._book = book
        self._strangers = strangers
        self._guesses = guesses or Guesses()

    def receive(
        self, called_ae_title: str, calling_ae_title: str, address: str, certificate_sha256: str | None = None
    ) -> Caller | RejectCause:
        """Recognise a caller, by the certificate too that it has shown, or say why it is not let in."""
        try:
            caller = self._recognise(calling_ae_title, address, certificate_sha256)
        except IndexUnavailable:
            if self._strangers is None:
                return TEMPORARY_CONGESTION
            caller = Caller(calling_ae_title, self._strangers)
        if self._guesses.is_shut_out(address) and not (caller and caller.is_certain):
            return TEMPORARY_CONGESTION
        if caller is not None and called_ae_title in self._ae_titles:
            return caller
        if caller is not None and self._strangers is not None:
            return UNKNOWN_CALLED_AE_TITLE
        self.note_failure(address)
        return UNKNOWN_CALLING_AE_TITLE

    def recognise_again(self, caller: Caller, address: str, certificate_sha256: str | None = None) -> Caller:
        """Recognise somebody once more who was let in: the table of peers may have changed since.

        Where the address was checked it is not looked up again: a connection keeps it, and names may be
        unknown for a while.
        """
        checked = caller.peer.host if caller.peer is not None and caller.peer.only_from_host else None
        try:
            again = self._recognise(caller.ae_title, address, certificate_sha256, checked)
        except IndexUnavailable:
            return caller
        return again or Caller(caller.ae_title, frozenset())

    def note_failure(self, address: str) -> None:
        """Count a refusal; who is refused too often has to wait."""
        if self._guesses.note_failure(address):
            logger.warning("%s is shut out for a while: it was refused too often", address)

    def _recognise(
        self, ae_title: str, address: str, certificate_sha256: str | None, checked_host: str | None = None
    ) -> Caller | None:
        peer = None if self._book is None else self._book.find(ae_title)
        if peer is not None and self._book is not None:
            is_checked = checked_host is not None and peer.host == checked_host
            if peer.only_from_host and not (is_checked or self._book.is_at(peer, address)):
                return None
            if peer.certificate_sha256 not in (None, certificate_sha256):
                return None
            return Caller(ae_title, peer.rights, peer)
        if self._strangers is not None:
            return Caller(ae_title, self._strangers)
        if ae_title in self._ae_titles and is_this_machine(address):
            return Caller(ae_title, frozenset())
        return None


def plain_address(address: str) -> str:
    """Write the address of an IPv4 host as such, also where an IPv6 socket heard it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def is_this_machine(address: str) -> bool:
    """Tell whether an address is a loopback one."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
