"""Notices, as the workers see them that tell them: taken for a while, told, or given back for later.

Each time that a notice is taken it has a new number of claims, and what is written under an older one is not
heeded. Nor is it heeded that something was told which was wished for again meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, delete, exists, func, or_, select, tuple_, update

from pacs.dicom.availability import SeriesReference
from pacs.index.due_rows import postpone_all
from pacs.index.engine import reading, writing
from pacs.index.models import instance, notice, series, study
from pacs.index.notices import Notice, NoticeKind, notice_of

_BETWEEN: Final = "\\"  # the UIDs of a place in a study


class NoticeWork:
    """The notices that are due. Safe for use by several threads and processes.

    All methods raise :class:`~pacs.errors.IndexUnavailable`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due_peers(self, now: datetime) -> list[str]:
        """List the peers that are to be told something, the one first that has waited longest."""
        due = select(notice.c.ae_title).where(*_due(now)).group_by(notice.c.ae_title)
        with reading(self._engine) as connection:
            return list(connection.scalars(due.order_by(func.min(notice.c.next_attempt_at))))

    def claim(self, ae_title: str, now: datetime, lease: timedelta) -> Notice | None:
        """Take what a peer is to be told next, for as long as the lease runs."""
        first = (
            select(notice.c.id)
            .where(notice.c.ae_title == ae_title, *_due(now))
            .order_by(notice.c.next_attempt_at, notice.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        taken = {"next_attempt_at": now + lease, "claims": notice.c.claims + 1}
        claim = update(notice).where(notice.c.id.in_(first)).values(taken).returning(*notice.c)
        with writing(self._engine) as connection:
            row = connection.execute(claim).first()
            return None if row is None else notice_of(row)

    def list_references(self, told: Notice, limit: int) -> list[SeriesReference]:
        """List instances of the study of a notice that are not told yet, series by series."""
        place = (series.c.series_instance_uid, instance.c.sop_instance_uid)
        wanted = (
            select(*place, instance.c.sop_class_uid)
            .select_from(study.join(series).join(instance))
            .where(study.c.study_instance_uid == told.subject_uid)
            .order_by(*place)
            .limit(limit)
        )
        if told.told_up_to:
            wanted = wanted.where(tuple_(*place) > tuple_(*told.told_up_to.split(_BETWEEN)))
        with reading(self._engine) as connection:
            return [SeriesReference(*row) for row in connection.execute(wanted)]

    def go_on(self, told: Notice, last: SeriesReference, until: datetime) -> Notice | None:
        """Note how much of a study is told, and prolong the lease; None if it is to be told anew."""
        told_up_to = _BETWEEN.join((last.series_instance_uid, last.sop_instance_uid))
        values = {"told_up_to": told_up_to, "next_attempt_at": until}
        is_own = self._update(told, values, _unchanged(told))
        return replace(told, told_up_to=told_up_to, next_attempt_at=until) if is_own else None

    def renew(self, told: Notice, until: datetime) -> None:
        """Prolong the lease of what is not over yet."""
        self._update(told, {"next_attempt_at": until}, notice.c.next_attempt_at < until)

    def mark_told(self, told: Notice, now: datetime) -> None:
        """Note that the peer has taken it; where it was wished for again, that stays to be done."""
        values = {"told_at": now, "next_attempt_at": None, "last_error": None}
        self._update(told, values, _unchanged(told))

    def refuse(self, told: Notice, error: str) -> None:
        """Note that the peer will not take it, or that nobody tries any more."""
        self._update(told, {"next_attempt_at": None, "last_error": error}, _unchanged(told))

    def postpone(self, told: Notice, until: datetime, error: str) -> None:
        """Have it tried later: this attempt was in vain."""
        values = {"next_attempt_at": until, "attempts": notice.c.attempts + 1, "last_error": error}
        self._update(told, values)

    def postpone_others(self, told: Notice, until: datetime, kind: NoticeKind | None = None) -> None:
        """Have what else its peer is to be told, or only that kind, tried no earlier than then.

        It was in vain for them, too.
        """
        conditions = [] if kind is None else [notice.c.kind == kind.value]
        postpone_all(self._engine, notice, told.ae_title, until, told.attempts + 1, *conditions)

    def drop(self, ae_title: str, kind: NoticeKind | None = None) -> None:
        """Forget what a peer is not told yet, or only that kind: it is not wanted any more."""
        untold = [notice.c.ae_title == ae_title, notice.c.told_at.is_(None)]
        untold += [] if kind is None else [notice.c.kind == kind.value]
        with writing(self._engine) as connection:
            connection.execute(delete(notice).where(*untold))

    def forget(self, wished_before: datetime) -> None:
        """Remove what was wished for before a time."""
        with writing(self._engine) as connection:
            connection.execute(delete(notice).where(notice.c.wished_at < wished_before))

    def _update(self, told: Notice, values: dict[str, Any], *conditions: ColumnElement[bool]) -> bool:
        own = notice.c.id == told.row_id, notice.c.claims == told.claims
        change = update(notice).where(*own, *conditions).values(values).returning(notice.c.id)
        with writing(self._engine) as connection:
            return connection.scalar(change) is not None


def _unchanged(told: Notice) -> ColumnElement[bool]:
    return notice.c.wishes == told.wishes


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of what may be told now.

    Messages of a performed step go in their order, and none before its N-CREATE was taken; an N-SET that the
    peer refused is not in the way of those behind it.
    """
    earlier = notice.alias()
    is_earlier = exists().where(
        earlier.c.ae_title == notice.c.ae_title,
        earlier.c.kind == notice.c.kind,
        earlier.c.subject_uid == notice.c.subject_uid,
        earlier.c.number < notice.c.number,
        earlier.c.told_at.is_(None),
        or_(earlier.c.next_attempt_at.is_not(None), earlier.c.number == 1),
    )
    return notice.c.next_attempt_at <= now, ~is_earlier
