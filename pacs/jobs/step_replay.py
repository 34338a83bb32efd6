"""Performed procedure steps made again from the messages that modalities sent."""

from __future__ import annotations

from pacs.archive import Archive
from pacs.ledger.entries import StepMessage
from pacs.order_progress import link_orders, tell_orders
from pacs.performed_steps import replay_message


def take_over_message(archive: Archive, message: StepMessage, *, moves_orders: bool = False) -> None:
    """Take a message over from the store.

    Parameters
    ----------
    moves_orders
        Not where it comes from the ledger: what it did with orders has entries of its own there.

    Raises
    ------
    pacs.errors.ArchiveError
        It does not fit to what is known of its step, or cannot be read.
    storage.errors.ObjectNotFound, storage.errors.StoreError
    """
    step_uid = replay_message(archive, message)
    if step_uid is None:
        return
    if moves_orders:
        tell_orders(archive, step_uid)
    elif (step := archive.index.performed_steps.find(step_uid)) is not None:
        link_orders(archive, step)
        archive.index.performed_links.mark_told(step)
