"""Following routes: what was stored is looked at once, in the order of the ledger, and sent where it is to.

Where this stands is a number in the index, moved on in the transaction that writes the send jobs. So a worker
that dies misses nothing and decides nothing twice, and neither do two workers at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Final

from pacs.archive import Archive
from pacs.changes import read_entries
from pacs.dicom.object_keys import parse_key
from pacs.dicom.order_values import from_plain
from pacs.dicom.orders import Order
from pacs.errors import ArchiveError, InvalidRequest
from pacs.index.known_routes import KnownRoute, Routed, SeriesName
from pacs.index.records import WriteOutcome
from pacs.index.send_jobs import SendWish
from pacs.ledger.entries import Entry, OrderPlaced, Receipt
from pacs.routes import Arrival, leads, wants_priors
from storage.errors import StoreError

_EVERY_S: Final = 2.0
_RETRY_AFTER_S: Final = 30.0
_AT_A_TIME: Final = 2000  # entries
_STORED: Final = frozenset({WriteOutcome.ADDED.value, WriteOutcome.PATIENT_DIFFERS.value})
_NOT_FROM: Final = frozenset({"import"})  # an old archive that is taken in is not sent on

_log = logging.getLogger(__name__)


def keep_routing(archive: Archive, stop: Event) -> None:
    """Follow routes until ``stop`` is set."""
    while not stop.is_set():
        try:
            looked_at = follow_routes(archive)
        except (ArchiveError, StoreError) as error:
            _log.warning("routes will be followed later: %s", type(error).__name__)
            stop.wait(_RETRY_AFTER_S)
        else:
            stop.wait(0 if looked_at else _EVERY_S)


def follow_routes(archive: Archive) -> int:
    """Look at some of what is new, and have sent what routes lead somewhere; return how many entries.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    routes = archive.index.routes.list_all()
    if not routes:
        return 0
    cursor = archive.index.routes.cursor()
    page = read_entries(archive, cursor, _AT_A_TIME)
    if page.last == cursor:
        return 0
    entries = [entry for _, entry in page.entries]
    routed = [*_routed(archive, routes, _receipts(entries)), *_priors(archive, routes, entries)]
    if not archive.index.routes.advance(cursor, page.last, routed, datetime.now(UTC)):
        return 0  # another worker was faster, and looks at the rest too
    return page.last - cursor


def _receipts(entries: Iterable[Entry]) -> list[tuple[SeriesName, Receipt]]:
    """List what was stored through a door, with the series that it belongs to."""
    found: list[tuple[SeriesName, Receipt]] = []
    for entry in entries:
        if not isinstance(entry, Receipt) or entry.disposition not in _STORED or entry.door in _NOT_FROM:
            continue
        name = parse_key(entry.key)
        if name is not None:
            found.append((SeriesName(name.study_instance_uid, name.series_instance_uid), entry))
    return found


def _routed(
    archive: Archive, routes: Sequence[KnownRoute], receipts: Sequence[tuple[SeriesName, Receipt]]
) -> list[Routed]:
    """Decide which studies go where, and when: each once, as the last of its instances wants it."""
    traits = archive.index.routes.traits(series for series, _ in receipts)
    found: dict[tuple[str, str], Routed] = {}
    for series, receipt in receipts:
        if series not in traits:  # it was deleted since
            continue
        arrival = Arrival(traits[series], receipt.calling_ae_title, receipt.at.astimezone())
        for route in routes:
            if leads(route, arrival):
                key = (series.study_instance_uid, route.ae_title)
                due = receipt.at + timedelta(seconds=route.quiet_s)
                found[key] = _later(found.get(key), route, series.study_instance_uid, due)
    return list(found.values())


def _priors(archive: Archive, routes: Sequence[KnownRoute], entries: Iterable[Entry]) -> Iterator[Routed]:
    """Decide which previous studies go where, as examinations are ordered."""
    wanted = [route for route in routes if route.priors]
    for entry in entries:
        if not wanted or not isinstance(entry, OrderPlaced):
            continue
        try:
            order = from_plain(entry.order)
        except InvalidRequest:
            _log.warning("an order of the ledger cannot be read, and no route is followed for it")
            continue
        modalities = [step.modality for step in order.steps]
        for route in wanted:
            if wants_priors(route, modalities, entry.at.astimezone()):
                yield from _priors_of(archive, route, order, entry.at)


def _priors_of(archive: Archive, route: KnownRoute, order: Order, at: datetime) -> Iterator[Routed]:
    due = at + timedelta(seconds=route.quiet_s)
    found = archive.index.routes.newest_studies(order.patient_id, order.issuer_of_patient_id, route.priors)
    for uid in found:
        if uid != order.study_instance_uid:
            yield _later(None, route, uid, due)


def _later(before: Routed | None, route: KnownRoute, study_instance_uid: str, due: datetime) -> Routed:
    wish = SendWish(
        study_instance_uid, route.ae_title, f"route {route.name}", route.priority, spares_sender=True
    )
    if before is None:
        return Routed(wish, due)
    highest = wish if wish.priority > before.wish.priority else before.wish
    return Routed(highest, max(before.due, due))
