"""Routes: which newly stored studies are sent to which peer."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "route",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in (
                "name",
                "ae_title",
                "modalities",
                "calling_ae_titles",
                "station_names",
                "body_parts",
                "institutions",
            )
        ),
        sa.Column("hours", sa.Text(), nullable=True),
        sa.Column("quiet_s", sa.Integer(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route")),
        sa.UniqueConstraint("name", name=op.f("uq_route_name")),
    )
    cursor = op.create_table("route_cursor", sa.Column("sequence", sa.BigInteger(), nullable=False))
    op.bulk_insert(cursor, [{"sequence": 0}])
