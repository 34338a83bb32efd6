from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.errors import LedgerFromNewerVersion
from pacs.ledger.chain import verify_chain, walk_chain
from pacs.ledger.segments import (
    FIRST_HEAD,
    MAX_SEGMENT_SIZE_BYTES,
    Head,
    parse_segment_key,
    read_segment,
    segment_key,
    write_segment,
)
from storage.keys import is_key
from storage.memory import MemoryStore

AT = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
LINES = ['{"type":"a"}', '{"type":"b"}', '{"type":"c"}']
DATA = write_segment(FIRST_HEAD, LINES, AT)


def filled(*contents: list[str]) -> tuple[MemoryStore, Head]:
    store, head = MemoryStore(), FIRST_HEAD
    for lines in contents:
        data = write_segment(head, lines, AT)
        store.put(segment_key(head.number + 1), data)
        head = Head(head.number + 1, hashlib.sha256(data).hexdigest())
    return store, head


def test_a_segment_comes_back_whole() -> None:
    segment = read_segment(1, DATA, FIRST_HEAD)
    assert (segment.lines, segment.faults) == (LINES, [])
    assert segment.head == Head(1, hashlib.sha256(DATA).hexdigest())


def test_an_empty_segment_is_one() -> None:
    segment = read_segment(1, write_segment(FIRST_HEAD, [], AT), FIRST_HEAD)
    assert (segment.lines, segment.faults) == ([], [])


def test_a_segment_reads_as_the_format_says() -> None:
    header, *_, end, nothing = DATA.decode().split("\n")
    zeros = "0" * 64
    assert (
        header == f'{{"ledger":1,"number":1,"previous_sha256":"{zeros}","sealed_at":"2026-11-22T01:02:03Z"}}'
    )
    body = hashlib.sha256(DATA[: DATA.index(b'{"end"')]).hexdigest()
    assert (end, nothing) == (f'{{"end":3,"sha256":"{body}"}}', "")


def test_a_number_is_a_key_and_comes_back() -> None:
    for number in (1, 999, 1000, 123_456_789_012):
        assert is_key(segment_key(number))
        assert parse_segment_key(segment_key(number)) == number
    for key in ("ledger/000000000/000000000000.jsonl", "ledger/000000001/000000000001.jsonl", "ledger/x"):
        assert parse_segment_key(key) is None


def test_what_does_not_follow_is_told() -> None:
    assert read_segment(1, DATA, Head(0, "f" * 64)).faults
    assert read_segment(2, DATA, Head(1, FIRST_HEAD.sha256)).faults


def test_a_newer_format_is_not_guessed_at() -> None:
    with pytest.raises(LedgerFromNewerVersion):
        read_segment(1, DATA.replace(b'"ledger":1', b'"ledger":2'), FIRST_HEAD)


def test_what_is_larger_than_any_segment_is_not_read() -> None:
    segment = read_segment(1, bytes(MAX_SEGMENT_SIZE_BYTES + 1), FIRST_HEAD)
    assert segment.faults and not segment.lines


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(DATA) - 1))
def test_a_segment_cut_anywhere_is_told_and_gives_what_is_left(size: int) -> None:
    segment = read_segment(1, DATA[:size], FIRST_HEAD)
    assert segment.faults
    whole = [line for line in LINES if f"{line}\n".encode() in DATA[:size]]
    assert list(segment.lines[: len(whole)]) == whole


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_segment_altered_anywhere_is_told(position: int, difference: int) -> None:
    altered = bytearray(DATA)
    altered[position] ^= difference
    try:
        segment = read_segment(1, bytes(altered), FIRST_HEAD)
    except LedgerFromNewerVersion:
        return
    assert segment.faults or segment.head != read_segment(1, DATA, FIRST_HEAD).head


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_read_without_harm(data: bytes) -> None:
    try:
        assert read_segment(1, data, FIRST_HEAD).faults
    except LedgerFromNewerVersion:
        assert b"ledger" in data


def test_a_whole_chain_verifies() -> None:
    store, head = filled(["{}"], [], LINES)
    report = verify_chain(store, head)
    assert (report.segments, report.entries, report.faults) == (3, 4, [])
    assert verify_chain(MemoryStore()).faults == []


def test_a_break_of_the_chain_is_told_where_it_is() -> None:
    store, head = filled(["{}"], LINES, ["{}"])
    store.delete(segment_key(2))
    store.put(segment_key(2), write_segment(Head(1, next(walk_chain(store)).head.sha256), LINES[:2], AT))
    (fault,) = verify_chain(store, head).faults
    assert fault.startswith("segment 3: it does not follow")


def test_a_ledger_that_lost_its_end_is_told_by_the_index() -> None:
    store, head = filled(["{}"], LINES)
    store.delete(segment_key(2))
    assert verify_chain(store, head).faults == ["the index knows 2 segments, and the store has 1"]
    store.put(segment_key(2), write_segment(next(walk_chain(store)).head, [], AT))
    assert verify_chain(store, head).faults == ["segment 2: it is another one than the index knows"]


def test_missing_segments_are_told() -> None:
    store, head = filled(["{}"], ["{}"], ["{}"], ["{}"])
    store.delete(segment_key(2))
    store.delete(segment_key(3))
    assert "segment 4: 2 segments before it are missing" in verify_chain(store, head).faults
