from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.dicom.attributes import Attribute, Level
from pacs.errors import InvalidRequest
from viewer_api.included_fields import MAX_READ
from viewer_api.search_params import MAX_RESULTS, Search, parse_search, parse_study_list


def search(query: str, level: Level = Level.STUDY, *uids: str) -> Search:
    return parse_search(parse_qsl(query, keep_blank_values=True), level, *uids)


def keys(found: Search) -> dict[str, str]:
    return {key.keyword if isinstance(key, Attribute) else key.name: value for key, value in found.query.keys}


def test_keys_are_named_by_keyword_or_tag() -> None:
    found = search("PatientName=*x*&00100020=BN1&0020000d=1.2&StudyDescription=")
    assert keys(found) == {
        "PatientName": "*x*",
        "PatientID": "BN1",
        "StudyInstanceUID": "1.2",
        "StudyDescription": "",
    }


@pytest.mark.parametrize("name", ["ProcedureCodeSequence.CodeValue", "00081032.00080100"])
def test_nested_keys_are_found(name: str) -> None:
    assert keys(search(f"{name}=18.0040.0040")) == {"ProcedureCodeSequence.CodeValue": "18.0040.0040"}


@pytest.mark.parametrize(
    "query",
    [
        "Allergies=x",  # a keyword that the index lacks
        "00102110=x",
        "orderby=StudyDate",
        "Patient%20Name=x",
        "';DROP TABLE study;--=x",
        "=x",
        "SOPInstanceUID=1.2",  # of a level below
        "Modality=CT",
        "PatientID=1&PatientID=2",
        "PatientID=1&00100020=2",
        "A.B.C=1",
    ],
)
def test_an_unusable_key_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest):
        search(query)


def test_options_are_no_keys() -> None:
    found = search("fuzzymatching=true&limit=5&offset=7&includefield=all&accept=x&emptyvaluematching=true")
    assert keys(found) == {}
    assert (found.query.limit, found.query.offset) == (5, 7)


@pytest.mark.parametrize(("query", "limit"), [("", MAX_RESULTS), ("limit=5000", MAX_RESULTS), ("limit=0", 0)])
def test_the_number_of_results_is_bounded(query: str, limit: int) -> None:
    assert search(query).query.limit == limit


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "offset=-1",
        "offset=99999999999",
        "limit=1&limit=2",
        "limit=%D9%A1",
    ],
)
def test_malformed_paging_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest):
        search(query)


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        search("&".join(f"a{i}=1" for i in range(200)))


@pytest.mark.parametrize(
    "query",
    [
        "includefield=00080080%2C00081010",
        "includefield=00080080,StationName",
        "includefield=InstitutionName&includefield=StationName",
        "includefield=00080080,ContentDate,00080023,no-such,,StationName",
    ],
)
def test_fields_to_include_come_in_lists_and_repeated_and_unknown_ones_are_left_out(query: str) -> None:
    returned = search(query, Level.SERIES).returned
    assert {0x00080080, 0x00081010} <= returned
    assert 0x00080023 not in returned


def test_fields_that_the_index_lacks_are_read_at_their_level_and_below() -> None:
    fields = "includefield=Allergies,00181030,SliceThickness,00091001"
    fields += "&includefield=Allergies,RequestedProcedureCodeSequence.CodeValue"
    allergies, protocol, thickness, private, code = 0x00102110, 0x00181030, 0x00180050, 0x00091001, 0x00321064
    assert search(fields).read == (allergies, code)
    assert search(fields, Level.SERIES).read == (allergies, protocol, code)
    found = search(fields + "&limit=1000", Level.INSTANCE)
    assert found.read == (private, allergies, thickness, protocol, code)
    assert found.query.limit == MAX_READ
    assert search("includefield=PatientName&limit=1000").query.limit == 1000


@pytest.mark.parametrize("field", ["PixelData", "7FE00010", "00020010", "PerFrameFunctionalGroupsSequence"])
def test_pixels_and_what_is_no_part_of_a_data_set_are_never_read(field: str) -> None:
    assert search(f"includefield={field}", Level.INSTANCE).read == ()


def test_a_search_reads_no_more_than_so_many_fields() -> None:
    with pytest.raises(InvalidRequest):
        search("includefield=" + ",".join(f"0018{number:04X}" for number in range(16, 96)), Level.INSTANCE)


def test_a_field_below_the_level_is_not_included() -> None:
    assert 0x00080060 not in search("includefield=Modality").returned


def test_all_fields_can_be_included() -> None:
    assert 0x00080080 not in search("").returned
    assert 0x00080080 in search("includefield=all").returned


def test_attributes_of_open_levels_are_returned_and_of_fixed_ones_only_the_uids() -> None:
    patient_name, study_uid, modality = 0x00100010, 0x0020000D, 0x00080060
    assert {patient_name, study_uid, modality} <= search("", Level.SERIES).returned
    within = search("", Level.SERIES, "1.2").returned
    assert {study_uid, modality} <= within
    assert patient_name not in within
    assert modality not in search("", Level.INSTANCE, "1.2", "1.3").returned
    assert patient_name in search("PatientName=x", Level.SERIES, "1.2").returned


def test_the_search_box_goes_along_with_keys() -> None:
    found = parse_study_list([("q", "nguyen duc"), ("ModalitiesInStudy", "CT"), ("limit", "2")])
    assert found.query.text == "nguyen duc"
    assert keys(found) == {"ModalitiesInStudy": "CT"}
    assert found.query.limit == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["PatientName", "limit", "offset", "includefield", "00080060", "x.y"])
            | st.text(),
            st.text(max_size=40),
        ),
        max_size=6,
    )
)
def test_any_search_is_understood_or_refused(parameters: list[tuple[str, str]]) -> None:
    try:
        found = parse_search(parameters, Level.STUDY)
    except InvalidRequest:
        return
    assert 0 <= found.query.limit <= MAX_RESULTS
    assert all(key.level is Level.STUDY for key, _ in found.query.keys)
