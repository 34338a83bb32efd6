"""What studies are found by: terms in the order of the answers; modalities and SOP classes of a study."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from pacs.index.study_terms import WORD_FIELDS, moment_of, terms_of

revision = "0005"
down_revision = "0004"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BY_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_BEFORE_ALL = -(2**63)
_NEW_COLUMNS = (
    sa.Column("modalities_in_study", sa.Text(), nullable=True),
    sa.Column("sop_classes_in_study", sa.Text(), nullable=True),
    sa.Column("moment", sa.BigInteger(), server_default="0", nullable=False),
)


def upgrade() -> None:
    for column in _NEW_COLUMNS:
        op.add_column("study", column)
    for name in ("study_date_study_time_id", "patient_id", "accession_number", "patient_name_folded"):
        op.drop_index(f"ix_study_{name}", "study")
    op.drop_index("ix_series_modality_study_ref", "series")
    for name in ("requested_procedure_id", "scheduled_procedure_step_id"):
        op.create_index(f"ix_request_attributes_{name}", "request_attributes", [name])
    op.create_table(
        "study_term",
        sa.Column("field", sa.SmallInteger(), nullable=False),
        sa.Column("term", _BY_BYTES, nullable=False),
        sa.Column("moment", sa.BigInteger(), nullable=False),
        sa.Column("study_ref", _BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["study_ref"], ["study.id"], name=op.f("fk_study_term_study_ref"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("field", "term", "moment", "study_ref", name=op.f("pk_study_term")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_word",
        sa.Column("field", sa.SmallInteger(), nullable=False),
        sa.Column("word", _BY_BYTES, nullable=False),
        sa.PrimaryKeyConstraint("field", "word", name=op.f("pk_search_word")),
        sqlite_with_rowid=False,
    )
    _fill()
    op.create_index("ix_study_term_study_ref", "study_term", ["study_ref"])
    newest_first: list[Any] = [sa.literal_column("moment DESC"), sa.literal_column("id DESC")]
    op.create_index("ix_study_moment_id", "study", newest_first)


def _fill() -> None:
    """Give the studies that are there what new ones get when they come."""
    connection, words, last = op.get_bind(), set(), _BEFORE_ALL
    while rows := connection.execute(_STUDIES, {"last": last}).all():
        last = rows[-1].id
        refs = [row.id for row in rows]
        modalities = _several(connection, _MODALITIES, refs)
        sop_classes = _several(connection, _SOP_CLASSES, refs)
        codes = _several(connection, _PROCEDURE_CODES, refs)
        terms, updates = [], []
        for row in rows:
            values = {**row._mapping, "modalities_in_study": "\\".join(modalities.get(row.id, ())) or None}
            moment = moment_of(row.study_date, row.study_time)
            updates.append(
                {
                    "ref": row.id,
                    "moment": moment,
                    "modalities": values["modalities_in_study"],
                    "sop_classes": "\\".join(sop_classes.get(row.id, ())) or None,
                }
            )
            for field, term in terms_of(values, codes.get(row.id, ())):
                terms.append({"field": int(field), "term": term, "moment": moment, "ref": row.id})
                if field in WORD_FIELDS:
                    words.add((int(field), term))
        connection.execute(_UPDATE, updates)
        if terms:
            connection.execute(_ADD_TERM, terms)
    if words:
        connection.execute(_ADD_WORD, [{"field": field, "word": word} for field, word in sorted(words)])


def _several(connection: sa.Connection, statement: sa.TextClause, refs: list[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for ref, value in connection.execute(statement, {"refs": refs}):
        found.setdefault(ref, []).append(value)
    return found


def _of_studies(statement: str) -> sa.TextClause:
    return sa.text(statement).bindparams(sa.bindparam("refs", expanding=True))


_STUDIES = sa.text(
    "SELECT id, patient_name, study_description, patient_id, accession_number, study_date, study_time "
    "FROM study WHERE id > :last ORDER BY id LIMIT 1000"
)
_MODALITIES = _of_studies(
    "SELECT DISTINCT study_ref, modality FROM series "
    "WHERE study_ref IN :refs AND modality IS NOT NULL ORDER BY study_ref, modality"
)
_SOP_CLASSES = _of_studies(
    "SELECT DISTINCT s.study_ref, i.sop_class_uid FROM instance i JOIN series s ON s.id = i.series_ref "
    "WHERE s.study_ref IN :refs ORDER BY s.study_ref, i.sop_class_uid"
)
_PROCEDURE_CODES = _of_studies("SELECT study_ref, value FROM procedure_code WHERE study_ref IN :refs")
_UPDATE = sa.text(
    "UPDATE study SET moment = :moment, modalities_in_study = :modalities, "
    "sop_classes_in_study = :sop_classes WHERE id = :ref"
)
_ADD_TERM = sa.text(
    "INSERT INTO study_term (field, term, moment, study_ref) VALUES (:field, :term, :moment, :ref)"
)
_ADD_WORD = sa.text("INSERT INTO search_word (field, word) VALUES (:field, :word)")
