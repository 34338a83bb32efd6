"""Sentences in two languages, and names, dates and ages as people read them."""

from __future__ import annotations

import re

import pytest

from tests.e2e.web.modules import WEB


def test_both_languages_have_the_same_sentences(evaluate):
    messages = evaluate("return (await import('/messages.js')).MESSAGES;")
    assert set(messages) == {"vi", "en"}
    assert set(messages["vi"]) == set(messages["en"])
    assert all(sentence.strip() for language in messages.values() for sentence in language.values())


def test_both_languages_fill_in_the_same_values(evaluate):
    messages = evaluate("return (await import('/messages.js')).MESSAGES;")

    def blanks(sentence):
        return {frozenset(re.findall(r"\{(\w+)\}", form)) for form in sentence.split("|")}

    differing = [key for key in messages["vi"] if blanks(messages["vi"][key]) != blanks(messages["en"][key])]
    assert differing == []


def test_every_sentence_that_a_page_asks_for_exists_and_none_is_left_over(evaluate):
    known = set(evaluate("return Object.keys((await import('/messages.js')).MESSAGES.vi);"))
    sources = [path.read_text("utf-8") for path in WEB.iterdir() if path.suffix in (".js", ".html")]
    named = set()
    for source in sources:
        if "export const MESSAGES" not in source:
            named |= set(re.findall(r"[\"'`]([a-z]+(?:\.[A-Za-z_]+)+)[\"'`]", source))
    asked = {word for source in sources for word in re.findall(r"data-i18n(?:-\w+)?=\"([^\"]+)\"", source)}
    composed = ("sex.", "age.", "error.", "list.date.")  # put together at run time: t(`sex.${...}`)
    assert asked <= known
    assert {key for key in known - named - asked if not key.startswith(composed)} == set()


@pytest.mark.parametrize(
    ("stored", "preferred", "expected"),
    [
        (None, ["vi-VN", "en"], "vi"),
        (None, ["en-US"], "en"),
        (None, ["fr", "en-GB"], "en"),
        (None, ["de"], "vi"),
        ("en", ["vi"], "en"),
        ("<script>", ["toString"], "vi"),
    ],
)
def test_the_first_language_is_the_one_chosen_before_or_the_browsers_or_vietnamese(
    evaluate, stored, preferred, expected
):
    body = "return (await import('/i18n.js')).initialLanguage(given[0], given[1]);"
    assert evaluate(body, stored, preferred) == expected


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NGUYỄN^VĂN ĐỨC", "NGUYỄN VĂN ĐỨC"),
        ("Doe^John^^Dr.^", "Doe John Dr."),
        ("^^^^", ""),
        ("TRẦN^THỊ\u202eTHỬ\u200b\x07", "TRẦN THỊTHỬ"),
        ("  LÊ ^ HOÀNG\r\nMINH ", "LÊ HOÀNG MINH"),
    ],
)
def test_names_are_read_without_carets_and_without_invisible_characters(evaluate, written, read):
    assert evaluate("return (await import('/format.js')).formatPersonName(given[0]);", written) == read


def test_a_text_without_end_is_cut(evaluate):
    body = "return (await import('/format.js')).formatPersonName('Ă'.repeat(1e7)).length;"
    assert evaluate(body) == 257


@pytest.mark.parametrize(
    ("value", "language", "expected"),
    [
        ("20261120", "vi", "20/11/2026"),
        ("20261120", "en", "20 Nov 2026"),
        ("2026.11.20", "vi", "20/11/2026"),
        ("20261320", "vi", "20261320"),
        ("", "vi", ""),
        ("hôm nay", "vi", "hôm nay"),
    ],
)
def test_dates_are_written_as_the_language_does(evaluate, value, language, expected):
    body = "return (await import('/format.js')).formatDate(given[0], given[1]);"
    assert evaluate(body, value, language) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("143205.12", "14:32"), ("0905", "09:05"), ("25", ""), ("", "")]
)
def test_times_show_hour_and_minute(evaluate, value, expected):
    assert evaluate("return (await import('/format.js')).formatTime(given[0]);", value) == expected


@pytest.mark.parametrize(
    ("born", "on", "expected"),
    [
        ("19810412", "20261122", {"n": 45, "unit": "years"}),
        ("19811122", "20261121", {"n": 44, "unit": "years"}),
        ("20250101", "20261122", {"n": 22, "unit": "months"}),
        ("20261101", "20261122", {"n": 21, "unit": "days"}),
        ("20261122", "20261122", {"n": 0, "unit": "days"}),
        ("20270101", "20261122", None),
        ("", "20261122", None),
    ],
)
def test_age_is_that_of_the_study_in_the_unit_of_the_clinic(evaluate, born, on, expected):
    assert evaluate("return (await import('/format.js')).ageOn(given[0], given[1]);", born, on) == expected
