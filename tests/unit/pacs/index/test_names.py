from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.index.names import fold_name, marked_words, split_words


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("NGUYỄN^VĂN ĐỨC", "nguyen van duc"),
        ("Nguyễn Văn^Đức^^", "nguyen van duc"),
        ("Hoà", "hoa"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "hong gildong=洪 吉洞=홍 길동"),
        ("A^B==", "a b"),
        ("", ""),
    ],
)
def test_a_name_is_folded_group_by_group(name: str, folded: str) -> None:
    assert fold_name(name) == folded


@given(st.text(max_size=60))
def test_folding_what_is_folded_changes_nothing(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)


def test_a_name_too_long_to_be_remembered_is_folded_alike() -> None:
    assert fold_name("ĐỨC^" * 1000) == ("duc " * 1000).strip()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hoà", "Hòa"),
        ("THUỶ", "thủy"),
        ("khoẻ", "khỏe"),
        ("tuỳ", "tùy"),
        ("Đức", "Ðức"),
        ("Nguyễn", "Nguyễn"),
    ],
)
def test_a_word_is_spelled_one_way_wherever_its_tone_mark_is_put(one: str, other: str) -> None:
    assert list(marked_words(one)) == list(marked_words(other))
    assert list(marked_words(one)) == list(marked_words(unicodedata.normalize("NFD", other)))


def test_words_that_differ_in_a_mark_are_spelled_apart() -> None:
    spelled = [
        next(marked_words(word)) for word in ("Hoà", "Hoá", "Hoả", "Hoã", "Hoạ", "Hôa", "Hơa", "đa", "đà")
    ]
    assert len(set(spelled)) == len(spelled)
    assert list(marked_words("Hoa NGUYEN Anh")) == []


@given(st.text(max_size=60))
@settings(max_examples=60)
def test_a_marked_word_folds_to_what_its_word_folds_to(name: str) -> None:
    folded = {fold_name(word) for word in split_words(name)}
    assert {fold_name(word) for word in marked_words(name)} <= folded
