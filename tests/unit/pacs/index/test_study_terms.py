from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.index.study_terms import MAX_TERM_LENGTH, Field, fit_term, moment_of, terms_of, whole_name_terms


@pytest.mark.parametrize(
    ("date", "time", "moment"),
    [
        ("20261120", "081500", 20261120081500),
        ("20261120", "081500.25", 20261120081500),
        ("20261120", None, 20261120000000),
        (None, "081500", 0),
        (None, None, 0),
    ],
)
def test_a_moment_is_date_and_time_as_a_number(date: str | None, time: str | None, moment: int) -> None:
    assert moment_of(date, time) == moment


def test_a_study_is_found_by_what_people_know_of_it() -> None:
    row = {
        "patient_name": "NGUYỄN^VĂN ĐỨC",
        "study_description": "CT ngực",
        "patient_id": "Bn1",
        "accession_number": "A/7",
        "modalities_in_study": "CT\\SR",
    }
    assert terms_of(row, ["18.0119.0028"]) == {
        (Field.WHOLE_NAME, "duc nguyen van"),
        (Field.NAME, "nguyen"),
        (Field.NAME, "van"),
        (Field.NAME, "duc"),
        (Field.MARKED_NAME, "nguyên\u0303"),
        (Field.MARKED_NAME, "văn"),
        (Field.MARKED_NAME, "đưc\u0301"),
        (Field.DESCRIPTION, "ct"),
        (Field.DESCRIPTION, "nguc"),
        (Field.PATIENT_ID, "bn1"),
        (Field.ACCESSION_NUMBER, "a/7"),
        (Field.PROCEDURE_CODE, "18.0119.0028"),
        (Field.MODALITY, "CT"),
        (Field.MODALITY, "SR"),
    }


def test_a_study_of_which_nothing_is_known_has_no_terms() -> None:
    assert terms_of({}, []) == set()


def test_each_component_group_is_a_name_and_has_its_place() -> None:
    assert set(whole_name_terms("hong gildong=洪 吉洞")) == {
        "gildong hong", "1=gildong hong", "吉洞 洪", "2=吉洞 洪",
    }  # fmt: skip


def test_long_terms_are_kept_apart() -> None:
    long, other = "a" * 500, "a" * 499 + "b"
    assert len(fit_term(long)) == MAX_TERM_LENGTH
    assert fit_term(long) != fit_term(other)


@given(st.text(max_size=300), st.text(max_size=300))
@settings(max_examples=60)
def test_no_term_is_too_long_for_the_key_of_a_database(name: str, text: str) -> None:
    row = {"patient_name": name, "study_description": text, "patient_id": text, "modalities_in_study": text}
    assert all(0 < len(term) <= MAX_TERM_LENGTH for _, term in terms_of(row, [text]))
