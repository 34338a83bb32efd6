"""The worklist: scheduled steps that match a query, in the order in which they start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, literal, or_, select, union_all

from pacs.dicom.orders import Order
from pacs.dicom.worklist_attributes import BY_FIELD, Part
from pacs.index.engine import reading
from pacs.index.models import imaging_order, order_word, scheduled_step
from pacs.index.name_patterns import parse_name_pattern
from pacs.index.order_rows import MAX_WORD_LENGTH, read_orders
from pacs.index.records import OrderPage, WorklistItem, WorklistQuery
from pacs.index.worklist_conditions import worklist_conditions

PAGE_SIZE: Final = 200
_PATIENT_NAME: Final = BY_FIELD[Part.ORDER]["patient_name"]
_JOINED: Final = scheduled_step.join(imaging_order, imaging_order.c.id == scheduled_step.c.order_ref)
_BEHIND_ALL: Final = "\U0010ffff"
_MANY: Final = 2000  # orders of a word: of more the steps are walked in their order


def search_worklist(
    engine: Engine, query: WorklistQuery, page_size: int = PAGE_SIZE
) -> Iterator[Sequence[WorklistItem]]:
    """Find all steps that match a query, the first to start first, page by page.

    Each page is read when it is asked for, and nothing of the database is held in between.

    Raises
    ------
    pacs.errors.InvalidRequest
        A value is not of its key's form.
    pacs.errors.IndexUnavailable
    """
    conditions = worklist_conditions(query)
    step = scheduled_step.c
    steps = select(step.id, step.moment, step.order_ref, step.step_id).select_from(_JOINED)
    steps = steps.order_by(step.moment, step.id)
    last: Any = None
    while True:
        with reading(engine) as connection:
            where = [*conditions, *_way_by_name(connection, query), *_behind(last)]
            rows = connection.execute(steps.where(*where).limit(page_size)).all()
            orders = read_orders(connection, {row.order_ref for row in rows})
        if rows:
            last = rows[-1]
            yield [_item(orders[row.order_ref], row.step_id) for row in rows]
        if len(rows) < page_size:
            return


def list_orders(engine: Engine, query: WorklistQuery, limit: int, offset: int) -> OrderPage:
    """List orders that have a step which matches a query, the first to start first.

    Raises
    ------
    pacs.errors.InvalidRequest
        A value is not of its key's form.
    pacs.errors.IndexUnavailable
    """
    first = func.min(scheduled_step.c.moment)
    orders = select(scheduled_step.c.order_ref).select_from(_JOINED).where(*worklist_conditions(query))
    orders = orders.group_by(scheduled_step.c.order_ref).order_by(first, scheduled_step.c.order_ref)
    with reading(engine) as connection:
        orders = orders.where(*_way_by_name(connection, query))
        refs = connection.scalars(orders.limit(limit + 1).offset(offset)).all()
        found = read_orders(connection, refs[:limit])
    return OrderPage([found[ref] for ref in refs[:limit]], truncated=len(refs) > limit)


def _item(order: Order, step_id: str) -> WorklistItem:
    return WorklistItem(order, next(step for step in order.steps if step.step_id == step_id))


def _behind(last: Any) -> list[ColumnElement[bool]]:
    if last is None:
        return []
    step = scheduled_step.c
    return [or_(step.moment > last.moment, and_(step.moment == last.moment, step.id > last.id))]


def _way_by_name(connection: Connection, query: WorklistQuery) -> list[ColumnElement[bool]]:
    """Lead to the orders by the rarest word that the patient's name must have, where one is rare.

    The conditions are enough by themselves; without it every order would have to be looked at.
    """
    ways = [way for key, value in query.keys if key is _PATIENT_NAME for way in _words(value, query.fuzzy)]
    counts = _count(connection, ways) if ways else ()
    fewest, way = min(zip(counts, ways, strict=True), key=lambda one: one[0], default=(_MANY, None))
    if way is None or fewest >= _MANY:
        return []
    return [imaging_order.c.id.in_(select(order_word.c.order_ref).where(way))]


def _words(value: str, fuzzy: bool) -> Iterator[ColumnElement[bool]]:
    """Yield a condition on the words of orders for each word, or beginning of one, that a name must have."""
    pattern = parse_name_pattern(value.strip(), fuzzy=fuzzy)
    for _, group in pattern.whole:
        for word in group.split():
            yield order_word.c.word == word[:MAX_WORD_LENGTH]
    for piece in pattern.pieces:
        beginning = piece.text.partition("?")[0][:MAX_WORD_LENGTH]
        if piece.begins and beginning:
            yield and_(order_word.c.word >= beginning, order_word.c.word < beginning + _BEHIND_ALL)


def _count(connection: Connection, ways: Sequence[ColumnElement[bool]]) -> Sequence[int]:
    """Count the orders of each way, as far as it matters."""
    counts = [
        select(literal(place).label("place"), func.count().label("found")).select_from(
            select(order_word.c.order_ref).where(way).limit(_MANY).subquery()
        )
        for place, way in enumerate(ways)
    ]
    found = {row.place: row.found for row in connection.execute(union_all(*counts))}
    return [found[place] for place in range(len(ways))]
