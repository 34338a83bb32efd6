"""Segments of the ledger: a header that names the segment before, entries, and a line that seals them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson

from pacs.errors import LedgerFromNewerVersion

FORMAT: Final = 1
NO_SEGMENT_SHA256: Final = "0" * 64  # what the first segment names as the one before
MAX_SEGMENT_SIZE_BYTES: Final = 64 * 1024**2
KEY_PREFIX: Final = "ledger/"

_KEY = re.compile(r"ledger/(\d{9})/(\d{12})\.jsonl", re.ASCII)
_PER_FOLDER = 1000
_DAMAGED_END = "it is cut short, or was altered"


@dataclass(frozen=True, slots=True)
class Head:
    """The last segment that is known: its number, and the SHA-256 of its object."""

    number: int
    sha256: str


FIRST_HEAD: Final = Head(0, NO_SEGMENT_SHA256)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it was found; what is wrong with it stands in ``faults``."""

    head: Head
    lines: Sequence[str]
    faults: list[str] = field(default_factory=list)


def segment_key(number: int) -> str:
    """Build the key: the number and nothing else, so that a number is given once only."""
    return f"{KEY_PREFIX}{number // _PER_FOLDER:09d}/{number:012d}.jsonl"


def parse_segment_key(key: str) -> int | None:
    """Read the number back from a key; None if it is not that of a segment."""
    found = _KEY.fullmatch(key)
    number = int(found[2]) if found else 0
    return number if number and segment_key(number) == key else None


def write_segment(previous: Head, lines: Sequence[str], sealed_at: datetime) -> bytes:
    """Write the segment that follows ``previous``."""
    header = {
        "ledger": FORMAT,
        "number": previous.number + 1,
        "previous_sha256": previous.sha256,
        "sealed_at": sealed_at,
    }
    body = b"".join(
        (orjson.dumps(header, option=orjson.OPT_UTC_Z), b"\n", *(_encode(line) for line in lines))
    )
    end = {"end": len(lines), "sha256": hashlib.sha256(body).hexdigest()}
    return body + orjson.dumps(end) + b"\n"


def read_segment(number: int, data: bytes, previous: Head) -> Segment:
    """Read a segment that should have this number and follow ``previous``; whatever it is, it does no harm.

    Raises
    ------
    pacs.errors.LedgerFromNewerVersion
        Its format is one that this software does not know.
    """
    head = Head(number, hashlib.sha256(data).hexdigest())
    if len(data) > MAX_SEGMENT_SIZE_BYTES:
        return Segment(head, [], ["it is larger than any segment"])
    first, *lines = data.decode("utf-8", "replace").split("\n")
    faults = _header_faults(first, number, previous)
    if len(lines) >= 2 and lines[-1] == "" and _seals(lines[-2], data, len(lines) - 2):
        return Segment(head, lines[:-2], faults)
    # The last line may be half an entry, and would not be read as one; an end of ours is no entry either.
    return Segment(head, [line for line in lines if line], [*faults, _DAMAGED_END])


def _header_faults(line: str, number: int, previous: Head) -> list[str]:
    header = _object(line)
    if header is None or "ledger" not in header:
        return ["it has no header"]
    if header["ledger"] != FORMAT:
        raise LedgerFromNewerVersion(
            f"segment {number} of the ledger has a format that this version does not know"
        )
    faults = []
    if header.get("number") != number:
        faults.append("its header has another number")
    if header.get("previous_sha256") != previous.sha256:
        faults.append("it does not follow the segment before: one of the two was altered or replaced")
    return faults


def _seals(line: str, data: bytes, entries: int) -> bool:
    """Tell whether a last line counts the entries before it and has their digest."""
    end = _object(line)
    if end is None or end.get("end") != entries:
        return False
    body = data[: data.rfind(b"\n", 0, len(data) - 1) + 1]
    return end.get("sha256") == hashlib.sha256(body).hexdigest()


def _object(line: str) -> dict[str, object] | None:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _encode(line: str) -> bytes:
    return line.encode() + b"\n"
