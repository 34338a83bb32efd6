from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viewer_api.byte_ranges import parse_range
from viewer_api.problems import HttpProblem


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-7", (5, 3)),
        ("bytes=5-", (5, 5)),
        ("bytes=-3", (7, 3)),
        ("bytes=-30", (0, 10)),
        ("bytes=5-999999999999999999", (5, 5)),
        ("Bytes= 0-1 ", (0, 2)),
    ],
)
def test_one_range_is_understood(text: str, part: tuple[int, int]) -> None:
    assert parse_range(text, 10) == part


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "bytes=",
        "bytes=-",
        "bytes=7-5",
        "bytes=a-b",
        "items=0-1",
        "bytes=0-1,3-4",
        "bytes=٣-٤",
        "bytes=--1",
    ],
)
def test_what_is_no_single_range_is_everything(text: str | None) -> None:
    assert parse_range(text, 10) is None


@pytest.mark.parametrize("text", ["bytes=10-", "bytes=11-12", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_behind_the_end_is_416(text: str) -> None:
    with pytest.raises(HttpProblem) as refusal:
        parse_range(text, 10)
    assert refusal.value.status == 416
    assert refusal.value.headers == {"Content-Range": "bytes */10"}


def test_c7_a_thousand_ranges_cost_nothing() -> None:
    assert parse_range("bytes=" + ",".join("0-" for _ in range(1000)), 10) is None


@settings(max_examples=200)
@given(st.text(max_size=40) | st.from_regex(r"bytes=\d{0,20}-\d{0,20}"), st.integers(0, 1 << 40))
def test_a_range_lies_within_the_body(text: str, size_bytes: int) -> None:
    try:
        part = parse_range(text, size_bytes)
    except HttpProblem as problem:
        assert problem.status == 416
        return
    if part is not None:
        assert 0 <= part[0] < part[0] + part[1] <= size_bytes
