from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.errors import MalformedLedgerEntry
from pacs.ledger.entries import (
    Door,
    Entry,
    MatchDecision,
    Move,
    OrderPlaced,
    OrderState,
    Receipt,
    Settlement,
    StepMessage,
    Tombstone,
    read_entry,
    write_entry,
)

AT = datetime(2026, 11, 22, 1, 2, 3, 456789, UTC)
RECEIPT = Receipt(AT, "5f/1.2/1.3/1.4.ab.dcm", 530_000, "1.2.840.10008.1.2.1", "dimse", "CT1", "added")
ENTRIES = (
    RECEIPT,
    Receipt(AT, "k", 0, "1.2", "stow", None, "conflict"),
    Settlement(AT, "1.2.3\\0123456789abcdef", "new", "administrator"),
    Tombstone(AT, "5f/1.2/1.3/1.4.ab.dcm"),
    Move(AT, "packs/20261122/00.tar/1024-7/k", "k"),
    StepMessage(AT, "performed/5f/1.2/000001.ab.dcm", "CT1"),
    StepMessage(AT, "performed/5f/1.2/000002.ab.dcm", None),
    MatchDecision(AT, "1.2.3", "XQ1", "accepted", "administrator"),
    OrderPlaced(AT, "XQ1", 1, {"patient_name": "Đỗ^An", "steps": [{"modality": "CT"}]}),
    OrderState(AT, "XQ1", 2, ("XQ1", "XQ1-2"), "STARTED"),
)
_NAMES = [
    "type", "at", "key", "size_bytes", "subject", "kept", "by", "door", "other",
    "accession_number", "version", "order", "step_ids", "state",
]  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_is_one_line_and_comes_back(entry: Entry) -> None:
    line = write_entry(entry)
    assert "\n" not in line
    assert read_entry(line) == entry


def test_a_receipt_reads_as_the_format_says() -> None:
    assert write_entry(RECEIPT) == (
        '{"type":"receipt","at":"2026-11-22T01:02:03.456789Z","key":"5f/1.2/1.3/1.4.ab.dcm",'
        '"size_bytes":530000,"transfer_syntax_uid":"1.2.840.10008.1.2.1","door":"dimse",'
        '"calling_ae_title":"CT1","disposition":"added"}'
    )


def test_an_entry_of_a_later_version_is_passed_over() -> None:
    assert read_entry('{"type":"correction","at":"2026-11-22T01:02:03Z"}') is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at", "yesterday"),
        ("at", "2026-13-22T01:02:03Z"),
        ("at", 7),
        ("key", "../../etc/passwd"),
        ("key", "/etc/passwd"),
        ("key", ""),
        ("size_bytes", -1),
        ("size_bytes", 2**63),
        ("size_bytes", True),
        ("size_bytes", "1"),
        ("transfer_syntax_uid", None),
        ("calling_ae_title", 7),
        ("calling_ae_title", "a\0b"),
        ("door", "x" * 2000),
        ("type", 7),
    ],
)
def test_a_malformed_receipt_is_refused(name: str, value: object) -> None:
    values = orjson.loads(write_entry(RECEIPT))
    with pytest.raises(MalformedLedgerEntry):
        read_entry(orjson.dumps({**values, name: value}).decode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 0),
        ("version", True),
        ("version", 2**31),
        ("accession_number", ""),
        ("step_ids", "XQ1"),
        ("step_ids", [1]),
        ("state", None),
    ],
)
def test_a_malformed_state_of_an_order_is_refused(name: str, value: object) -> None:
    values = orjson.loads(write_entry(ENTRIES[-1]))
    with pytest.raises(MalformedLedgerEntry):
        read_entry(orjson.dumps({**values, name: value}).decode())


@pytest.mark.parametrize("line", ["", "null", "[]", "{}", "{", '"receipt"', "[" * 5000, " " * 100_000])
def test_what_is_no_entry_is_refused(line: str) -> None:
    with pytest.raises(MalformedLedgerEntry):
        read_entry(line)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(ENTRIES),
    st.dictionaries(
        st.sampled_from(_NAMES),
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=40) | st.lists(st.none()),
    ),
)
def test_whatever_a_line_holds_it_is_an_entry_or_refused(entry: Entry, changed: dict[str, object]) -> None:
    values = {**orjson.loads(write_entry(entry)), **changed}
    try:
        found = read_entry(orjson.dumps(values).decode())
    except MalformedLedgerEntry:
        return
    assert found is None or read_entry(write_entry(found)) == found


def test_the_page_on_the_format_lists_the_doors_of_receipts() -> None:
    page = (Path(__file__).parents[4] / "storage/FORMAT.md").read_text("utf-8")
    listed = re.search(r"`door` \(([^)]*)\)", page)
    assert listed is not None
    assert re.findall(r"`(\w+)`", listed[1]) == list(Door)
