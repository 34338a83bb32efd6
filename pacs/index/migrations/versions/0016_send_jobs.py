"""Studies on their way to peers, and how each peer is sent to."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("known_peer", sa.Column("send_hours", sa.Text(), nullable=True))
    op.add_column("known_peer", sa.Column("send_bytes_per_s", sa.BigInteger(), nullable=True))
    op.add_column("known_peer", sa.Column("send_at_a_time", sa.Integer(), server_default="1", nullable=False))
    _jobs()
    _instances()


def _jobs() -> None:
    op.create_table(
        "send_job",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("ae_title", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("spares_sender", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        *(
            sa.Column(name, sa.Integer(), server_default="0", nullable=False)
            for name in ("attempts", "claims", "wishes", "total", "sent", "warned", "refused")
        ),
        sa.Column("sent_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_send_job")),
        sa.UniqueConstraint(
            "study_instance_uid", "ae_title", name=op.f("uq_send_job_study_instance_uid_ae_title")
        ),
    )
    op.create_index(
        op.f("ix_send_job_ae_title_state_next_attempt_at"),
        "send_job",
        ["ae_title", "state", "next_attempt_at"],
    )
    op.create_index(op.f("ix_send_job_state_next_attempt_at"), "send_job", ["state", "next_attempt_at"])


def _instances() -> None:
    op.create_table(
        "send_job_instance",
        sa.Column("job_ref", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_ref"],
            ["send_job.id"],
            name=op.f("fk_send_job_instance_job_ref_send_job"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_ref", "sop_instance_uid", name=op.f("pk_send_job_instance")),
        sqlite_with_rowid=False,
    )
