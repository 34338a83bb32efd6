"""Hostile keys."""

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.errors import InvalidKey
from storage.keys import MAX_KEY_LENGTH, check_key, check_prefix, is_key

SEGMENTS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,30}", fullmatch=True)
KEYS = st.lists(SEGMENTS, min_size=1, max_size=8).map("/".join)


@given(st.text(max_size=60) | st.text(alphabet="a./\\~\0\n -", max_size=30))
@example("a\n")
@example("../../etc/passwd")
@example("a/..")
@example("٣")  # a digit of another script
def test_what_is_a_key_stays_below_the_root(text):
    if is_key(text):
        assert os.path.normpath(f"/srv/{text}") == f"/srv/{text}"
        assert text.isascii() and text.isprintable()
        assert not any(segment.startswith(".") for segment in text.split("/"))
    else:
        with pytest.raises(InvalidKey):
            check_key(text)


@given(KEYS)
def test_a_key_and_every_start_of_it_are_accepted(key):
    check_key(key)
    for end in range(len(key) + 1):
        check_prefix(key[:end])


@given(st.text(alphabet="ab./~\0", max_size=20))
def test_a_prefix_is_accepted_only_if_a_key_can_start_with_it(text):
    if is_key(text) or is_key(text + "a"):
        check_prefix(text)
    else:
        with pytest.raises(InvalidKey):
            check_prefix(text)


@pytest.mark.parametrize("segment_length", [255])
def test_the_longest_names_are_accepted_and_longer_ones_refused(segment_length):
    assert is_key("a" * segment_length)
    assert not is_key("a" * (segment_length + 1))
    longest = "/".join(["a" * 100] * 9)[:MAX_KEY_LENGTH]
    assert is_key(longest)
    assert not is_key(longest + "a" * (MAX_KEY_LENGTH - len(longest) + 1))


def test_the_message_does_not_repeat_all_of_a_hostile_key():
    with pytest.raises(InvalidKey) as raised:
        check_key("/" * 100_000)
    assert len(str(raised.value)) < 200
