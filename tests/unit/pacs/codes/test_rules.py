import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pacs.codes.rules import CodeRule, compile_wildcard
from pacs.text import fold


def matches(pattern, text):
    return compile_wildcard(pattern).fullmatch(fold(text)) is not None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*ngực*", "CHUP X-QUANG NGUC THANG"),
        ("*NGUC*", "Chụp X-quang ngực thẳng"),
        ("chest pa", "  Chest   PA "),
        ("ct?brain", "CT Brain"),
        ("*[số hóa 1 phim]", "Sọ thẳng [SỐ HÓA 1 PHIM]"),
        ("*a*b", "xaxbxab"),
        ("**", ""),
        ("?", "ắ"),
    ],
)
def test_a_pattern_matches_blind_to_case_diacritics_and_space(pattern, text):
    assert matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("ngực", "Chụp X-quang ngực thẳng"),
        ("[abc]", "a"),
        ("a.c", "abc"),
        ("a|b", "a"),
        ("?", ""),
        ("ab*ba", "aba"),
        ("*a*b", "xaxbxa"),
    ],
)
def test_a_pattern_is_the_whole_text_and_only_star_and_question_mark_are_special(pattern, text):
    assert not matches(pattern, text)


def naive_match(pattern, text):
    """Match by the definition of the two wildcards: a table of which beginnings match which."""
    reachable = {0}
    for character in pattern:
        if character == "*":
            reachable = set(range(min(reachable), len(text) + 1)) if reachable else set()
        else:
            reachable = {
                place + 1 for place in reachable if place < len(text) and character in ("?", text[place])
            }
    return len(text) in reachable


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", max_size=16))
def test_wildcards_agree_with_their_definition(pattern, text):
    assert matches(pattern, text) == naive_match(pattern, text)


@given(st.text(alphabet=st.characters(exclude_characters="*?")))
def test_text_without_wildcards_matches_itself(text):
    assert matches(text, text)


def test_a_pattern_made_to_explode_does_not():
    # 60 stars against 5,000 letters: backtracking would outlive the hospital.
    assert not matches("*a" * 60 + "b", "a" * 5_000)


@pytest.mark.parametrize(
    "code", ["18.0119.0028", "18.0119.0000_GT", "18.0119.0028.K.79001", " 18.0119.0028 "]
)
def test_a_rule_takes_every_form_of_code(code):
    assert CodeRule(code=code, modality="DX").code == code.strip()


@pytest.mark.parametrize(
    "code", ["", "18.0119", "18-0119-0028", "18.0119.0028_XX", "x18.0119.0028", "٠٨.0119.0028"]
)
def test_a_rule_with_a_malformed_code_is_refused(code):
    with pytest.raises(ValidationError):
        CodeRule(code=code, modality="DX")


def test_a_rule_without_a_condition_is_refused():
    with pytest.raises(ValidationError, match="needs a modality, a station or a description"):
        CodeRule(code="18.0119.0028")


@pytest.mark.parametrize(
    "condition", [{"modality": " "}, {"description": "x" * 129}, {"modality": "DX", "desription": "*"}]
)
def test_an_empty_an_overlong_and_an_unknown_condition_are_refused(condition):
    with pytest.raises(ValidationError):
        CodeRule(code="18.0119.0028", **condition)


def test_a_rule_cannot_be_changed():
    rule = CodeRule(code="18.0119.0028", modality="DX")
    with pytest.raises(ValidationError, match=re.escape("frozen")):
        rule.modality = "CT"
