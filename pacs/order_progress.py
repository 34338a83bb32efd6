"""Orders go on as modalities say: a step is begun, completed or broken off as a performed step tells."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from pacs.archive import Archive
from pacs.dicom import performed_procedure_step as mpps
from pacs.dicom.order_progress import path_between, state_of
from pacs.dicom.orders import Order, StepState
from pacs.dicom.performed_procedure_step import ScheduledStep
from pacs.errors import ArchiveError, ImpossibleState, NotFound, OrderChanged
from pacs.index.performed_links import PerformedLink
from pacs.index.performed_steps import PerformedStep

_MAX_ATTEMPTS: Final = 10

_log = logging.getLogger(__name__)


def tell_orders_soon(archive: Archive, sop_instance_uid: str) -> None:
    """Do as `tell_orders` does; what fails now the worker does later."""
    try:
        tell_orders(archive, sop_instance_uid)
    except ArchiveError as error:
        _log.warning("orders will hear later of procedure step %s: %s", sop_instance_uid, error)


def tell_orders(archive: Archive, sop_instance_uid: str) -> None:
    """Find the orders of a performed step, and move their scheduled steps to where it says that they are.

    Doing so again changes nothing.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    step = archive.index.performed_steps.find(sop_instance_uid)
    if step is None:
        return
    for link in link_orders(archive, step):
        if link.order_accession_number and link.order_step_id:
            _move(archive, link.order_accession_number, link.order_step_id)
    archive.index.performed_links.mark_told(step)


def link_orders(archive: Archive, step: PerformedStep) -> list[PerformedLink]:
    """Find the orders of a performed step, where it is certain of which it is; return all that it is of.

    Raises
    ------
    pacs.errors.IndexUnavailable
    """
    links = archive.index.performed_links
    patient_id = mpps.text(step.dataset, mpps.PATIENT_ID)
    for link in links.of_step(step.sop_instance_uid):
        if link.order_accession_number is None:
            order = _find_order(archive, link.scheduled, patient_id)
            if order is not None:
                links.set_order(link.row_id, order.accession_number, _find_step(order, link.scheduled))
    return links.of_step(step.sop_instance_uid)


def _find_order(archive: Archive, scheduled: ScheduledStep, patient_id: str) -> Order | None:
    """Find the only order that has all identifiers that a modality names, and is of its patient."""
    found = [
        order
        for order in _candidates(archive, scheduled)
        if scheduled.accession_number in ("", order.accession_number)
        and scheduled.requested_procedure_id in ("", order.requested_procedure_id)
        and scheduled.scheduled_procedure_step_id in ("", *(step.step_id for step in order.steps))
        and patient_id in ("", order.patient_id)
    ]
    return found[0] if len(found) == 1 else None


def _candidates(archive: Archive, scheduled: ScheduledStep) -> list[Order]:
    orders = archive.index.orders
    if scheduled.accession_number:
        try:
            return [orders.find(scheduled.accession_number)]
        except NotFound:
            return []
    if scheduled.scheduled_procedure_step_id:
        return orders.find_by_step(scheduled.scheduled_procedure_step_id)
    if scheduled.requested_procedure_id:
        return orders.find_by_requested_procedure(scheduled.requested_procedure_id)
    return orders.find_by_study(scheduled.study_instance_uid)


def _find_step(order: Order, scheduled: ScheduledStep) -> str | None:
    if scheduled.scheduled_procedure_step_id:
        return scheduled.scheduled_procedure_step_id
    return order.steps[0].step_id if len(order.steps) == 1 else None


def _move(archive: Archive, accession_number: str, step_id: str) -> None:
    """Move a step of an order to where what was performed for it puts it."""
    orders, links = archive.index.orders, archive.index.performed_links
    for _ in range(_MAX_ATTEMPTS):
        try:
            order = orders.find(accession_number)
            performed = [step.dataset for step in links.of_order(accession_number, step_id)]
            for state in _way(order, step_id, state_of(performed)):
                order = orders.set_state(
                    accession_number,
                    state,
                    datetime.now(UTC),
                    step_id=step_id,
                    expected_version=order.version,
                )
            return
        except OrderChanged:
            continue  # somebody was faster: judge by what it is now
        except (NotFound, ImpossibleState):
            return


def _way(order: Order, step_id: str, wanted: StepState | None) -> list[StepState]:
    current = next((step.state for step in order.steps if step.step_id == step_id), None)
    if current is None or wanted is None:
        return []
    way = path_between(current, wanted)
    if way is None:
        _log.warning("a step of order %s is %s and stays so, although a modality says otherwise",
                     order.accession_number, current)  # fmt: skip
    return way or []
