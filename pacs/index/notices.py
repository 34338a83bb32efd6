"""What peers are told besides images: that a study is here, and what modalities said of their work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Connection, Engine, or_, select, update

from pacs.index.engine import reading, writing
from pacs.index.inserts import insert_if_new
from pacs.index.ledger_cursors import move_cursor
from pacs.index.models import notice, notice_cursor
from pacs.index.moments import utc


class NoticeKind(StrEnum):
    """What a peer is told."""

    AVAILABLE = "available"  # that a study is here (PS3.4 Annex R)
    PERFORMED = "performed"  # a message of a performed step (PS3.4 F.7)


@dataclass(frozen=True, slots=True)
class NoticeWish:
    """That a peer be told something, not before a time."""

    ae_title: str
    kind: NoticeKind
    subject_uid: str  # of the study, or of the performed step
    due: datetime
    number: int = 0  # of the message, 1 is the N-CREATE
    object_key: str | None = None  # of the message


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a peer is told, was told, or did not want to be told.

    ``token``: what UIDs of ours are made from. ``told_up_to``: so much of a long study is told already.
    """

    row_id: int
    ae_title: str
    kind: NoticeKind
    subject_uid: str
    number: int
    object_key: str | None
    token: str
    told_up_to: str
    wishes: int
    claims: int
    attempts: int  # in vain
    wished_at: datetime
    next_attempt_at: datetime | None
    told_at: datetime | None
    last_error: str | None

    @property
    def is_refused(self) -> bool:
        """Whether the peer has refused it for good, or was away for too long."""
        return self.told_at is None and self.next_attempt_at is None

    def is_in_the_way_of(self, other: Notice) -> bool:
        """Whether another message of the step waits for this one; `NoticeWork` has it as a condition."""
        own = self.ae_title, self.kind, self.subject_uid
        is_earlier = own == (other.ae_title, other.kind, other.subject_uid) and self.number < other.number
        return is_earlier and self.told_at is None and (not self.is_refused or self.number == 1)


class NoticeCursor(NamedTuple):
    """How far the ledger was looked at; what came before a time is no news to anybody."""

    sequence: int
    began_at: datetime | None


class Notices:
    """The table of notices, as it is filled and listed. All methods raise IndexUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cursor(self) -> NoticeCursor:
        """Tell which entry of the ledger was looked at last, and when the first peer wanted that."""
        with reading(self._engine) as connection:
            row = connection.execute(select(notice_cursor)).one()
        return NoticeCursor(row.sequence, row.began_at and utc(row.began_at))

    def advance(self, before: int, after: int, wishes: Iterable[NoticeWish], now: datetime) -> bool:
        """Move the cursor on, and have peers told, both or nothing.

        Returns
        -------
        bool
            False, and nothing is done, if another process was faster.
        """
        with writing(self._engine) as connection:
            if not move_cursor(connection, notice_cursor, before, after):
                return False
            for wish in wishes:
                if not insert_if_new(connection, notice, _row(wish, now)) and wish.number == 0:
                    _tell_again(connection, wish, now)
            return True

    def list_untold(
        self, ae_title: str | None = None, *, refused_only: bool = False, limit: int = 1000
    ) -> list[Notice]:
        """List what peers are not told yet, oldest first."""
        wanted = select(notice).where(notice.c.told_at.is_(None)).order_by(notice.c.id).limit(limit)
        if ae_title is not None:
            wanted = wanted.where(notice.c.ae_title == ae_title)
        if refused_only:
            wanted = wanted.where(notice.c.next_attempt_at.is_(None))
        with reading(self._engine) as connection:
            return [notice_of(row) for row in connection.execute(wanted)]

    def retry(self, ae_title: str, now: datetime) -> int:
        """Have all that a peer is not told yet tried at once; return how much it is."""
        untold = notice.c.ae_title == ae_title, notice.c.told_at.is_(None)
        values = {"next_attempt_at": now, "wished_at": now, "attempts": 0, "last_error": None}
        with writing(self._engine) as connection:
            again = update(notice).where(*untold).values(values).returning(notice.c.id)
            return len(connection.execute(again).all())


def _tell_again(connection: Connection, wish: NoticeWish, now: datetime) -> None:
    """Have a study told whole once more, when it is due: it has grown.

    Where somebody is at it, or the peer is away, that stays so until its time.
    """
    due = or_(notice.c.next_attempt_at.is_(None), notice.c.next_attempt_at < wish.due)
    of_wish = (
        notice.c.ae_title == wish.ae_title,
        notice.c.kind == wish.kind,
        notice.c.subject_uid == wish.subject_uid,
    )
    is_over = notice.c.next_attempt_at.is_(None)
    fresh = {
        "token": str(uuid4()),
        "told_up_to": "",
        "wishes": notice.c.wishes + 1,
        "wished_at": now,
        "told_at": None,
    }
    connection.execute(update(notice).where(*of_wish, is_over).values(attempts=0, last_error=None))
    connection.execute(update(notice).where(*of_wish).values(fresh))
    connection.execute(update(notice).where(*of_wish, due).values(next_attempt_at=wish.due))


def _row(wish: NoticeWish, now: datetime) -> dict[str, Any]:
    return {
        "ae_title": wish.ae_title,
        "kind": wish.kind.value,
        "subject_uid": wish.subject_uid,
        "number": wish.number,
        "object_key": wish.object_key,
        "token": str(uuid4()),
        "wished_at": now,
        "next_attempt_at": wish.due,
    }


def notice_of(row: Any) -> Notice:
    """Make a notice of its row."""
    return Notice(
        row_id=row.id,
        ae_title=row.ae_title,
        kind=NoticeKind(row.kind),
        subject_uid=row.subject_uid,
        number=row.number,
        object_key=row.object_key,
        token=row.token,
        told_up_to=row.told_up_to,
        wishes=row.wishes,
        claims=row.claims,
        attempts=row.attempts,
        wished_at=utc(row.wished_at),
        next_attempt_at=row.next_attempt_at and utc(row.next_attempt_at),
        told_at=row.told_at and utc(row.told_at),
        last_error=row.last_error,
    )
