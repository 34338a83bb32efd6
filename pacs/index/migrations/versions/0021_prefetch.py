"""Routes that send a patient's previous studies when an examination is ordered."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("route", sa.Column("priors", sa.Integer(), server_default="0", nullable=False))
