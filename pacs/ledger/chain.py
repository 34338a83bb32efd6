"""The ledger in the store: walked segment by segment, each of which names the digest of the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pacs.ledger.segments import (
    FIRST_HEAD,
    KEY_PREFIX,
    MAX_SEGMENT_SIZE_BYTES,
    Head,
    Segment,
    parse_segment_key,
    read_segment,
    segment_key,
)
from storage.errors import ObjectNotFound
from storage.store import ObjectStore


def find_segment(store: ObjectStore, previous: Head) -> Segment | None:
    """Read the segment that follows ``previous``; None if there is none.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, storage.errors.StoreUnavailable
    """
    number = previous.number + 1
    try:
        data = store.read_range(segment_key(number), 0, MAX_SEGMENT_SIZE_BYTES + 1)
    except ObjectNotFound:
        return None
    return read_segment(number, data, previous)


@dataclass(slots=True)
class ChainReport:
    """What a walk along the ledger found; ``faults`` in the order of the segments."""

    segments: int = 0
    entries: int = 0
    faults: list[str] = field(default_factory=list)


def verify_chain(store: ObjectStore, known: Head = FIRST_HEAD) -> ChainReport:
    """Walk the whole ledger, and compare it with the last segment that an index knows.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, storage.errors.StoreUnavailable
    """
    report = ChainReport()
    seen: Head = FIRST_HEAD
    for segment in walk_chain(store):
        report.segments += 1
        report.entries += len(segment.lines)
        report.faults += [f"segment {segment.head.number}: {fault}" for fault in segment.faults]
        if segment.head.number <= known.number:
            seen = segment.head
    if seen.number < known.number:
        report.faults.append(f"the index knows {known.number} segments, and the store has {seen.number}")
    elif seen != known:
        report.faults.append(f"segment {known.number}: it is another one than the index knows")
    return report


def walk_chain(store: ObjectStore, after: Head = FIRST_HEAD) -> Iterator[Segment]:
    """Read all segments behind ``after``, in order; one that does not fit tells so by its faults.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion, storage.errors.StoreUnavailable
    """
    found = (parse_segment_key(stat.key) for stat in store.list(KEY_PREFIX))
    previous = after
    for number in sorted(number for number in found if number is not None and number > after.number):
        missing = number - previous.number - 1
        segment = find_segment(store, Head(number - 1, previous.sha256))
        if segment is None:
            continue  # removed since it was listed: missing, as the next one tells
        if missing:
            segment.faults.append(f"{missing} segments before it are missing")
        yield segment
        previous = segment.head
