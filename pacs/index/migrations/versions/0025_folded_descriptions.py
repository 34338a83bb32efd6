"""Descriptions with ^ or = are folded as what is searched for in them is: these mean nothing but in names."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from pacs.text import fold

revision = "0025"
down_revision = "0024"

_COLUMNS: Final = {
    "study": (
        "study_description",
        "admitting_diagnoses_description",
        "ethnic_group",
        "occupation",
        "additional_patient_history",
        "patient_comments",
    ),
    "series": ("series_description",),
}


def upgrade() -> None:
    connection = op.get_bind()
    for table_name, names in _COLUMNS.items():
        for name in names:
            table = sa.table(table_name, *map(sa.column, ("id", name, f"{name}_folded")))
            written, folded = table.c[name], table.c[f"{name}_folded"]
            wrong = sa.select(table.c.id, written).where(written.contains("^") | written.contains("="))
            for row_id, text in connection.execute(wrong).all():
                connection.execute(sa.update(table).where(table.c.id == row_id).values({folded: fold(text)}))
