"""The application entities that this archive knows: where they are, and what each may do here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, or_, select, update

from pacs.errors import InvalidRequest, NotFound
from pacs.index.engine import reading, writing
from pacs.index.inserts import insert_if_new
from pacs.index.ledger_rows import last_number
from pacs.index.models import known_peer, notice_cursor

_LISTS: Final = ("transfer_syntax_uids", "moves_to")


class PeerRight(StrEnum):
    """What a peer may ask of us. Everybody may ask whether we hear (C-ECHO)."""

    STORE = "store"
    FIND = "find"
    MOVE = "move"
    GET = "get"
    WORKLIST = "worklist"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class KnownPeer:
    """Another application entity. One without host and port calls us, and cannot be called.

    ``only_from_host``: its calls are taken from that host's address only. ``character_set``: the defined
    terms of Specific Character Set that it is answered in; None: as it asks. ``unaccented``: names are told
    to it without diacritics, identifiers as they are. ``transfer_syntax_uids``: what it likes to get besides
    the stored one, the best first. ``tls``: it is called over TLS. ``certificate_sha256``, in hexadecimal:
    what it has to show, so that calls under its title are taken over TLS only, and it is called only if it
    is itself; None: any.

    Send jobs to it run in ``send_hours`` (`pacs.daily_hours`; None: at any time), ``send_at_a_time`` of them
    at a time, and a worker sends it at most ``send_bytes_per_s`` (None: as fast as it takes them). Where it
    has a ``dicomweb_url``, they go there by STOW-RS. ``asks_commitment``: it is asked whether what it was
    sent is safe there. ``wants_availability``: it is told when a study is here (PS3.4 Annex R).
    ``wants_performed_steps``: it gets what modalities say of their work (PS3.4 F.7).

    ``moves_to``: the AE titles that its C-MOVEs may lead to besides itself; none: any peer.
    ``own_worklist_only``: of the worklist it sees what is scheduled for its title, or for no station.
    """

    ae_title: str
    host: str | None = None
    port: int | None = None
    rights: frozenset[PeerRight] = frozenset({PeerRight.STORE})
    only_from_host: bool = False
    character_set: str | None = None
    unaccented: bool = False
    transfer_syntax_uids: tuple[str, ...] = ()
    tls: bool = False
    certificate_sha256: str | None = None
    send_hours: str | None = None
    send_bytes_per_s: int | None = None
    send_at_a_time: int = 1
    dicomweb_url: str | None = None
    asks_commitment: bool = False
    moves_to: tuple[str, ...] = ()
    wants_availability: bool = False
    wants_performed_steps: bool = False
    own_worklist_only: bool = False

    @property
    def wants_notices(self) -> bool:
        """Whether it is told anything."""
        return self.wants_availability or self.wants_performed_steps


class KnownPeers:
    """The table of peers. All methods raise :class:`~pacs.errors.IndexUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list_all(self) -> list[KnownPeer]:
        """List all peers by their AE titles."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(known_peer).order_by(known_peer.c.ae_title))
            return [_known_peer(row) for row in rows]

    def find(self, ae_title: str) -> KnownPeer:
        """Find a peer.

        Raises
        ------
        NotFound
            There is none of this title.
        """
        with reading(self._engine) as connection:
            row = connection.execute(select(known_peer).where(known_peer.c.ae_title == ae_title)).first()
        if row is None:
            raise _unknown(ae_title)
        return _known_peer(row)

    def add(self, peer: KnownPeer) -> None:
        """Add a peer.

        Raises
        ------
        InvalidRequest
            Its title is taken.
        """
        with writing(self._engine) as connection:
            _begin_notices(connection, peer)
            if not insert_if_new(connection, known_peer, _row(peer)):
                raise InvalidRequest(f"there is a peer {peer.ae_title} already")

    def put(self, peer: KnownPeer) -> bool:
        """Add a peer, or put it in place of the one of its title; tell whether it is a new one."""
        with writing(self._engine) as connection:
            _begin_notices(connection, peer)
            if insert_if_new(connection, known_peer, _row(peer)):
                return True
            of_title = known_peer.c.ae_title == peer.ae_title
            connection.execute(update(known_peer).where(of_title).values(_row(peer)))
            return False

    def remove(self, ae_title: str) -> None:
        """Forget a peer.

        Raises
        ------
        NotFound
            There is none of this title.
        """
        with writing(self._engine) as connection:
            gone = delete(known_peer).where(known_peer.c.ae_title == ae_title).returning(known_peer.c.id)
            if connection.scalar(gone) is None:
                raise _unknown(ae_title)


def _begin_notices(connection: Connection, peer: KnownPeer) -> None:
    """Have the first peer that wants notices told what comes from now on."""
    table = known_peer
    wants = select(table.c.id).where(or_(table.c.wants_availability, table.c.wants_performed_steps)).limit(1)
    if peer.wants_notices and connection.scalar(wants) is None:
        now = datetime.now(UTC)
        connection.execute(update(notice_cursor).values(sequence=last_number(connection), began_at=now))


def _unknown(ae_title: str) -> NotFound:
    return NotFound(f"there is no peer {ae_title}")


def _row(peer: KnownPeer) -> dict[str, Any]:
    row = {field.name: getattr(peer, field.name) for field in fields(peer)}
    lists = {name: "\\".join(row[name]) for name in _LISTS}
    return row | lists | {"rights": "\\".join(right for right in PeerRight if right in peer.rights)}


def _known_peer(row: Any) -> KnownPeer:
    values = {field.name: getattr(row, field.name) for field in fields(KnownPeer)}
    lists = {name: _split(values[name]) for name in _LISTS}
    rights = frozenset(map(PeerRight, _split(row.rights)))
    return KnownPeer(**(values | lists | {"rights": rights}))


def _split(text: str) -> tuple[str, ...]:
    return tuple(one for one in text.split("\\") if one)
