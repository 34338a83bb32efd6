"""Peers that are told when a study is available, and what modalities said of their work."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    for name in ("wants_availability", "wants_performed_steps"):
        op.add_column("known_peer", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "notice",
        sa.Column("id", key, sa.Identity(), nullable=False),
        sa.Column("ae_title", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_uid", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=True),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("told_up_to", sa.Text(), server_default="", nullable=False),
        sa.Column("wishes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claims", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("wished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint(
            "ae_title", "kind", "subject_uid", "number", name="uq_notice_ae_title_kind_subject_uid_number"
        ),
    )
    op.create_index(op.f("ix_notice_next_attempt_at"), "notice", ["next_attempt_at"])
    cursor = op.create_table(
        "notice_cursor",
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.bulk_insert(cursor, [{"sequence": 0}])
