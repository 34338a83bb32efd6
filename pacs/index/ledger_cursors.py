"""Cursors: how far in the ledger somebody has looked who acts on what is new. Each is a table of one row."""

from __future__ import annotations

from sqlalchemy import Connection, Table, update


def move_cursor(connection: Connection, table: Table, before: int, after: int) -> bool:
    """Move a cursor on; False, and nothing is moved, if another process was faster."""
    moved_on = (
        update(table).where(table.c.sequence == before).values(sequence=after).returning(table.c.sequence)
    )
    return connection.scalar(moved_on) is not None
