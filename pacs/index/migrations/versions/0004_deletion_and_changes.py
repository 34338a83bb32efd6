"""Deletion that is finished later; the order of the ledger's entries, for the feed of changes.

The feed of a database that was in use before begins here; its entries are counted from the first after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("tombstone", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("ledger_entry", sa.Column("sequence", sa.BigInteger(), nullable=True))
    op.add_column("ledger_head", sa.Column("entries", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "ledger_segment",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_segment")),
    )
    op.create_index(op.f("ix_ledger_segment_first_sequence"), "ledger_segment", ["first_sequence"])
