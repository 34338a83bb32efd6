import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.codes.rules import CodeRule
from pacs.codes.tables import load_table
from pacs.codes.tagging import DatasetCode, TaggedCode, load_tagger
from pacs.errors import SettingsError

CHEST = "18.0119.0028"
CHEST_LATERAL = "18.0120.0028"
ABDOMEN_US = "18.0015.0001"


def values(tagged):
    return [code.value for code in tagged]


def test_a_known_code_of_the_data_set_tags_the_study():
    assert load_tagger(()).tag([DatasetCode(CHEST, "99BYT", "whatever was sent")]) == [
        TaggedCode(CHEST, "99BYT", "Chụp X-quang ngực thẳng [số hóa 1 phim]", "sequence")
    ]


@pytest.mark.parametrize("scheme", ["99BYT", "99HIS", "99his ", "L", "", "  ", None])
def test_a_code_counts_under_any_local_designator_and_gets_ours(scheme):
    (tagged,) = load_tagger(()).tag([DatasetCode(CHEST, scheme)])
    assert tagged.scheme == "99BYT"


@pytest.mark.parametrize("scheme", ["DCM", "SRT", "SCT", "LN", "RADLEX", "I10", "C4", "LOCAL", "9"])
def test_a_code_of_a_standard_scheme_never_counts(scheme):
    assert load_tagger(()).tag([DatasetCode(CHEST, scheme)]) == []


def test_several_codes_count_once_each_in_the_order_found():
    codes = [DatasetCode(value) for value in (ABDOMEN_US, "unknown", CHEST, f"{ABDOMEN_US} ")]
    assert values(load_tagger(()).tag(codes)) == [ABDOMEN_US, CHEST]


def test_a_code_of_the_data_set_wins_over_a_rule():
    tagger = load_tagger([CodeRule(code=CHEST, modality="DX")])
    assert values(tagger.tag([DatasetCode(CHEST_LATERAL)], modality="DX")) == [CHEST_LATERAL]


def test_a_rule_speaks_where_the_data_set_has_no_code_that_is_known():
    tagger = load_tagger([CodeRule(code=CHEST, modality="DX")])
    (tagged,) = tagger.tag([DatasetCode("RPID2503", "RADLEX"), DatasetCode("XQ01", "99HIS")], modality="DX")
    assert (tagged.value, tagged.origin) == (CHEST, "rule")


def test_the_first_rule_that_matches_gives_its_code():
    tagger = load_tagger(
        [
            CodeRule(code=CHEST_LATERAL, modality="DX", description="*nghiêng*"),
            CodeRule(code=CHEST, modality="DX"),
        ]
    )
    assert values(tagger.tag([], modality="DX", series_description="NGUC NGHIENG")) == [CHEST_LATERAL]
    assert values(tagger.tag([], modality="DX", series_description="NGUC THANG")) == [CHEST]


@pytest.mark.parametrize(
    "exam",
    [
        {"modality": "dx", "station_name": "DR-2", "study_description": "Ngực"},
        {"modality": "DX ", "station_name": "dr-1", "series_description": "NGUC"},
        {"modality": "DX", "station_name": "DR-1", "requested_procedure_description": "ngực"},
        {"modality": "DX", "station_name": "DR-1", "study_description": "", "protocol_name": "Ngực"},
    ],
)
def test_a_rule_matches_when_all_its_conditions_do(exam):
    tagger = load_tagger([CodeRule(code=CHEST, modality="DX", station="DR-?", description="ngực")])
    assert values(tagger.tag([], **exam)) == [CHEST]


@pytest.mark.parametrize(
    "exam",
    [
        {},
        {"modality": "DX", "station_name": "DR-1"},
        {"modality": "CT", "station_name": "DR-1", "study_description": "Ngực"},
        {"modality": "DX", "station_name": "DR-10", "study_description": "Ngực"},
        {"modality": "DX", "study_description": "Ngực"},
    ],
)
def test_a_rule_does_not_match_when_one_of_its_conditions_fails(exam):
    tagger = load_tagger([CodeRule(code=CHEST, modality="DX", station="DR-?", description="ngực")])
    assert tagger.tag([], **exam) == []


def test_absent_text_does_not_fulfil_even_a_pattern_that_takes_all():
    tagger = load_tagger([CodeRule(code=CHEST, description="*"), CodeRule(code=CHEST, station="*")])
    assert tagger.tag([], modality="DX", study_description="", station_name=None) == []


def test_a_rule_whose_code_is_not_in_the_table_is_an_error_that_names_it():
    rules = [CodeRule(code=CHEST, modality="DX"), CodeRule(code="18.9999.9999", modality="CT")]
    with pytest.raises(SettingsError, match=r"rule 2 gives the code 18\.9999\.9999"):
        load_tagger(rules)


TEXT = st.none() | st.text(max_size=40)
CODES = st.builds(
    DatasetCode,
    value=st.sampled_from([CHEST, ABDOMEN_US]) | st.text(max_size=20),
    scheme=st.sampled_from(["99BYT", "DCM"]) | TEXT,
    meaning=TEXT,
)


@given(st.lists(CODES, max_size=5), TEXT, TEXT, TEXT)
def test_whatever_is_sent_only_codes_of_the_table_come_out_each_once(
    codes, modality, station_name, description
):
    tagger = load_tagger(
        [CodeRule(code=CHEST, modality="DX", description="*a*"), CodeRule(code=CHEST, station="?*")]
    )
    tagged = tagger.tag(codes, modality=modality, station_name=station_name, study_description=description)
    assert len(set(values(tagged))) == len(tagged)
    assert all(load_table().lookup(code.value).name == code.meaning for code in tagged)


def test_a_megabyte_of_description_is_no_burden():
    tagger = load_tagger([CodeRule(code=CHEST, description="*a" * 60 + "b")] * 50)
    assert tagger.tag([], study_description="a" * 1_000_000) == []
