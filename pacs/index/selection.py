"""Which instances are to be retrieved, by unique keys at any level (PS3.4 C.4.2.1.4, C.4.3.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Engine, select

from pacs.index.engine import reading
from pacs.index.models import instance, series, study, study_term
from pacs.index.queries import READ, stored_instance
from pacs.index.reading_order import in_reading_order
from pacs.index.records import StoredInstance
from pacs.index.study_terms import MAX_TERM_LENGTH, Field
from pacs.text import fold

_AT_A_TIME: Final = 500  # values of a list in one statement


@dataclass(frozen=True, slots=True)
class Selection:
    """The instances that have all of these keys; of a list one of its values. None: any value.

    Values are compared as they are: there are no wildcards, and nothing is folded.
    """

    patient_id: str | None = None
    study_instance_uids: tuple[str, ...] | None = None
    series_instance_uids: tuple[str, ...] | None = None
    sop_instance_uids: tuple[str, ...] | None = None


def select_instances(engine: Engine, selection: Selection, limit: int) -> list[StoredInstance]:
    """List what is selected, by series number and instance number within each study; at most ``limit``.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    found: list[StoredInstance] = []
    with reading(engine) as connection:
        for conditions in _conditions(selection):
            wanted = in_reading_order(select(*READ)).where(*conditions).limit(limit - len(found))
            found += [stored_instance(row) for row in connection.execute(wanted)]
            if len(found) >= limit:
                break
    return found


def _conditions(selection: Selection) -> list[list[ColumnElement[bool]]]:
    """Return the conditions of each statement: a long list of UIDs takes several."""
    columns = (
        (instance.c.sop_instance_uid, selection.sop_instance_uids),
        (series.c.series_instance_uid, selection.series_instance_uids),
        (study.c.study_instance_uid, selection.study_instance_uids),
    )
    listed = [(column, tuple(dict.fromkeys(uids))) for column, uids in columns if uids is not None]
    of_one = [] if selection.patient_id is None else of_patient(selection.patient_id)
    if not listed:
        return [of_one] if of_one else []
    column, uids = max(listed, key=lambda one: len(one[1]))
    others = [other.in_(values) for other, values in listed if other is not column]
    parts = [uids[start : start + _AT_A_TIME] for start in range(0, len(uids), _AT_A_TIME)]
    return [[column.in_(part), *others, *of_one] for part in parts]


def of_patient(patient_id: str) -> list[ColumnElement[bool]]:
    """Lead to the studies of a patient by their term, which is folded and cut, and then compare."""
    term = fold(patient_id)[:MAX_TERM_LENGTH]
    found = select(study_term.c.study_ref).where(
        study_term.c.field == Field.PATIENT_ID.value, study_term.c.term == term
    )
    return [study.c.id.in_(found), study.c.patient_id == patient_id]
