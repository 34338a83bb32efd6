"""Previous studies that are fetched from another archive when an examination is ordered."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("route", sa.Column("fetches", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "prior_fetch",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("ae_title", "accession_number", "patient_id")
        ),
        sa.Column("priors", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        *(
            sa.Column(name, sa.Integer(), server_default="0", nullable=False)
            for name in ("attempts", "wishes", "studies", "instances", "differing")
        ),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prior_fetch")),
        sa.UniqueConstraint(
            "ae_title",
            "accession_number",
            "patient_id",
            name=op.f("uq_prior_fetch_ae_title_accession_number_patient_id"),
        ),
    )
    op.create_index(op.f("ix_prior_fetch_next_attempt_at"), "prior_fetch", ["next_attempt_at"])
