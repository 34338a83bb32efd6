"""What an identifier asks for: keys of its level, in its model, as it was negotiated."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.dicom.attributes import BY_KEYWORD, BY_TAG, SEQUENCE_TAGS, Level
from pacs.dicom.identifier import Identifier, Item
from pacs.dimse.find_request import FindRequest, Negotiated, answer_extended_negotiation, parse_find_request
from pacs.dimse.information_models import (
    INFORMATION_MODELS,
    PATIENT_ROOT,
    QUERY_RETRIEVE_LEVEL,
    STUDY_ROOT,
    InformationModel,
    QueryLevel,
)
from pacs.errors import IdentifierMismatch, InvalidRequest

RELATIONAL = Negotiated(relational=True)


def parse(
    level: str, model: InformationModel = STUDY_ROOT, negotiated: Negotiated = RELATIONAL, **keys: str
) -> FindRequest:
    values = {BY_KEYWORD[keyword].tag: value for keyword, value in keys.items()}
    return parse_find_request(Identifier({QUERY_RETRIEVE_LEVEL: level, **values}, {}), model, negotiated)


def test_the_query_has_the_keys_that_have_a_value() -> None:
    request = parse("STUDY", PatientName="x*", AccessionNumber="", StudyInstanceUID="1.2\\1.3")
    assert [(key.name, value) for key, value in request.query.keys] == [
        ("PatientName", "x*"),
        ("StudyInstanceUID", "1.2\\1.3"),
    ]
    assert request.query.level is Level.STUDY
    assert request.returned == {
        BY_KEYWORD[k].tag for k in ("PatientName", "AccessionNumber", "StudyInstanceUID")
    }
    assert not request.has_unsupported_keys


@pytest.mark.parametrize(
    ("information", "negotiated"),
    [
        (b"", Negotiated()),
        (b"\1", Negotiated(relational=True)),
        (b"\0\1\1", Negotiated(combined_datetime=True, fuzzy=True)),
        (b"\0\0\0\1\1\1\1", Negotiated(empty_values=True, all_values=True)),
        (b"\2\2\2\2\2\2\2\2\2", Negotiated()),
    ],
)
def test_what_was_negotiated_is_how_the_query_is_meant(information: bytes, negotiated: Negotiated) -> None:
    assert Negotiated.of(information) == negotiated
    query = parse("STUDY", negotiated=negotiated).query
    assert query.fuzzy == negotiated.fuzzy
    assert query.combined_ranges == negotiated.combined_datetime
    assert query.match_empty == negotiated.empty_values
    assert query.match_all_values == negotiated.all_values


@given(st.binary(max_size=20))
@settings(max_examples=50, deadline=None)
def test_nothing_is_granted_that_was_not_asked_for(proposed: bytes) -> None:
    answer = answer_extended_negotiation(proposed)
    assert len(answer) == min(len(proposed), 7)
    assert all(granted <= (asked == 1) for granted, asked in zip(answer, proposed, strict=False))
    assert not any(answer[3:5])


def test_a_level_may_be_written_carelessly_but_must_be_of_the_model() -> None:
    assert parse("patient ", PATIENT_ROOT).level is QueryLevel.PATIENT
    for level in ("", "PATIENT", "IMAGES", "STUDY\\SERIES"):
        with pytest.raises(IdentifierMismatch):
            parse(level, STUDY_ROOT)


tags = st.sampled_from([*BY_TAG, *SEQUENCE_TAGS, 0x00080054, 0x00104000, 0x00091001, 0x00201200])
texts = st.sampled_from(["", "x", "*", "1.2", '""', "a\\b"])
item_values = st.dictionaries(st.sampled_from([0x00080100, 0x00400009, 0x00080016]), texts)
items = st.lists(item_values.map(Item), max_size=2)


@given(
    st.dictionaries(tags, texts),
    st.dictionaries(tags, items, max_size=3),
    st.sampled_from(["PATIENT", "STUDY", "SERIES", "IMAGE", ""]),
    st.sampled_from(INFORMATION_MODELS),
    st.binary(max_size=8).map(Negotiated.of),
)
@settings(max_examples=300, deadline=None)
def test_any_identifier_is_a_request_or_refused(
    values: dict[int, str],
    sequences: dict[int, list[Item]],
    level: str,
    model: InformationModel,
    negotiated: Negotiated,
) -> None:
    identifier = Identifier({**values, QUERY_RETRIEVE_LEVEL: level}, sequences)
    try:
        request = parse_find_request(identifier, model, negotiated)
    except InvalidRequest:
        return
    assert all(value for _, value in request.query.keys)
    assert all(key.level <= request.query.level for key, _ in request.query.keys)
    assert request.returned <= values.keys() | sequences.keys() | {one.unique_key.tag for one in QueryLevel}
