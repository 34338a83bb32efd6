"""Hours of the day: what is written is what is meant, and nothing else is read."""

from __future__ import annotations

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.daily_hours import parse_daily_hours
from pacs.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("08:00-12:00", ["08:00", "11:59"], ["07:59", "12:00"]),
        ("22:00-05:00", ["22:00", "23:59", "00:00", "04:59"], ["05:00", "21:59"]),
        ("12:00-13:30, 22:00-24:00", ["13:29", "23:59"], ["13:30", "00:00", "21:59"]),
        ("0:00-24:00", ["00:00", "23:59"], []),
    ],
)
def test_a_time_lies_within_the_hours_or_not(text: str, inside: list[str], outside: list[str]) -> None:
    hours = parse_daily_hours(text)
    assert [one for one in inside if not hours.contain(time.fromisoformat(one))] == []
    assert [one for one in outside if hours.contain(time.fromisoformat(one))] == []


@pytest.mark.parametrize(
    "text",
    ["", "22:00", "25:00-26:00", "22:60-23:00", "24:00-05:00", "10:00-10:00", "24:01-25:00", "a-b",
     "22:00-05:00,", ",".join(["01:00-02:00"] * 9), "٢٢:00-05:00"],
)  # fmt: skip
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_daily_hours(text)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_hours_or_refused(text: str) -> None:
    try:
        hours = parse_daily_hours(text)
    except InvalidRequest:
        return
    assert parse_daily_hours(str(hours)) == hours


MINUTES = st.integers(0, 24 * 60 - 1)


@given(MINUTES, MINUTES, MINUTES)
def test_either_a_span_or_its_complement_has_a_time(begin: int, end: int, now: int) -> None:
    if begin == end:
        return
    told = [f"{one // 60}:{one % 60:02}" for one in (begin, end)]
    moment = time(now // 60, now % 60)
    span, complement = (parse_daily_hours("-".join(pair)) for pair in (told, told[::-1]))
    assert span.contain(moment) != complement.contain(moment)
