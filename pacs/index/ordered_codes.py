"""The national codes of a study that come from its order, where neither objects nor a site rule gave one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from pacs.codes.tables import CODING_SCHEME_DESIGNATOR
from pacs.index.models import imaging_order, order_code, procedure_code, study
from pacs.index.study_terms import tell_terms

_ORIGIN: Final = "order"


def give_ordered_codes(
    connection: Connection, study_instance_uid: str, accession_numbers: Sequence[str]
) -> None:
    """Let a study have the national codes of its orders, if it has none of its own; else none of them."""
    study_ref = connection.scalar(
        select(study.c.id).where(study.c.study_instance_uid == study_instance_uid).with_for_update()
    )
    if study_ref is None:
        return
    of_study = procedure_code.c.study_ref == study_ref
    known = connection.execute(select(procedure_code).where(of_study)).all()
    has_its_own = any(row.origin != _ORIGIN for row in known)
    wanted = {} if has_its_own else _codes_of(connection, accession_numbers)
    given = {row.value for row in known if row.origin == _ORIGIN}
    if given == wanted.keys():
        return
    connection.execute(delete(procedure_code).where(of_study, procedure_code.c.origin == _ORIGIN))
    for value, meaning in wanted.items():
        row = {"study_ref": study_ref, "value": value, "meaning": meaning}
        connection.execute(
            insert(procedure_code), {**row, "scheme": CODING_SCHEME_DESIGNATOR, "origin": _ORIGIN}
        )
    tell_terms(connection, study_ref)


def _codes_of(connection: Connection, accession_numbers: Sequence[str]) -> dict[str, str]:
    """Return the meanings by the values of the codes of the requested procedures."""
    codes = (
        select(order_code.c.value, order_code.c.meaning)
        .join(imaging_order, imaging_order.c.id == order_code.c.order_ref)
        .where(
            imaging_order.c.accession_number.in_(accession_numbers),
            order_code.c.step_ref.is_(None),
            order_code.c.scheme == CODING_SCHEME_DESIGNATOR,
        )
        .order_by(order_code.c.id)
    )
    return {row.value: row.meaning for row in connection.execute(codes)}
