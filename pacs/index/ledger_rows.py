"""The ledger's lines that wait in the database, and how far it knows the ledger in the store.

Entries have an order: that of the segments, and behind it that of the rows that wait. A database gives ids in
another order than it commits, so rows are put in order when they are committed, by whoever needs to know: one
at a time, under the lock of the head. Within a study it is the order in which things happened, as a row is
written while its study is locked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Select,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)

from pacs.index.engine import reading, writing
from pacs.index.models import ledger_entry, ledger_head, ledger_segment
from pacs.index.records import InstanceRecord, WriteOutcome
from pacs.ledger.entries import Receipt, write_entry
from pacs.ledger.segments import Head

_PAGE = 500
_MAX_NUMBERED = 20_000  # rows at a time


_NOTHING_NEW = frozenset(
    {WriteOutcome.ALREADY_THERE, WriteOutcome.KNOWN_CONFLICT, WriteOutcome.REFUSED_AGAIN}
)


@dataclass(frozen=True, slots=True)
class SealedEntries:
    """A segment, and the numbers of its first and last entry in the ledger as a whole."""

    segment: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class WaitingLines:
    """The lines of one transaction."""

    row_id: int
    lines: Sequence[str]


def receipt_lines(written: Iterable[tuple[InstanceRecord, WriteOutcome]]) -> str:
    """Write the receipts of instances that came by a door and were not there already; maybe none."""
    return "\n".join(
        write_entry(
            Receipt(
                at=record.received_at,
                key=record.location.key,
                size_bytes=record.location.size_bytes,
                transfer_syntax_uid=record.transfer_syntax_uid,
                door=record.door,
                calling_ae_title=record.calling_ae_title,
                disposition=outcome.value,
            )
        )
        for record, outcome in written
        if record.door is not None and outcome not in _NOTHING_NEW
    )


def last_number(connection: Connection) -> int:
    """Return the number of the last entry that has one."""
    behind = connection.scalar(select(func.max(ledger_entry.c.sequence + _LINES)))
    entries = connection.scalar(select(ledger_head.c.entries)) or 0
    return entries if behind is None else int(behind) - 1


def append_lines(connection: Connection, lines: str) -> None:
    """Add lines in the transaction that they tell of."""
    connection.execute(insert(ledger_entry), {"lines": lines})


class LedgerRows:
    """The rows of the ledger in one database. Every method raises IndexUnavailable where that is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def head(self) -> Head:
        """Tell how far this index knows the ledger in the store."""
        with reading(self._engine) as connection:
            row = connection.execute(select(ledger_head)).one()
        return Head(row.number, row.sha256)

    def anything_waits(self) -> bool:
        """Tell whether lines wait to be sealed."""
        with reading(self._engine) as connection:
            return connection.scalar(select(ledger_entry.c.id).limit(1)) is not None

    def has_unnumbered(self) -> bool:
        """Tell whether rows wait to be put in order."""
        statement = select(ledger_entry.c.id).where(ledger_entry.c.sequence.is_(None)).limit(1)
        with reading(self._engine) as connection:
            return connection.scalar(statement) is not None

    def number(self) -> None:
        """Put committed rows in order behind those that are; others get their place when they are committed.

        To be called where the index knows the ledger in the store to its end.
        """
        with writing(self._engine) as connection:
            entries = connection.scalar(select(ledger_head.c.entries).with_for_update())
            next_sequence = connection.scalar(select(func.max(ledger_entry.c.sequence + _LINES)))
            first = (entries or 0) + 1 if next_sequence is None else next_sequence
            connection.execute(_NUMBER, {"first": first})

    def waiting(self, max_lines: int, max_size_bytes: int) -> list[WaitingLines]:
        """List lines in their order, which wait to be sealed; it stops where one of the bounds is reached."""
        found: list[WaitingLines] = []
        number = size_bytes = 0
        with reading(self._engine) as connection:
            for waiting in _stream(connection, _NUMBERED):
                found.append(waiting)
                number += len(waiting.lines)
                size_bytes += sum(map(len, waiting.lines))
                if number >= max_lines or size_bytes >= max_size_bytes:
                    break
        return found

    def waiting_from(self, sequence: int, max_lines: int) -> tuple[int, list[str]]:
        """List lines that wait from the one of a number on; give the number of the first.

        None at all, or a later first one, may mean that this one is sealed: `sealed_at` tells.
        """
        holder = select(func.max(ledger_entry.c.sequence)).where(ledger_entry.c.sequence <= sequence)
        begin = func.coalesce(holder.scalar_subquery(), sequence)
        rows = select(ledger_entry).where(ledger_entry.c.sequence >= begin).order_by(ledger_entry.c.sequence)
        first, lines = sequence, list[str]()
        with reading(self._engine) as connection:
            for row in connection.execute(rows.execution_options(yield_per=_PAGE)):
                if not lines:
                    first = row.sequence
                lines += row.lines.split("\n")
                if len(lines) - (sequence - first) >= max_lines:
                    break
        return first, lines

    def sealed_at(self, sequence: int) -> SealedEntries | None:
        """Tell in which segment an entry is, by its number; None if it is not sealed."""
        column = ledger_segment.c.first_sequence
        at = select(ledger_segment).where(column <= sequence)
        at = at.order_by(column.desc(), ledger_segment.c.number.desc()).limit(1)
        with reading(self._engine) as connection:
            entries = connection.scalar(select(ledger_head.c.entries)) or 0
            row = connection.execute(at).one_or_none()
            if row is None or sequence > entries:
                return None
            behind = connection.scalar(select(func.min(column)).where(column > sequence))
        return SealedEntries(row.number, row.first_sequence, entries if behind is None else behind - 1)

    def waiting_among(self, lines: Collection[str]) -> list[WaitingLines]:
        """List those transactions whose lines are all among ``lines``."""
        with reading(self._engine) as connection:
            return [w for w in _stream(connection, _ALL) if all(line in lines for line in w.lines)]

    def advance(self, before: Head, after: Head, sealed: Iterable[int], entries: int) -> bool:
        """Move on to a segment of so many entries, and drop the rows whose lines it has.

        Returns
        -------
        bool
            False, and nothing is done, if another process was faster.
        """
        is_before = (ledger_head.c.number == before.number, ledger_head.c.sha256 == before.sha256)
        moved_on = (
            update(ledger_head)
            .where(*is_before)
            .values(number=after.number, sha256=after.sha256, entries=ledger_head.c.entries + entries)
            .returning(ledger_head.c.entries)
        )
        rows = [{"row_id": row_id} for row_id in sealed]
        with writing(self._engine) as connection:
            last = connection.scalar(moved_on)
            if last is None:
                return False
            first = {"number": after.number, "first_sequence": last - entries + 1}
            connection.execute(insert(ledger_segment), first)
            if rows:
                connection.execute(_DELETE, rows)
            _put_in_order_again(connection, last)
            return True


def _put_in_order_again(connection: Connection, last: int) -> None:
    """Take its place from what waits, where a segment of another index has come before it."""
    numbered = ledger_entry.c.sequence.is_not(None)
    first = connection.scalar(select(func.min(ledger_entry.c.sequence)).where(numbered))
    if first not in (None, last + 1):
        connection.execute(update(ledger_entry).where(numbered).values(sequence=None))


def _stream(connection: Connection, statement: Select[Any]) -> Iterator[WaitingLines]:
    for row in connection.execute(statement.execution_options(yield_per=_PAGE)):
        yield WaitingLines(row.id, row.lines.split("\n"))


_ALL = select(ledger_entry).order_by(ledger_entry.c.id)
_NUMBERED = select(ledger_entry).where(ledger_entry.c.sequence.is_not(None)).order_by(ledger_entry.c.sequence)
_DELETE = delete(ledger_entry).where(ledger_entry.c.id == bindparam("row_id"))
_LINES = func.length(ledger_entry.c.lines) - func.length(func.replace(ledger_entry.c.lines, "\n", "")) + 1
_UNNUMBERED = (
    select(ledger_entry.c.id, _LINES.label("number"))
    .where(ledger_entry.c.sequence.is_(None))
    .order_by(ledger_entry.c.id)
    .limit(_MAX_NUMBERED)
    .subquery()
)
_PLACES = select(
    _UNNUMBERED.c.id,
    (func.sum(_UNNUMBERED.c.number).over(order_by=_UNNUMBERED.c.id) - _UNNUMBERED.c.number).label("before"),
).subquery()
_NUMBER = (
    update(ledger_entry)
    .where(ledger_entry.c.id == _PLACES.c.id)
    .values(sequence=bindparam("first", type_=BigInteger) + cast(_PLACES.c.before, BigInteger))
)
