"""When the removal of a deleted object began, so that nobody takes it for kept meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("tombstone", sa.Column("removal_began_at", sa.DateTime(timezone=True), nullable=True))
