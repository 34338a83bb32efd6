"""Which studies and performed steps are of which orders."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "order_match",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("certainty", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_match")),
        sa.UniqueConstraint(
            "study_instance_uid",
            "accession_number",
            name=op.f("uq_order_match_study_instance_uid_accession_number"),
        ),
    )
    op.create_index(op.f("ix_order_match_accession_number"), "order_match", ["accession_number"])
    op.create_index(op.f("ix_order_match_is_open_id"), "order_match", ["is_open", "id"])
    op.create_table(
        "job_cursor",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_job_cursor")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_imaging_order_changed_at"), "imaging_order", ["changed_at"])
    op.add_column(
        "performed_step",
        sa.Column("is_told_to_orders", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("performed_step", sa.Column("brief", sa.Text(), server_default="{}", nullable=False))
    op.create_index(op.f("ix_performed_step_is_told_to_orders"), "performed_step", ["is_told_to_orders"])
    for column in ("order_accession_number", "order_step_id"):
        op.add_column("performed_as_scheduled", sa.Column(column, sa.Text(), nullable=True))
    for columns in (["scheduled_procedure_step_id"], ["order_accession_number", "order_step_id"]):
        name = op.f(f"ix_performed_as_scheduled_{'_'.join(columns)}")
        op.create_index(name, "performed_as_scheduled", columns)
