"""What lies in the spool of a remote object store."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "spooled_object",
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("spooled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_spooled_object")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_spooled_object_uploaded_at_next_attempt_at"),
        "spooled_object",
        ["uploaded_at", "next_attempt_at"],
        unique=False,
    )
