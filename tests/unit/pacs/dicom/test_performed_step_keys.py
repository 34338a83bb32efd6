from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.dicom.object_keys import parse_key
from pacs.dicom.performed_step_keys import StepMessageName, parse_step_message_key, read_step_message_key
from pacs.errors import UnreadableInstance

NAME = StepMessageName("1.2.3", 2, "ab" * 32)


def test_a_key_reads_back_and_is_that_of_no_instance() -> None:
    assert parse_step_message_key(NAME.key()) == NAME
    assert parse_key(NAME.key()) is None


@pytest.mark.parametrize("change", [("performed/", "performed/00"), ("000002", "000000"), (".dcm", ".txt")])
def test_another_key_is_none(change: tuple[str, str]) -> None:
    assert parse_step_message_key(NAME.key().replace(*change)) is None


def test_who_needs_the_key_of_a_message_is_told_where_it_is_none() -> None:
    assert read_step_message_key(NAME.key()) == NAME
    with pytest.raises(UnreadableInstance):
        read_step_message_key("ledger/000000000/000000000042.jsonl")


@given(st.text(max_size=120))
def test_any_text_is_read(text: str) -> None:
    name = parse_step_message_key(text)
    assert name is None or name.key() == text
