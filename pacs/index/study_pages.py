"""The studies of a page, found by their terms: rows are read of those only that the terms leave.

Databases guess how many studies several conditions leave, are wrong by orders of magnitude, and read every
study then. So the order is written down here: the terms of one way, newest first; for each of them the terms
of the other ways, by their whole key; then the row, by its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, select, union_all

from pacs.index.condition import Condition
from pacs.index.models import study, study_term
from pacs.index.paths import Moments, Path

# Of the way, and of what each of its studies is asked for: made once, as that takes long.
_TERMS, _OTHER_TERMS = study_term.alias(), study_term.alias()


def select_page(
    way: Path, conditions: Sequence[Condition], moments: Moments | None, limit: int | None, offset: int
) -> Select[Any]:
    """Select ``moment`` and ``study_ref`` of a page of the studies that a way leads to, in their order.

    Parameters
    ----------
    way
        One of those of the conditions.
    """
    found = _merged(way) if way.is_stream else _gathered(way)
    moment, study_ref = found.c.moment, found.c.study_ref
    terms = [
        _has_one(one.path, moment, study_ref)
        for one in conditions
        if one.path is not None and one.path is not way and one.path.can_be_probed
    ]
    rows = [one.where for one in conditions if not (one.exact and _is_told(one.path, way))]
    if rows:
        # The offset keeps PostgreSQL from making a join of it.
        row = select(study.c.id).where(study.c.id == study_ref, *rows).correlate(found)
        terms.append(exists(row.limit(1).offset(0)))
    if moments is not None:
        terms.append(moments.hold(moment))
    page = select(moment, study_ref).select_from(found).where(*terms)
    if way.is_stream and len(way.pairs) > 1:
        page = page.distinct()
    return page.order_by(moment.desc(), study_ref.desc()).limit(limit).offset(offset)


def _is_told(path: Path | None, way: Path) -> bool:
    return path is way or (path is not None and path.can_be_probed)


def _merged(way: Path) -> FromClause:
    """Lay the studies of several terms one into the other; each term's are in order.

    The offset keeps PostgreSQL from asking what is asked of all of them of each term's alone: it would look
    for the newest of a term in all of its studies.
    """
    columns = _TERMS.c.moment, _TERMS.c.study_ref
    order = _TERMS.c.moment.desc(), _TERMS.c.study_ref.desc()
    arms = [select(*columns).where(_is_one(_TERMS, [pair])) for pair in way.pairs]
    if len(arms) == 1:
        return arms[0].subquery()
    united = union_all(*(arm.order_by(*order).subquery().select() for arm in arms))
    named = united.selected_columns
    return united.order_by(named.moment.desc(), named.study_ref.desc()).offset(0).subquery()


def _gathered(way: Path) -> FromClause:
    wanted = way.condition(_TERMS.c.field, _TERMS.c.term)
    gathered = select(_TERMS.c.moment, _TERMS.c.study_ref).where(wanted).distinct()
    return gathered.cte("gathered").prefix_with("MATERIALIZED")


def _has_one(path: Path, moment: ColumnElement[Any], study_ref: ColumnElement[Any]) -> ColumnElement[bool]:
    """Tell whether a study has one of the terms of a way."""
    terms = _OTHER_TERMS
    found = select(terms.c.study_ref).where(
        _is_one(terms, path.pairs), terms.c.moment == moment, terms.c.study_ref == study_ref
    )
    return exists(found.correlate_except(terms).limit(1).offset(0))


def _is_one(terms: FromClause, pairs: Sequence[tuple[int, str]]) -> ColumnElement[bool]:
    fields, texts = {field for field, _ in pairs}, [text for _, text in pairs]
    if len(fields) == 1:
        return and_(terms.c.field == fields.pop(), _in(terms.c.term, texts))
    return and_(terms.c.field.in_(sorted(fields)), _in(terms.c.term, sorted(set(texts))))


def _in(column: ColumnElement[str], texts: Sequence[str]) -> ColumnElement[bool]:
    return column == texts[0] if len(texts) == 1 else column.in_(texts)
