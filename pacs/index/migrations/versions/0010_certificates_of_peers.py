"""Whether a peer is called over TLS, and which certificate it has to show."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("known_peer", sa.Column("tls", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("known_peer", sa.Column("certificate_sha256", sa.Text(), nullable=True))
