"""What a study is made of: modalities and SOP classes in its row, which follow its series and instances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, case, literal, select, update

from pacs.index.models import instance, series, study

SEPARATOR: Final = "\\"
_ESCAPE: Final = "/"


def contains_value(column: ColumnElement[Any], pattern: ColumnElement[Any] | str) -> ColumnElement[bool]:
    """Tell whether one of the values of a column is of a `value_pattern`."""
    listed = literal(SEPARATOR) + column + literal(SEPARATOR)
    return listed.like(pattern, escape=_ESCAPE)


def value_pattern(value: str) -> str:
    """Return the pattern of exactly one value, for `contains_value`."""
    for special in (_ESCAPE, "%", "_"):
        value = value.replace(special, _ESCAPE + special)
    return f"%{SEPARATOR}{value}{SEPARATOR}%"


def add_contents(
    connection: Connection, row: Mapping[str, Any], modality: str | None, sop_class_uid: str
) -> set[str]:
    """Add a modality and a SOP class to those of a study; return the columns that lacked theirs."""
    found = {"modalities_in_study": modality, "sop_classes_in_study": sop_class_uid}
    new = {
        column: value
        for column, value in found.items()
        if value and value not in (row[column] or "").split(SEPARATOR)
    }
    for column, value in new.items():
        connection.execute(_ADD[column], {"ref": row["id"], "value": value, "pattern": value_pattern(value)})
    return set(new)


def retell_contents(connection: Connection, study_ref: int) -> None:
    """Work the modalities and SOP classes of a study out anew, after something was taken out of it."""
    of_study = {"ref": study_ref}
    modalities = connection.scalars(_MODALITIES, of_study).all()
    sop_classes = connection.scalars(_SOP_CLASSES, of_study).all()
    connection.execute(
        update(study)
        .where(study.c.id == study_ref)
        .values(
            modalities_in_study=SEPARATOR.join(modalities) or None,
            sop_classes_in_study=SEPARATOR.join(sop_classes) or None,
        )
    )


def _add(column: ColumnElement[Any]) -> Any:
    """Append a value, unless another process has just done so: the row decides, not what was read of it."""
    value: ColumnElement[str] = bindparam("value", type_=column.type)
    return (
        update(study)
        .where(study.c.id == bindparam("ref"))
        .values(
            {
                column: case(
                    (column.is_(None), value),
                    (contains_value(column, bindparam("pattern", type_=column.type)), column),
                    else_=column + literal(SEPARATOR) + value,
                )
            }
        )
    )


_ADD = {name: _add(study.c[name]) for name in ("modalities_in_study", "sop_classes_in_study")}
_MODALITIES = (
    select(series.c.modality)
    .where(series.c.study_ref == bindparam("ref"), series.c.modality.is_not(None))
    .distinct()
    .order_by(series.c.modality)
)
_SOP_CLASSES = (
    select(instance.c.sop_class_uid)
    .join(series, series.c.id == instance.c.series_ref)
    .where(series.c.study_ref == bindparam("ref"))
    .distinct()
    .order_by(instance.c.sop_class_uid)
)
