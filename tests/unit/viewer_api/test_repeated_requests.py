"""Only a request that repeats the last one, byte for byte but for its path, is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer_api.outgoing_answer import OutgoingAnswer
from viewer_api.repeated_requests import RepeatedRequests

FIRST = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n"


def cycle(keep_alive: bool = True) -> Any:
    return SimpleNamespace(keep_alive=keep_alive)


def knowing(asked: list[str], data: bytes = FIRST) -> RepeatedRequests:
    """Make one that has learned a request, and notes the paths that it is asked for later."""
    repeated, answered = RepeatedRequests(), cycle()

    def again(path: str) -> OutgoingAnswer:
        asked.append(path)
        return cast("OutgoingAnswer", path)

    repeated.was_heard(answered, data)
    repeated.was_answered(answered, again)
    return repeated


def test_nothing_is_known_at_first() -> None:
    assert RepeatedRequests().find(FIRST) is None
    assert RepeatedRequests().find(b"") is None


def test_the_same_words_with_another_path_are_known() -> None:
    asked: list[str] = []
    repeated = knowing(asked)
    for path in ("/one", "/two", "/three?four", ""):
        assert repeated.find(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode()) is not None
    assert asked == ["/one", "/two", "/three?four", ""]


@given(st.binary(max_size=60))
def test_other_words_are_not(data: bytes) -> None:
    repeated = knowing([])
    assert repeated.find(data) is None
    assert repeated.find(FIRST + data) is None or not data
    assert repeated.find(FIRST[: len(data) % len(FIRST)]) is None


@given(st.binary(max_size=20).filter(lambda path: b"\r\n" not in path))
def test_a_path_is_handed_on_as_it_came(path: bytes) -> None:
    asked: list[str] = []
    knowing(asked).find(FIRST.replace(b"/one", path))
    assert [one.encode("latin-1") for one in asked] == [path]


def test_an_answer_to_another_request_teaches_nothing() -> None:
    repeated = RepeatedRequests()
    repeated.was_heard(cycle(), FIRST)
    repeated.was_answered(cycle(), pytest.fail)
    assert repeated.find(FIRST) is None


def test_a_connection_that_is_closed_behind_the_answer_teaches_nothing() -> None:
    repeated, answered = RepeatedRequests(), cycle(keep_alive=False)
    repeated.was_heard(answered, FIRST)
    repeated.was_answered(answered, pytest.fail)
    assert repeated.find(FIRST) is None


def test_long_words_are_not_remembered() -> None:
    data = FIRST[:-2] + b"X: " + bytes(5000) + b"\r\n\r\n"
    assert knowing([], data).find(data) is None
