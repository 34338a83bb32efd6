"""Orders, their scheduled procedure steps, and what they are found by (Modality Worklist)."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BY_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _key() -> sa.Column[Any]:
    return sa.Column("id", _BIG, sa.Identity(always=False), nullable=False)


def _text(name: str, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _of_order(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_order_ref")
    return sa.ForeignKeyConstraint(["order_ref"], ["imaging_order.id"], name=name, ondelete="CASCADE")


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def upgrade() -> None:
    _create_orders()
    _create_steps()
    _create_codes()
    op.create_table(
        "order_word",
        sa.Column("word", _BY_BYTES, nullable=False),
        sa.Column("order_ref", _BIG, nullable=False),
        _of_order("order_word"),
        sa.PrimaryKeyConstraint("word", "order_ref", name=op.f("pk_order_word")),
        sqlite_with_rowid=False,
    )
    _index("order_word", "order_ref")


def _create_orders() -> None:
    op.create_table(
        "imaging_order",
        _key(),
        _text("accession_number", False),
        _text("referring_physician_name"),
        _text("referring_physician_name_folded"),
        _text("patient_name", False),
        _text("patient_name_folded"),
        _text("patient_id", False),
        _text("issuer_of_patient_id"),
        _text("patient_birth_date"),
        _text("patient_sex"),
        _text("patient_size"),
        _text("patient_weight"),
        _text("medical_alerts"),
        _text("allergies"),
        _text("additional_patient_history"),
        sa.Column("pregnancy_status", sa.Integer(), nullable=True),
        _text("patient_comments"),
        _text("study_instance_uid", False),
        _text("requesting_physician"),
        _text("requesting_physician_folded"),
        _text("requesting_service"),
        _text("description"),
        _text("description_folded"),
        _text("admission_id"),
        _text("special_needs"),
        _text("current_patient_location"),
        _text("patient_state"),
        _text("requested_procedure_id", False),
        _text("reason"),
        _text("priority"),
        _text("transport_arrangements"),
        _text("procedure_location"),
        _text("confidentiality_code"),
        _text("comments"),
        _text("placer_order_number"),
        _text("filler_order_number"),
        _text("confidentiality_constraint"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imaging_order")),
        sa.UniqueConstraint("accession_number", name=op.f("uq_imaging_order_accession_number")),
        sqlite_autoincrement=True,
    )
    for name in ("patient_id", "study_instance_uid", "requested_procedure_id", "placer_order_number"):
        _index("imaging_order", name)


def _create_steps() -> None:
    op.create_table(
        "scheduled_step",
        _key(),
        sa.Column("order_ref", _BIG, nullable=False),
        _text("modality", False),
        _text("contrast_agent"),
        _text("station_ae_titles"),
        _text("start_date", False),
        _text("start_time", False),
        _text("performing_physician_name"),
        _text("performing_physician_name_folded"),
        _text("description"),
        _text("description_folded"),
        _text("step_id", False),
        _text("station_name"),
        _text("location"),
        _text("pre_medication"),
        _text("state", False),
        _text("comments"),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("moment", sa.BigInteger(), nullable=False),
        _of_order("scheduled_step"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_step")),
        sa.UniqueConstraint("order_ref", "step_id", name=op.f("uq_scheduled_step_order_ref_step_id")),
    )
    _index("scheduled_step", "step_id")
    _index("scheduled_step", "moment", "id")
    is_open = sa.text("is_open")
    op.create_index(
        "ix_scheduled_step_open",
        "scheduled_step",
        ["moment", "id"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def _create_codes() -> None:
    op.create_table(
        "order_code",
        _key(),
        sa.Column("order_ref", _BIG, nullable=False),
        sa.Column("step_ref", _BIG, nullable=True),
        _text("value", False),
        _text("scheme", False),
        _text("version"),
        _text("meaning", False),
        _of_order("order_code"),
        sa.ForeignKeyConstraint(
            ["step_ref"], ["scheduled_step.id"], name=op.f("fk_order_code_step_ref"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_code")),
    )
    for name in ("order_ref", "step_ref", "value"):
        _index("order_code", name)
