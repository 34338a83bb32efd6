"""Which peers see of the worklist only what is theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column(
        "known_peer",
        sa.Column("own_worklist_only", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
