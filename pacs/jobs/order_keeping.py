"""Keeping orders together with what becomes of them: studies that come, and what modalities say.

Both may come before the other. How far this has come is written down, so that nothing is passed over while no
worker runs; what is looked at twice stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Final

from pacs.archive import Archive
from pacs.errors import IndexUnavailable
from pacs.order_matching import match_order, match_study
from pacs.order_progress import tell_orders

_EVERY_S: Final = 5.0
_RETRY_AFTER_S: Final = 30.0
_BATCH_SIZE: Final = 500
_LOOK_BACK: Final = 20_000  # instances that are looked at again when a worker starts
_STUDIES: Final = "match studies"  # cursors
_ORDERS: Final = "match orders"
# Orders are committed in another order than they are stamped: those of the last minute are listed again.
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
            self._look_at(sop_instance_uid, partial(tell_orders, self._archive, sop_instance_uid))

    def _match_orders(self) -> None:
        cursors = self._archive.index.job_cursors
        position = _EPOCH + cursors.read(_ORDERS) * _MICROSECOND
        since, page_size = min(position, datetime.now(UTC) - _OVERLAP), _BATCH_SIZE
        while not self._stop.is_set():
            changed = self._archive.index.list_changed_orders(since, page_size)
            for number, at in changed:
                if self._seen.get(number) != at:
                    self._look_at(number, partial(self._match_order, number))
                    self._seen[number] = at
            if self._stop.is_set():
                return
            if changed and changed[-1][1] > position:
                position = changed[-1][1]
                cursors.write(_ORDERS, (position - _EPOCH) // _MICROSECOND)
            if len(changed) < page_size:
                break
            page_size = 2 * page_size if changed[-1][1] == since else _BATCH_SIZE
            since = changed[-1][1]
        self._seen = {number: at for number, at in self._seen.items() if at >= position - 2 * _OVERLAP}

    def _match_order(self, accession_number: str) -> None:
        order = self._archive.index.orders.find(accession_number)
        for sop_instance_uid in self._archive.index.performed_links.list_unlinked(order, _BATCH_SIZE):
            tell_orders(self._archive, sop_instance_uid)
        match_order(self._archive, order)

    def _match_studies(self) -> None:
        index = self._archive.index
        # An instance may have got the number of one that was deleted, where a database gives numbers twice.
        cursor = min(index.job_cursors.read(_STUDIES), index.newest_instance()) - self._looks_back
        self._looks_back, cursor = 0, max(cursor, 0)
        while not self._stop.is_set():
            quiet_since = datetime.now(UTC) - timedelta(seconds=self._archive.settings.metadata_after_s)
            settled = index.list_settled_series(cursor, quiet_since, _BATCH_SIZE)
            if settled.cursor == cursor:
                break
            for uid in dict.fromkeys(study_uid for study_uid, _ in settled.uids):
                self._look_at(uid, partial(match_study, self._archive, uid))
            if self._stop.is_set():
                return
            cursor = settled.cursor
            index.job_cursors.write(_STUDIES, cursor)

    def _look_at(self, name: str, look: Callable[[], None]) -> None:
        """Look at one thing; what is odd about it shall not keep the others back."""
        if self._stop.is_set():
            return
        try:
            look()
        except IndexUnavailable:
            raise
        except Exception as error:
            _log.error("%s could not be brought together with anything: %s", name, type(error).__name__)
