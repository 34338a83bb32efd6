"""Where a peer may have images moved to."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("known_peer", sa.Column("moves_to", sa.Text(), server_default="", nullable=False))
