"""Keeping orders together with what becomes of them: studies that come, and what modalities say.

Both may come before the other. How far this has come is written down, so that nothing is passed over while no
worker runs; what is looked at twice stays as it is.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Final

from pacs.archive import Archive
from pacs.errors import ArchiveError, IndexUnavailable, NotFound
from pacs.order_matching import match_order, match_study
from pacs.order_progress import tell_orders

_EVERY_S: Final = 5.0
_RETRY_AFTER_S: Final = 30.0
_BATCH_SIZE: Final = 500
_LOOK_BACK: Final = 20_000  # instances that are looked at again when a worker starts
_STUDIES: Final = "match studies"  # cursors
_ORDERS: Final = "match orders"
# Orders are committed in another order than they are stamped: those of the last minute are looked at again.
_OVERLAP: Final = timedelta(seconds=60)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_log = logging.getLogger(__name__)


def keep_orders(archive: Archive, stop: Event) -> None:
    """Bring orders, studies and performed steps together until ``stop`` is set."""
    keeper = OrderKeeper(archive, stop)
    while not stop.is_set():
        try:
            keeper.run_once()
            stop.wait(_EVERY_S)
        except IndexUnavailable as error:
            _log.warning("orders could not be looked after and will be later: %s", error)
            stop.wait(_RETRY_AFTER_S)


class OrderKeeper:
    """Looks after what is new since the last time."""

    def __init__(self, archive: Archive, stop: Event) -> None:
        self._archive, self._stop = archive, stop
        self._looks_back = _LOOK_BACK
        self._seen: dict[str, datetime] = {}  # orders of the last minute, by when they were changed

    def run_once(self) -> None:
        """Look at all that is new.

        Raises
        ------
        pacs.errors.IndexUnavailable
        """
        self._tell()
        self._match_orders()
        self._match_studies()

    def _tell(self) -> None:
        """Tell orders of performed steps that they could not be told of at once."""
        for sop_instance_uid in self._archive.index.performed_links.list_untold(_BATCH_SIZE):
            if self._stop.is_set():
                return
            tell_orders(self._archive, sop_instance_uid)

    def _match_orders(self) -> None:
        cursors = self._archive.index.job_cursors
        position = cursors.read(_ORDERS)
        since = _EPOCH + position * _MICROSECOND - _OVERLAP if position else _EPOCH
        while not self._stop.is_set():
            changed = self._archive.index.list_changed_orders(since, _BATCH_SIZE)
            for number, at in changed:
                if self._seen.get(number) != at:
                    self._match_order(number)
                    self._seen[number] = at
            if changed and (newest := (changed[-1][1] - _EPOCH) // _MICROSECOND) != position:
                cursors.write(_ORDERS, position := newest)
            if len(changed) < _BATCH_SIZE or changed[-1][1] == since:
                break
            since = changed[-1][1]
        newest_seen = max(self._seen.values(), default=_EPOCH) - 2 * _OVERLAP
        self._seen = {number: at for number, at in self._seen.items() if at > newest_seen}

    def _match_order(self, accession_number: str) -> None:
        try:
            order = self._archive.index.orders.find(accession_number)
        except NotFound:
            return
        for sop_instance_uid in self._archive.index.performed_links.list_unlinked(order, _BATCH_SIZE):
            tell_orders(self._archive, sop_instance_uid)
        match_order(self._archive, order)

    def _match_studies(self) -> None:
        archive = self._archive
        # An instance may have got the number of one that was deleted, where a database gives numbers twice.
        newest = archive.index.newest_instance()
        cursor = max(min(archive.index.job_cursors.read(_STUDIES), newest) - self._looks_back, 0)
        self._looks_back = 0
        while not self._stop.is_set():
            quiet_since = datetime.now(UTC) - timedelta(seconds=archive.settings.metadata_after_s)
            settled = archive.index.list_settled_series(cursor, quiet_since, _BATCH_SIZE)
            if settled.cursor == cursor:
                break
            for study_instance_uid in dict.fromkeys(study_uid for study_uid, _ in settled.uids):
                try:
                    match_study(archive, study_instance_uid)
                except IndexUnavailable:
                    raise
                except ArchiveError as error:
                    _log.warning("study %s could not be matched: %s", study_instance_uid, error)
            cursor = settled.cursor
            archive.index.job_cursors.write(_STUDIES, cursor)
