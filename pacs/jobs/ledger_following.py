"""Following the ledger: what is new in it is looked at once, in its order, by those who act on it.

How far somebody has come is a number in the index, moved on in the transaction that writes what is to be
done. So a worker that dies misses nothing and decides nothing twice, and neither do two workers at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import Final

from pacs.dicom.object_keys import ObjectName, parse_key
from pacs.errors import ArchiveError
from pacs.index.records import WriteOutcome
from pacs.ledger.entries import Door, Entry, Receipt
from storage.errors import StoreError

AT_A_TIME: Final = 2000  # entries
_EVERY_S: Final = 2.0
_RETRY_AFTER_S: Final = 30.0
_STORED: Final = frozenset({WriteOutcome.ADDED.value, WriteOutcome.PATIENT_DIFFERS.value})
_NOT_FROM: Final = frozenset({Door.IMPORT})  # an old archive that is taken in is no news

_log = logging.getLogger(__name__)


def keep_following(follow: Callable[[], int], stop: Event, what: str) -> None:
    """Follow the ledger until ``stop`` is set.

    Parameters
    ----------
    follow
        Looks at what is new, at most `AT_A_TIME` entries, and returns how many they were.
    what
        What is done, for the log.
    """
    while not stop.is_set():
        try:
            looked_at = follow()
        except (ArchiveError, StoreError) as error:
            _log.warning("%s later: %s", what, type(error).__name__)
            stop.wait(_RETRY_AFTER_S)
        else:
            stop.wait(0 if looked_at else _EVERY_S)


def arrivals(entries: Iterable[Entry]) -> Iterator[tuple[ObjectName, Receipt]]:
    """Tell which instances have come through a door and are kept, each with its receipt."""
    for entry in entries:
        if isinstance(entry, Receipt) and entry.disposition in _STORED and entry.door not in _NOT_FROM:
            name = parse_key(entry.key)
            if name is not None:
                yield name, entry
