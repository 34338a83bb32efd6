"""The ledger's lines that wait in the database, and how far it knows the ledger in the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, update

from pacs.index.engine import reading, writing
from pacs.index.models import ledger_entry, ledger_head
from pacs.index.records import InstanceRecord, WriteOutcome
from pacs.ledger.entries import Receipt, write_entry
from pacs.ledger.segments import Head

_PAGE = 500


_NOTHING_NEW = frozenset(
    {WriteOutcome.ALREADY_THERE, WriteOutcome.KNOWN_CONFLICT, WriteOutcome.REFUSED_AGAIN}
)


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

    def waiting(self, max_lines: int, max_size_bytes: int) -> list[WaitingLines]:
        """List lines that wait to be sealed, oldest first; it stops where one of the bounds is reached."""
        found: list[WaitingLines] = []
        number = size_bytes = 0
        with reading(self._engine) as connection:
            for waiting in _stream(connection):
                found.append(waiting)
                number += len(waiting.lines)
                size_bytes += sum(map(len, waiting.lines))
                if number >= max_lines or size_bytes >= max_size_bytes:
                    break
        return found

    def waiting_among(self, lines: Collection[str]) -> list[WaitingLines]:
        """List those transactions whose lines are all among ``lines``."""
        with reading(self._engine) as connection:
            return [w for w in _stream(connection) if all(line in lines for line in w.lines)]

    def advance(self, before: Head, after: Head, sealed: Iterable[int]) -> bool:
        """Move on to a segment, and drop the rows whose lines it has; False if another process was faster."""
        is_before = (ledger_head.c.number == before.number, ledger_head.c.sha256 == before.sha256)
        moved_on = update(ledger_head).where(*is_before).values(number=after.number, sha256=after.sha256)
        rows = [{"row_id": row_id} for row_id in sealed]
        with writing(self._engine) as connection:
            if connection.execute(moved_on).rowcount != 1:
                return False
            if rows:
                connection.execute(_DELETE, rows)
            return True


def _stream(connection: Connection) -> Iterator[WaitingLines]:
    statement = select(ledger_entry).order_by(ledger_entry.c.id).execution_options(yield_per=_PAGE)
    for row in connection.execute(statement):
        yield WaitingLines(row.id, row.lines.split("\n"))


_DELETE = delete(ledger_entry).where(ledger_entry.c.id == bindparam("row_id"))
