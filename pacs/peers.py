"""Peers as doors and administrators see them: checked before they are kept, and read without a query."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from pacs.daily_hours import parse_daily_hours
from pacs.dicom.ae_titles import parse_ae_title
from pacs.dicom.text import defined_terms
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import IndexUnavailable, InvalidRequest
from pacs.index.known_peers import KnownPeer

KEPT_FOR_S: Final = 5.0
LEAST_BYTES_PER_S: Final = 16 * 1024  # peers give up what comes slower than a few KiB/s
MOST_AT_A_TIME: Final = 8
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_URL: Final = re.compile(
    r"https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?(/[A-Za-z0-9._~%/-]{0,255})?",
    re.ASCII,
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_UNSURE: Final = re.compile(r"[?*]")  # the first stands for what is no character, in what a caller says


def check_peer(peer: KnownPeer) -> KnownPeer:
    """Return a peer that can be kept.

    Raises
    ------
    InvalidRequest
        A value is not of its form, or something is missing; the message tells what.
    """
    if parse_ae_title(peer.ae_title) != peer.ae_title or _UNSURE.search(peer.ae_title):
        raise InvalidRequest("the AE title of a peer has no spaces around it, no ? and no *")
    if (peer.host is None) != (peer.port is None) and not (peer.only_from_host and peer.host):
        raise InvalidRequest("a peer that can be called has a host and a port, another one neither")
    if peer.host is not None and not _is_host(peer.host):
        raise InvalidRequest("the host of a peer is a name or an address, without a port")
    if peer.port is not None and not 0 < peer.port < 65536:
        raise InvalidRequest("a port is a number from 1 to 65535")
    if peer.only_from_host and peer.host is None:
        raise InvalidRequest("a peer whose address is to be checked needs a host")
    if peer.character_set is not None and not _is_character_set(peer.character_set):
        raise InvalidRequest(
            "a character set is named by its defined term, such as ISO_IR 100 (PS3.3 C.12.1.1.2)"
        )
    if peer.certificate_sha256 is not None and not _SHA256.fullmatch(peer.certificate_sha256):
        raise InvalidRequest("a certificate is named by its SHA-256: 64 hexadecimal digits in small letters")
    if unknown := [uid for uid in peer.transfer_syntax_uids if uid not in TRANSFER_SYNTAXES]:
        raise InvalidRequest(f"there is no transfer syntax {unknown[0][:64]}")
    if any(parse_ae_title(title) != title or "\\" in title for title in peer.moves_to):
        raise InvalidRequest("where a peer may move images to is told by AE titles")
    return _check_sending(peer)


def _check_sending(peer: KnownPeer) -> KnownPeer:
    if peer.send_bytes_per_s is not None and not LEAST_BYTES_PER_S <= peer.send_bytes_per_s < 2**62:
        raise InvalidRequest(f"a limit of sending is at least {LEAST_BYTES_PER_S} bytes a second")
    if not 1 <= peer.send_at_a_time <= MOST_AT_A_TIME:
        raise InvalidRequest(f"1 to {MOST_AT_A_TIME} studies are sent to a peer at a time")
    if peer.dicomweb_url is not None and not _is_url(peer.dicomweb_url):
        raise InvalidRequest("a DICOMweb URL is like https://pacs.example.vn/dicom-web, without a user name")
    if peer.asks_commitment and (peer.host is None or peer.port is None):
        raise InvalidRequest("a peer that is asked for commitment needs a host and a port")
    if peer.wants_notices and (peer.host is None or peer.port is None):
        raise InvalidRequest("a peer that is told something needs a host and a port")
    if peer.send_hours is None:
        return peer
    return replace(peer, send_hours=str(parse_daily_hours(peer.send_hours)))


def _is_host(text: str) -> bool:
    if ":" not in text:
        return _HOST_NAME.fullmatch(text) is not None
    try:
        return IPv6Address(text).scope_id is None
    except ValueError:
        return False


def _is_url(text: str) -> bool:
    try:
        return _URL.fullmatch(text) is not None and urlsplit(text).port != 0
    except ValueError:  # no port, or no address of IPv6
        return False


def _is_character_set(text: str) -> bool:
    """Tell whether all terms are known; the first one may be that of the default set (PS3.3 C.12.1.1.2)."""
    first, *others = defined_terms(text.encode("ascii", "replace"))
    is_default = text.partition("\\")[0].strip() in ("", "ISO 2022 IR 6")
    return all(others) and bool(first or (others and is_default))


class PeerBook:
    """The table of peers, kept in memory for a few seconds. Safe for use by several threads.

    What was read last is good while the index does not answer, and for all others while one reads it anew:
    a database that hangs does not hold up every device.

    Parameters
    ----------
    read
        Reads the table.
    resolve
        Gives the addresses of a host, none where it has none.
    """

    def __init__(
        self,
        read: Callable[[], list[KnownPeer]],
        resolve: Callable[[str], frozenset[str]] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._read = read
        self._resolve = resolve or addresses_of
        self._clock = clock
        self._reading = threading.Lock()
        self._peers: dict[str, KnownPeer] = {}
        self._addresses: dict[str, frozenset[str]] = {}
        self._read_at: float | None = None

    def find(self, ae_title: str) -> KnownPeer | None:
        """Find a peer by its AE title; None where there is none.

        Raises
        ------
        IndexUnavailable
            The index does not answer, and never did.
        """
        return self._current().get(ae_title)

    def is_at(self, peer: KnownPeer, address: str) -> bool:
        """Tell whether an address is one of the host of a peer."""
        if peer.host is None:
            return False
        addresses = self._addresses
        known = addresses.get(peer.host)
        if known is None:
            known = addresses[peer.host] = self._resolve(peer.host)
        return address in known

    def _current(self) -> dict[str, KnownPeer]:
        if self._is_old() and self._reading.acquire(blocking=self._read_at is None):
            try:
                if self._is_old():
                    self._read_anew()
            finally:
                self._reading.release()
        return self._peers

    def _is_old(self) -> bool:
        return self._read_at is None or self._clock() - self._read_at > KEPT_FOR_S

    def _read_anew(self) -> None:
        now = self._clock()
        try:
            self._peers = {peer.ae_title: peer for peer in self._read()}
        except IndexUnavailable:
            if self._read_at is None:
                raise
        self._addresses = {}
        self._read_at = now


def addresses_of(host: str) -> frozenset[str]:
    """Look up the addresses of a host; none where nobody knows it."""
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return frozenset()
