"""What modalities say of their work (Modality Performed Procedure Step)."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def _id() -> sa.Column[int]:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", big_id, sa.Identity(always=False), nullable=False)


def _reference(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("performed_step_ref", big_id, nullable=False), sa.ForeignKeyConstraint(
        ["performed_step_ref"],
        ["performed_step.id"],
        name=op.f(f"fk_{table}_performed_step_ref"),
        ondelete="CASCADE",
    )


def upgrade() -> None:
    op.create_table(
        "performed_step",
        _id(),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("creation_sha256", sa.Text(), nullable=False),
        sa.Column("number_of_messages", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("station_ae_title", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performed_step")),
        sa.UniqueConstraint("sop_instance_uid", name=op.f("uq_performed_step_sop_instance_uid")),
    )
    op.create_index(op.f("ix_performed_step_patient_id"), "performed_step", ["patient_id"])
    op.create_table(
        "performed_step_message",
        _id(),
        *_reference("performed_step_message"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("calling_ae_title", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performed_step_message")),
        sa.UniqueConstraint("object_key", name=op.f("uq_performed_step_message_object_key")),
        sa.UniqueConstraint(
            "performed_step_ref", "number", name=op.f("uq_performed_step_message_performed_step_ref_number")
        ),
    )
    op.create_table(
        "performed_as_scheduled",
        _id(),
        *_reference("performed_as_scheduled"),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("requested_procedure_id", sa.Text(), nullable=False),
        sa.Column("scheduled_procedure_step_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performed_as_scheduled")),
    )
    for column in ("performed_step_ref", "study_instance_uid", "accession_number"):
        name = op.f(f"ix_performed_as_scheduled_{column}")
        op.create_index(name, "performed_as_scheduled", [column])
