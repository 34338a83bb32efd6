"""The optional keys of patients and studies (PS3.4 Tables C.6-1 and C.6-2) that were not kept until now."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"

_COLUMNS = (
    "name_of_physicians_reading_study",
    "name_of_physicians_reading_study_folded",
    "admitting_diagnoses_description",
    "admitting_diagnoses_description_folded",
    "patient_birth_time",
    "other_patient_ids",
    "other_patient_names",
    "other_patient_names_folded",
    "patient_size",
    "patient_weight",
    "ethnic_group",
    "ethnic_group_folded",
    "occupation",
    "occupation_folded",
    "additional_patient_history",
    "additional_patient_history_folded",
    "patient_comments",
    "patient_comments_folded",
)


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("study", sa.Column(name, sa.Text(), nullable=True))
