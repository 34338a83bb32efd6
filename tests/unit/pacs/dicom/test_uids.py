from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.dicom.uids import parse_uid
from pacs.errors import InvalidUid


@pytest.mark.parametrize("text", ["1.2.840.10008.1.2", "1", "1.02.3", "1.2.3\0", "1.2.3 ", "9" * 64])
def test_a_uid_that_real_devices_send_is_taken_without_its_padding(text: str) -> None:
    assert parse_uid(text) == text.rstrip("\0 ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        "9" * 65,
        "1..2",
        ".1",
        "1.",
        "../../etc",
        "1.2/3",
        "C:1",
        "1.2\x003",
        "１.2",
        "1.2.a",
        "1,2",
    ],
)
def test_an_odd_uid_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidUid) as refusal:
        parse_uid(text)
    assert len(text) < 3 or text not in str(refusal.value)


@given(st.text(max_size=80))
def test_what_passes_is_digits_and_single_dots_and_nothing_else(text: str) -> None:
    try:
        uid = parse_uid(text)
    except InvalidUid:
        return
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)*", uid)
    assert len(uid) <= 64
