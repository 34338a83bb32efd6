"""Following the ledger: what is new in it is looked at once, in its order, by those who act on it.

How far somebody has come is a number in the index, moved on in the transaction that writes what is to be
done. So a worker that dies misses nothing and decides nothing twice, and neither do two workers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pacs.dicom.object_keys import ObjectName, parse_key
from pacs.index.records import WriteOutcome
from pacs.ledger.entries import Door, Entry, Receipt

AT_A_TIME: Final = 2000  # entries
_STORED: Final = frozenset({WriteOutcome.ADDED.value, WriteOutcome.PATIENT_DIFFERS.value})
_NOT_FROM: Final = frozenset({Door.IMPORT})  # an old archive that is taken in is no news


def arrivals(entries: Iterable[Entry]) -> Iterator[tuple[ObjectName, Receipt]]:
    """Tell which instances have come through a door and are kept, each with its receipt."""
    for entry in entries:
        if isinstance(entry, Receipt) and entry.disposition in _STORED and entry.door not in _NOT_FROM:
            name = parse_key(entry.key)
            if name is not None:
                yield name, entry
