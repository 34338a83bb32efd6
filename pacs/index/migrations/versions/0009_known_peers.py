"""The application entities that this archive knows, and what each may do."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "known_peer",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("ae_title", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.Column("only_from_host", sa.Boolean(), nullable=False),
        sa.Column("character_set", sa.Text(), nullable=True),
        sa.Column("unaccented", sa.Boolean(), nullable=False),
        sa.Column("transfer_syntax_uids", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_peer")),
        sa.UniqueConstraint("ae_title", name=op.f("uq_known_peer_ae_title")),
    )
