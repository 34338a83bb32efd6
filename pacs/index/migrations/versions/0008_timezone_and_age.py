"""What a search can be answered with too: the time zone of a study's dates, and the patient's age."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("study", sa.Column("timezone_offset_from_utc", sa.Text(), nullable=True))
    op.add_column("study", sa.Column("patient_age", sa.Text(), nullable=True))
