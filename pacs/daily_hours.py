"""Hours of the day at which something may be done, such as 22:00-05:00: parsed, asked, and written again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from typing import Final

from pacs.errors import InvalidRequest

_SPAN: Final = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.ASCII)
_MOST_SPANS: Final = 8
_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class DailyHours:
    """Spans of the day in minutes since midnight, ends excluded; one may go over midnight."""

    spans: Sequence[tuple[int, int]]

    def contain(self, moment: time) -> bool:
        """Tell whether a time of the day lies in one of the spans."""
        now = moment.hour * 60 + moment.minute
        return any(
            begin <= now < end if begin < end else now >= begin or now < end for begin, end in self.spans
        )

    def __str__(self) -> str:
        return ",".join(f"{_told(begin)}-{_told(end)}" for begin, end in self.spans)


def parse_daily_hours(text: str) -> DailyHours:
    """Read spans such as ``22:00-05:00``, several with commas between them; 24:00 is the end of the day.

    Raises
    ------
    InvalidRequest
    """
    parts = text.split(",")
    if len(parts) > _MOST_SPANS:
        raise InvalidRequest(f"hours are at most {_MOST_SPANS} spans")
    return DailyHours(tuple(_span(part.strip()) for part in parts))


def _span(text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise InvalidRequest("hours are like 22:00-05:00, or 12:00-13:30,22:00-05:00")
    begin, end = _minutes(found[1], found[2]), _minutes(found[3], found[4])
    if begin in (end, _DAY):
        raise InvalidRequest("hours begin before 24:00, and do not end as they begin")
    return begin, end


def _minutes(hour: str, minute: str) -> int:
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > _DAY:
        raise InvalidRequest("a time of the day is from 00:00 to 24:00")
    return minutes


def _told(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
