"""Placing orders: checked, with national codes, before they are kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from pacs.archive import Archive
from pacs.codes.tables import CODE_PATTERN, CODING_SCHEME_DESIGNATOR
from pacs.dicom.order_values import check_order
from pacs.dicom.orders import Code, Order
from pacs.errors import InvalidRequest
from pacs.index.orders import Placed

_LONGEST_MEANING: Final = 64  # VR LO


def place_order(archive: Archive, order: Order, *, expected_version: int | None = None) -> Placed:
    """Place an order, or replace the one that has its accession number, or its placer's number.

    A code of the national table that a hospital sends under a designator of its own, or without a meaning,
    gets those of the table.

    Raises
    ------
    pacs.errors.InvalidRequest
        A value is not of its form; the message tells which one.
    pacs.errors.OrderChanged, pacs.errors.OrderBegun
        See `pacs.index.orders.Orders.place`.
    pacs.errors.IndexUnavailable
    """
    steps = (replace(s, protocol_codes=_national(archive, s.protocol_codes)) for s in order.steps)
    coded = replace(order, procedure_codes=_national(archive, order.procedure_codes), steps=tuple(steps))
    checked = check_order(coded)
    return archive.index.orders.place(checked, datetime.now(UTC), expected_version=expected_version)


def _national(archive: Archive, codes: Sequence[Code]) -> tuple[Code, ...]:
    return tuple(_with_name_of_table(archive, code) for code in codes)


def _with_name_of_table(archive: Archive, code: Code) -> Code:
    known = archive.tagger.find_code(code.value, code.scheme)
    if known is not None:
        return Code(known.value, known.scheme, known.meaning[:_LONGEST_MEANING])
    if code.scheme == CODING_SCHEME_DESIGNATOR and not re.fullmatch(CODE_PATTERN, code.value):
        raise InvalidRequest(f"a code of {CODING_SCHEME_DESIGNATOR} has the form CC.KKKK.GGGG")
    return code
