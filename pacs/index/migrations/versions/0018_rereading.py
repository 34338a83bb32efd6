"""Which studies were indexed before there were columns for all that is read of objects today."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    rereading = op.create_table(
        "rereading",
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
    )
    study = sa.table("study", sa.column("id"))
    newest = op.get_bind().execute(sa.select(sa.func.max(study.c.id))).scalar() or 0
    op.bulk_insert(rereading, [{"done": 0, "last": newest}])
