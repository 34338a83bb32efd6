"""Peers that are sent to over HTTP, and peers that are asked whether what they were sent is safe there."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("known_peer", sa.Column("dicomweb_url", sa.Text(), nullable=True))
    op.add_column(
        "known_peer", sa.Column("asks_commitment", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("send_job", sa.Column("transaction_uid", sa.Text(), nullable=True))
    op.add_column("send_job", sa.Column("rounds", sa.Integer(), server_default="0", nullable=False))
    op.create_index(op.f("ix_send_job_transaction_uid"), "send_job", ["transaction_uid"])
    op.add_column(
        "send_job_instance", sa.Column("committed", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
