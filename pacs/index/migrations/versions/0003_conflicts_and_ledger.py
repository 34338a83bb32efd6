"""Conflicts that can be settled; the ledger's outbox and head; tombstones."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NO_SEGMENT = "0" * 64
_COPIED = "sop_instance_uid, object_key, size_bytes, sha256, calling_ae_title, received_at"


def _key() -> sa.Column[int]:
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", big_id, sa.Identity(always=False), nullable=False)


def upgrade() -> None:
    _grow_conflict()
    op.create_table(
        "tombstone",
        _key(),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstone")),
        sa.UniqueConstraint("object_key", name=op.f("uq_tombstone_object_key")),
    )
    op.create_index(op.f("ix_tombstone_sop_instance_uid"), "tombstone", ["sop_instance_uid"])
    op.create_table(
        "ledger_entry",
        _key(),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entry")),
    )
    head = op.create_table(
        "ledger_head",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
    )
    op.bulk_insert(head, [{"number": 0, "sha256": _NO_SEGMENT}])


def _grow_conflict() -> None:
    """Make the table anew, as SQLite adds no constraints to one, and give the old rows what they lack."""
    op.execute("CREATE TABLE conflict_before AS SELECT * FROM conflict")
    op.drop_table("conflict")
    op.create_table(
        "conflict",
        _key(),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("study_instance_uid", sa.Text(), nullable=False),
        sa.Column("sop_instance_uid", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("calling_ae_title", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_object_key", sa.Text(), nullable=True),
        sa.Column("first_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("first_sha256", sa.Text(), nullable=True),
        sa.Column("first_calling_ae_title", sa.Text(), nullable=True),
        sa.Column("first_received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("differs", sa.Text(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflict")),
        sa.UniqueConstraint("subject", name=op.f("uq_conflict_subject")),
    )
    op.create_index(op.f("ix_conflict_sop_instance_uid"), "conflict", ["sop_instance_uid"])
    op.create_index(op.f("ix_conflict_study_instance_uid"), "conflict", ["study_instance_uid"])
    op.execute(
        f"""
        INSERT INTO conflict (kind, subject, study_instance_uid, {_COPIED}, first_object_key,
            first_size_bytes, first_sha256, first_calling_ae_title, first_received_at, differs)
        SELECT 'content', b.object_key, s.study_instance_uid, b.sop_instance_uid, b.object_key, b.size_bytes,
            b.sha256, b.calling_ae_title, b.received_at, i.object_key, i.size_bytes, i.sha256,
            i.calling_ae_title, i.received_at, ''
        FROM conflict_before b
        JOIN instance i ON i.sop_instance_uid = b.sop_instance_uid
        JOIN series e ON e.id = i.series_ref
        JOIN study s ON s.id = e.study_ref
        """  # noqa: S608 - our own names
    )
    op.drop_table("conflict_before")
