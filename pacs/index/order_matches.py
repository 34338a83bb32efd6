"""Which studies are of which orders: what was found, and what a person decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, or_, select, update

from pacs.dicom.order_matching import Certainty, Judgement, Reason
from pacs.errors import NotFound
from pacs.index.engine import reading, writing
from pacs.index.inserts import insert_if_new
from pacs.index.ledger_rows import append_lines
from pacs.index.models import order_match
from pacs.index.moments import utc
from pacs.index.ordered_codes import give_ordered_codes
from pacs.ledger.entries import MatchDecision, write_entry


class Decision(StrEnum):
    """What a person said of a match."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


class MatchState(StrEnum):
    """Which matches to list."""

    OPEN = "open"  # a person has to decide
    LINKED = "linked"  # the study is of the order
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class OrderMatch:
    """A study and an order that it is of, or may be of. Of one that a person made there may be no reasons."""

    match_id: int
    study_instance_uid: str
    accession_number: str
    certainty: Certainty
    reasons: tuple[Reason, ...]
    is_open: bool
    decision: Decision | None
    decided_by: str | None
    decided_at: datetime | None
    found_at: datetime

    @property
    def state(self) -> MatchState:
        """What is true of it now."""
        if self.is_open:
            return MatchState.OPEN
        return MatchState.REJECTED if self.decision is Decision.REJECTED else MatchState.LINKED


class OrderMatches:
    """The matches of one database. All methods raise :class:`~pacs.errors.IndexUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, study_instance_uid: str, found: Mapping[str, Judgement], at: datetime) -> None:
        """Make the matches of a study those that were found, by the accession numbers of their orders.

        What a person has decided stays so.
        """
        of_study = order_match.c.study_instance_uid == study_instance_uid
        gone = and_(
            of_study, order_match.c.decision.is_(None), order_match.c.accession_number.not_in(list(found))
        )
        with writing(self._engine) as connection:
            connection.execute(delete(order_match).where(gone))
            for accession_number, judgement in sorted(found.items()):
                _put(connection, study_instance_uid, accession_number, judgement, at)
            give_ordered_codes(connection, study_instance_uid, _linked_orders(connection, of_study))

    def decide(
        self,
        study_instance_uid: str,
        accession_number: str,
        decision: Decision,
        by: str,
        at: datetime,
        *,
        in_ledger: bool = True,
    ) -> None:
        """Write down what a person says of a study and an order, also where nothing led from one to other.

        Once a study is accepted for an order its other open matches are rejected.
        """
        of_study = order_match.c.study_instance_uid == study_instance_uid
        with writing(self._engine) as connection:
            _decide(connection, study_instance_uid, accession_number, decision, by, at, in_ledger)
            if decision is Decision.ACCEPTED and in_ledger:
                others = select(order_match.c.accession_number).where(of_study, order_match.c.is_open)
                for other in connection.scalars(others).all():
                    _decide(connection, study_instance_uid, other, Decision.REJECTED, by, at, in_ledger)
            give_ordered_codes(connection, study_instance_uid, _linked_orders(connection, of_study))

    def find(self, match_id: int) -> OrderMatch:
        """Find a match by its number.

        Raises
        ------
        NotFound
        """
        with reading(self._engine) as connection:
            row = connection.execute(select(order_match).where(order_match.c.id == match_id)).first()
        if row is None:
            raise NotFound("there is no such match")
        return _match(row)

    def list_matches(
        self,
        state: MatchState | None = None,
        *,
        study_instance_uid: str | None = None,
        accession_number: str | None = None,
        limit: int = 100,
    ) -> list[OrderMatch]:
        """List matches, oldest first."""
        statement = select(order_match).order_by(order_match.c.id).limit(limit)
        if state is not None:
            statement = statement.where(_CONDITIONS[state])
        if study_instance_uid is not None:
            statement = statement.where(order_match.c.study_instance_uid == study_instance_uid)
        if accession_number is not None:
            statement = statement.where(order_match.c.accession_number == accession_number)
        with reading(self._engine) as connection:
            return [_match(row) for row in connection.execute(statement)]


def _put(
    connection: Connection, study_instance_uid: str, accession_number: str, judgement: Judgement, at: datetime
) -> None:
    """Write what was found down, unless it is there."""
    row = {
        "study_instance_uid": study_instance_uid,
        "accession_number": accession_number,
        "certainty": judgement.certainty.value,
        "reasons": "\\".join(judgement.reasons),
        "is_open": judgement.certainty is not Certainty.CERTAIN,
        "found_at": at,
    }
    if insert_if_new(connection, order_match, row):
        return
    of_pair = _of_pair(study_instance_uid, accession_number)
    seen = {name: row[name] for name in ("certainty", "reasons")}
    connection.execute(update(order_match).where(*of_pair).values(seen))
    undecided = update(order_match).where(*of_pair, order_match.c.decision.is_(None))
    connection.execute(undecided.values(is_open=row["is_open"]))


def _decide(
    connection: Connection,
    study_instance_uid: str,
    accession_number: str,
    decision: Decision,
    by: str,
    at: datetime,
    in_ledger: bool,
) -> None:
    decided = {"decision": decision.value, "decided_by": by, "decided_at": at, "is_open": False}
    found = {"certainty": Certainty.PROBABLE.value, "reasons": "", "found_at": at}
    uids = {"study_instance_uid": study_instance_uid, "accession_number": accession_number}
    if not insert_if_new(connection, order_match, {**uids, **found, **decided}):
        of_pair = _of_pair(study_instance_uid, accession_number)
        connection.execute(update(order_match).where(*of_pair).values(decided))
    if in_ledger:
        entry = MatchDecision(at, study_instance_uid, accession_number, decision.value, by)
        append_lines(connection, write_entry(entry))


def _of_pair(study_instance_uid: str, accession_number: str) -> tuple[ColumnElement[bool], ...]:
    return (
        order_match.c.study_instance_uid == study_instance_uid,
        order_match.c.accession_number == accession_number,
    )


def _linked_orders(connection: Connection, of_study: ColumnElement[bool]) -> Sequence[str]:
    linked = select(order_match.c.accession_number).where(of_study, _CONDITIONS[MatchState.LINKED])
    return list(connection.scalars(linked.order_by(order_match.c.id)))


def _match(row: Any) -> OrderMatch:
    return OrderMatch(
        match_id=row.id,
        study_instance_uid=row.study_instance_uid,
        accession_number=row.accession_number,
        certainty=Certainty(row.certainty),
        reasons=tuple(Reason(one) for one in row.reasons.split("\\") if one),
        is_open=row.is_open,
        decision=None if row.decision is None else Decision(row.decision),
        decided_by=row.decided_by,
        decided_at=None if row.decided_at is None else utc(row.decided_at),
        found_at=utc(row.found_at),
    )


_CONDITIONS = {
    MatchState.OPEN: order_match.c.is_open,
    MatchState.LINKED: and_(
        order_match.c.is_open.is_(False),
        or_(order_match.c.decision.is_(None), order_match.c.decision == Decision.ACCEPTED.value),
    ),
    MatchState.REJECTED: order_match.c.decision == Decision.REJECTED.value,
}
