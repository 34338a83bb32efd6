"""Following routes: what was stored or ordered is sent where it is to, as the ledger is followed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from threading import Event
from typing import Final, NamedTuple

from pacs.archive import Archive
from pacs.changes import read_entries
from pacs.dicom.object_keys import ObjectName
from pacs.dicom.order_matching import contradicting_patient
from pacs.dicom.order_values import from_plain
from pacs.dicom.orders import Order, ScheduledStep
from pacs.errors import InvalidRequest
from pacs.index.known_routes import Fetched, KnownRoute, Routed, SeriesName
from pacs.index.prior_fetches import FetchWish
from pacs.index.send_jobs import SendWish
from pacs.jobs.ledger_following import AT_A_TIME, arrivals
from pacs.jobs.working import keep_working
from pacs.ledger.entries import Entry, OrderPlaced, Receipt
from pacs.routes import Arrival, leads, wants_priors

_NEEDED_FOR: Final = timedelta(days=1)  # after the examination
_MOST_LOOKED_AT: Final = 100  # studies of one Patient ID

_log = logging.getLogger(__name__)


class Ordered(NamedTuple):
    """An order, and a route that wants the previous studies of its patient."""

    route: KnownRoute
    order: Order
    at: datetime


def keep_routing(archive: Archive, stop: Event) -> None:
    """Follow routes until ``stop`` is set."""
    keep_working(partial(follow_routes, archive), stop, "routes will be followed")


def follow_routes(archive: Archive) -> int:
    """Look at some of what is new, and have sent or fetched what routes tell; return how many entries.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    routes = archive.index.routes.list_all()
    if not routes:
        return 0
    cursor = archive.index.routes.cursor()
    page = read_entries(archive, cursor, AT_A_TIME)
    if page.last == cursor:
        return 0
    entries = [entry for _, entry in page.entries]
    ordered = list(_ordered(routes, entries))
    routed = [*_routed(archive, routes, list(arrivals(entries))), *_priors(archive, ordered)]
    fetched = list(_fetched(ordered))
    if not archive.index.routes.advance(cursor, page.last, routed, datetime.now(UTC), fetched):
        return 0  # another worker was faster, and looks at the rest too
    return page.last - cursor


def _routed(
    archive: Archive, routes: Sequence[KnownRoute], arrived: Sequence[tuple[ObjectName, Receipt]]
) -> list[Routed]:
    """Decide which studies go where, and when: each once, as the last of its instances wants it."""
    traits = archive.index.routes.traits(_series_of(name) for name, _ in arrived)
    found: dict[tuple[str, str], Routed] = {}
    for name, receipt in arrived:
        series = _series_of(name)
        if series not in traits:  # it was deleted since
            continue
        arrival = Arrival(traits[series], receipt.calling_ae_title, receipt.at.astimezone())
        for route in routes:
            if leads(route, arrival):
                key = (series.study_instance_uid, route.ae_title)
                due = receipt.at + timedelta(seconds=route.quiet_s)
                found[key] = _later(found.get(key), route, series.study_instance_uid, due)
    return list(found.values())


def _series_of(name: ObjectName) -> SeriesName:
    return SeriesName(name.study_instance_uid, name.series_instance_uid)


def _ordered(routes: Sequence[KnownRoute], entries: Iterable[Entry]) -> Iterator[Ordered]:
    """List what was ordered, with each route that wants priors for it: who fetches most comes first."""
    wanted = sorted((route for route in routes if route.priors), key=lambda one: -one.priors)
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
                yield Ordered(route, order, entry.at)


def _priors(archive: Archive, ordered: Iterable[Ordered]) -> Iterator[Routed]:
    """Decide which previous studies go where, as examinations are ordered."""
    for route, order, at in ordered:
        if route.fetches:
            continue
        due = at + timedelta(seconds=route.quiet_s)
        for uid in islice(_previous_studies(archive, order), route.priors):
            yield _later(None, route, uid, due)


def _previous_studies(archive: Archive, order: Order) -> Iterator[str]:
    """Yield the studies of an order's patient, the newest first, but the order's own.

    One Patient ID may stand for two people: whose name, birth date or sex contradicts the order is not its
    patient (as where they are fetched, `pacs.jobs.prefetching.choose_priors`).
    """
    of_id = order.patient_id, order.issuer_of_patient_id
    for uid in archive.index.routes.newest_studies(*of_id, _MOST_LOOKED_AT):
        study = archive.index.read_study_facts(uid)
        if study is None or uid == order.study_instance_uid:
            continue
        if any(contradicting_patient(study, order)):
            _log.warning("study %s contradicts the order of its Patient ID: not sent for it", uid)
        else:
            yield uid


def _fetched(ordered: Iterable[Ordered]) -> Iterator[Fetched]:
    """Decide from where previous studies come, until a day after the examination."""
    for route, order, at in ordered:
        if route.fetches:
            until = max(at, *(_begin(step, at) for step in order.steps)) + _NEEDED_FOR
            wish = FetchWish(
                ae_title=route.ae_title,
                accession_number=order.accession_number,
                patient_id=order.patient_id,
                priors=route.priors,
                origin=f"route {route.name}",
                until=until,
            )
            yield Fetched(wish, at + timedelta(seconds=route.quiet_s))


def _begin(step: ScheduledStep, otherwise: datetime) -> datetime:
    """Tell when a step is to begin; ``otherwise`` where that is beyond all calendars, or a year away."""
    try:
        text = step.start_date + step.start_time.ljust(6, "0")
        begin = datetime.strptime(text, "%Y%m%d%H%M%S").astimezone(UTC)
    except (ValueError, OverflowError):
        return otherwise
    return begin if begin < otherwise + timedelta(days=365) else otherwise


def _later(before: Routed | None, route: KnownRoute, study_instance_uid: str, due: datetime) -> Routed:
    wish = SendWish(
        study_instance_uid, route.ae_title, f"route {route.name}", route.priority, spares_sender=True
    )
    if before is None:
        return Routed(wish, due)
    highest = wish if wish.priority > before.wish.priority else before.wish
    return Routed(highest, max(before.due, due))
