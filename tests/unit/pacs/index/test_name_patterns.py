from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.index.name_patterns import NamePattern, Piece, parse_name_pattern

NGUYEN, DUC = Piece("nguyen", True, False), Piece("duc", False, True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Đức^Nguyễn Văn", NamePattern(whole=((0, "duc nguyen van"),))),
        ("Hong^Gildong=洪^吉洞", NamePattern(whole=((1, "hong gildong"), (2, "洪 吉洞")))),
        ("=洪^吉洞", NamePattern(whole=((2, "洪 吉洞"),))),
        ("nguyen*", NamePattern(pieces=(NGUYEN,))),
        ("*duc", NamePattern(pieces=(DUC,))),
        ("*uy*", NamePattern(pieces=(Piece("uy", False, False),))),
        ("nguyen*duc van", NamePattern(pieces=(NGUYEN, DUC, Piece("van", True, True)))),
        ("?an", NamePattern(pieces=(Piece("?an", True, True),), groups=((0, "?an"),))),
        (
            "Nguyen*=洪*",
            NamePattern(pieces=(NGUYEN, Piece("洪", True, False)), groups=((1, "nguyen*"), (2, "洪*"))),
        ),
        ("*^*", NamePattern()),
    ],
)  # fmt: skip
def test_a_name_is_taken_apart_into_what_its_words_must_have(value: str, expected: NamePattern) -> None:
    assert parse_name_pattern(value) == expected


def test_fuzzy_words_are_beginnings() -> None:
    pattern = parse_name_pattern("Đức Ng", fuzzy=True)
    assert pattern == NamePattern(pieces=(Piece("duc", True, False), Piece("ng", True, False)))


@given(st.text(max_size=40), st.booleans())
@settings(max_examples=60)
def test_any_name_is_understood_and_nothing_in_it_is_special_to_sql(value: str, fuzzy: bool) -> None:
    for piece in parse_name_pattern(value, fuzzy=fuzzy).pieces:
        assert "*" not in piece.text
        assert piece.text
        like = piece.like().replace("\\\\", "").replace("\\%", "").replace("\\_", "")
        assert like.strip("%").count("%") == 0
        assert like.count("_") == piece.text.count("?")
