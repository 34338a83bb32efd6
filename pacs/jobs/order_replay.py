"""Orders made again from what the ledger says of them."""

from __future__ import annotations

import logging
from dataclasses import replace

from pacs.archive import Archive
from pacs.dicom.order_values import from_plain
from pacs.dicom.orders import StepState
from pacs.errors import InvalidRequest
from pacs.ledger.entries import OrderPlaced, OrderState

_log = logging.getLogger(__name__)


def replay_order(archive: Archive, entry: OrderPlaced | OrderState) -> bool:
    """Do what an entry says with its order; an entry of a version that the order has, or had, does nothing.

    Returns
    -------
    bool
        False where it is not understood.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    orders = archive.index.orders
    if isinstance(entry, OrderState):
        if entry.state not in StepState.__members__:
            return False
        state = StepState(entry.state)
        if not orders.replay_state(entry.accession_number, entry.version, entry.step_ids, state, entry.at):
            _log.warning("the ledger moves an order that there is not")
        return True
    try:
        order = from_plain(entry.order)
    except InvalidRequest as error:
        _log.error("an order of the ledger cannot be understood: %s", error)
        return False
    if order.accession_number != entry.accession_number:
        return False
    orders.replay_placed(replace(order, version=entry.version), entry.at)
    return True
