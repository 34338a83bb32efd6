from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.index.selection import Selection
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import make_client, split_multipart, store_dataset

STUDY = "1.2.826.0.1.3680043.8.498.1"
BASE = "https://pacs.example.vn/xa/dicom-web"


def request_item() -> Dataset:
    item = Dataset()
    item.RequestedProcedureID, item.ScheduledProcedureStepID = "RP1", "SPS1"
    return item


def code_item() -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "18.0091.0028", "99HIS", "CLVT"
    return item


@pytest.fixture(scope="module")
def client(module_archive: Archive) -> TestClient:
    """Three studies; the first one has two series of two and one instances."""
    for series, number, instance in ((1, 1, 1), (1, 1, 2), (2, 2, 1)):
        dataset = make_dataset(
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=f"{STUDY}.{series}",
            SOPInstanceUID=f"{STUDY}.{series}.{instance}",
            SeriesNumber=number,
            InstanceNumber=instance,
            Modality="CT" if series == 1 else "SR",
            PatientName="NGUYỄN^VĂN ĐỨC=阮文德",
            InstitutionName="Bệnh viện",
            TimezoneOffsetFromUTC="+0700",
            PatientAge="056Y",
            NameOfPhysiciansReadingStudy=["LÊ^THỊ BÌNH", "Đỗ^Ước"],
            PatientComments="Dị ứng thuốc cản quang",
            PatientWeight="61.5",
            Allergies=["Iod", "Penicillin"],
            ProtocolName="Ngực",
            SliceThickness="1.25",
            RequestAttributesSequence=[request_item()],
            ProcedureCodeSequence=[code_item()],
        )
        store_dataset(module_archive, dataset)
    store_dataset(
        module_archive, make_dataset(PatientID="BN2", PatientName="TRẦN^THỊ THỬ", StudyDate="20260101")
    )
    store_dataset(module_archive, make_dataset(PatientID="BN3", StudyDate="20250101", AccessionNumber=None))
    return make_client(module_archive)


def get(client: TestClient, path: str, status: int = 200) -> Any:
    response = client.get(f"/dicom-web{path}")
    assert response.status_code == status, response.text
    return response.json()


def test_a_study_is_answered_in_dicom_json(client: TestClient) -> None:
    (study,) = get(client, f"/studies?StudyInstanceUID={STUDY}")
    assert study["00100010"] == {
        "vr": "PN",
        "Value": [{"Alphabetic": "NGUYỄN^VĂN ĐỨC", "Ideographic": "阮文德"}],
    }
    assert study["00080061"] == {"vr": "CS", "Value": ["CT", "SR"]}
    assert study["00201206"] == {"vr": "IS", "Value": [2]}
    assert study["00201208"] == {"vr": "IS", "Value": [3]}
    assert study["00080020"] == {"vr": "DA", "Value": ["20261120"]}
    assert study["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert study["00080056"] == {"vr": "CS", "Value": ["ONLINE"]}
    assert study["00081190"] == {"vr": "UR", "Value": [f"{BASE}/studies/{STUDY}"]}
    (code,) = study["00081032"]["Value"]
    assert code["00080100"] == {"vr": "SH", "Value": ["18.0091.0028"]}
    assert list(study) == sorted(study)


def test_the_time_zone_is_told_and_the_age_to_who_asks(client: TestClient) -> None:
    (study,) = get(client, f"/studies?StudyInstanceUID={STUDY}")
    assert study["00080201"] == {"vr": "SH", "Value": ["+0700"]}
    assert "00101010" not in study
    (asked,) = get(client, "/studies?PatientAge=056Y&includefield=PatientAge")
    assert asked["00101010"] == {"vr": "AS", "Value": ["056Y"]}


def test_optional_keys_match_any_of_their_values_and_are_told_to_who_asks(client: TestClient) -> None:
    for keys in (
        "NameOfPhysiciansReadingStudy=do uoc",
        "00081060=binh*",
        "PatientComments=*di ung*",
        "00104000=D%E1%BB%8B*",
        "PatientWeight=61.5",
    ):
        (study,) = get(client, f"/studies?{keys}")
        assert study["0020000D"]["Value"] == [STUDY], keys
    assert get(client, "/studies?NameOfPhysiciansReadingStudy=binh uoc") == []
    (asked,) = get(client, "/studies?StudyID=&PatientWeight=6*&includefield=00081060,PatientComments")
    assert asked["00081060"]["Value"] == [{"Alphabetic": "LÊ^THỊ BÌNH"}, {"Alphabetic": "Đỗ^Ước"}]
    assert asked["00104000"] == {"vr": "LT", "Value": ["Dị ứng thuốc cản quang"]}
    assert asked["00101030"] == {"vr": "DS", "Value": [61.5]}
    assert "00104000" not in get(client, f"/studies?StudyInstanceUID={STUDY}")[0]


def test_a_field_that_the_index_lacks_is_read_from_the_object(client: TestClient) -> None:
    fields = "includefield=Allergies,ProtocolName,SliceThickness,00181020"
    (study,) = get(client, f"/studies?StudyInstanceUID={STUDY}&{fields}")
    assert study["00102110"] == {"vr": "LO", "Value": ["Iod", "Penicillin"]}
    assert not {"00181030", "00180050", "00181020"} & study.keys()
    assert list(study) == sorted(study)
    series = get(client, f"/studies/{STUDY}/series?{fields}")
    assert [one["00181030"]["Value"] for one in series] == [["Ngực"]] * 2
    assert series[0]["00181020"] == {"vr": "LO"}
    assert "00180050" not in series[0]
    instances = get(client, f"/studies/{STUDY}/instances?{fields}")
    assert [one["00180050"]["Value"] for one in instances] == [[1.25]] * 3


def test_an_object_that_is_missing_costs_only_the_fields_that_were_in_it(archive: Archive) -> None:
    for number, key in ((1, "BN1"), (2, "BN2")):
        store_dataset(archive, make_dataset(PatientID=key, Allergies="Iod", StudyDate=f"2026010{number}"))
    (lost,) = archive.index.select_instances(Selection(patient_id="BN1"), 1)
    archive.store.delete(lost.location.key)
    found = get(make_client(archive), "/studies?includefield=Allergies")
    assert [one["00102110"].get("Value") for one in found] == [["Iod"], None]


def test_an_attribute_without_a_value_is_there_and_empty(client: TestClient) -> None:
    (study,) = get(client, "/studies?PatientID=BN3")
    assert study["00080050"] == {"vr": "SH"}
    assert study["00081032"] == {"vr": "SQ"}


def test_nothing_found_is_an_empty_array(client: TestClient) -> None:
    assert get(client, "/studies?PatientID=NOBODY") == []
    assert get(client, "/studies/1.2.3/series") == []


def test_what_ohif_asks_for(client: TestClient) -> None:
    query = (
        "limit=101&offset=0&fuzzymatching=false"
        "&includefield=00081030%2C00080060%2C00080090%2C00100030"
        "&PatientName=*nguyen*&00100020=*BN*&ModalitiesInStudy=MR%2CCT&StudyDate=20260101-20261231"
    )
    (study,) = get(client, f"/studies?{query}")
    read = (
        "0020000D 00080020 00080030 00080050 00100020 00100010 00100030 00201208 00201206 00081030 00080061"
    )
    assert set(read.split()) <= study.keys()
    series = get(client, f"/studies/{STUDY}/series?includefield=00080021%2C00080031%2C0008103E%2C00200011")
    assert [one["00200011"]["Value"] for one in series] == [[1], [2]]
    assert {"00080021", "00080031", "0008103E"} <= series[0].keys()


def test_series_of_a_study(client: TestClient) -> None:
    first, second = get(client, f"/studies/{STUDY}/series")
    assert first["00080060"] == {"vr": "CS", "Value": ["CT"]}
    assert first["00201209"] == {"vr": "IS", "Value": [2]}
    assert first["00081190"]["Value"] == [f"{BASE}/studies/{STUDY}/series/{STUDY}.1"]
    (item,) = second["00400275"]["Value"]
    assert item["00401001"] == {"vr": "SH", "Value": ["RP1"]}
    assert item["00400009"] == {"vr": "SH", "Value": ["SPS1"]}
    assert "00100010" not in first
    assert "00100010" in get(client, "/series")[0]


def test_instances_of_a_series_a_study_and_all(client: TestClient) -> None:
    of_series = get(client, f"/studies/{STUDY}/series/{STUDY}.1/instances")
    assert [one["00080018"]["Value"] for one in of_series] == [[f"{STUDY}.1.1"], [f"{STUDY}.1.2"]]
    assert of_series[0]["00083002"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    assert of_series[0]["00280010"] == {"vr": "US", "Value": [16]}
    assert of_series[0]["00081190"]["Value"] == [
        f"{BASE}/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.1"
    ]
    assert len(get(client, f"/studies/{STUDY}/instances")) == 3
    assert len(get(client, "/instances")) == 5
    assert len(get(client, f"/instances?SOPInstanceUID={STUDY}.1.1")) == 1


def test_more_results_than_asked_for_are_told_by_a_warning(client: TestClient) -> None:
    first = client.get("/dicom-web/studies?limit=2")
    assert len(first.json()) == 2
    assert first.headers["warning"].startswith("299 ")
    rest = client.get("/dicom-web/studies?limit=2&offset=2")
    assert len(rest.json()) == 1
    assert "warning" not in rest.headers
    uids = {study["0020000D"]["Value"][0] for study in first.json() + rest.json()}
    assert len(uids) == 3


def test_no_results_can_be_asked_for(client: TestClient) -> None:
    assert get(client, "/studies?limit=0") == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("Allergies=x", "Allergies"),
        ("StudyDate=yesterday", "StudyDate"),
        ("StudyInstanceUID=../etc", "StudyInstanceUID"),
        ("limit=-1", "limit"),
        ("PatientName=*a*b*c*d*e*f*g*h*i*", "PatientName"),
        ("fuzzymatching=perhaps", "fuzzymatching"),
        ("StudyDate=20261301-&StudyTime=x-", "StudyTime"),
        ("NumberOfStudyRelatedSeries=1", "NumberOfStudyRelatedSeries"),
        ("Modality=CT", "Modality"),
        ("RequestAttributesSequence.RequestedProcedureID=1", "RequestAttributesSequence"),
    ],
)
def test_a_bad_search_is_400_and_names_the_key(client: TestClient, query: str, named: str) -> None:
    response = client.get(f"/dicom-web/studies?{query}")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert named in response.json()["detail"]


def test_what_a_study_holds_is_found_and_told(client: TestClient) -> None:
    ct = "1.2.840.10008.5.1.4.1.1.2"
    (study,) = get(client, f"/studies?SOPClassesInStudy={ct}&ModalitiesInStudy=SR&includefield=00080062")
    assert study["00080062"] == {"vr": "UI", "Value": [ct]}
    assert "00080062" not in get(client, "/studies")[0]


def test_an_empty_value_can_be_asked_for(client: TestClient) -> None:
    (study,) = get(client, '/studies?AccessionNumber=""&emptyvaluematching=true')
    assert study["00100020"]["Value"] == ["BN3"]
    assert get(client, '/studies?AccessionNumber=""') == []


def test_a_sequence_can_be_asked_for_as_a_whole(client: TestClient) -> None:
    (found, *_) = get(client, f"/studies/{STUDY}/instances?includefield=RequestAttributesSequence")
    assert found["00400275"]["Value"][0]["00401001"]["Value"] == ["RP1"]
    assert len(get(client, "/series?RequestAttributesSequence=&00400275.00401001=RP1")) == 2


def test_markup_in_a_key_is_not_repeated(client: TestClient) -> None:
    response = client.get("/dicom-web/studies?<img onerror=x>=1")
    assert response.status_code == 400
    assert "img" not in response.text


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/dicom+json", "application/dicom+json"),
        ("application/json", "application/json"),
        ("text/html, */*;q=0.8", "application/dicom+json"),
    ],
)
def test_json_comes_under_the_name_that_is_asked_for(client: TestClient, accept: str, expected: str) -> None:
    response = client.get("/dicom-web/studies", headers={"accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"] == expected


XML = {"accept": 'multipart/related; type="application/dicom+xml"'}


def test_xml_comes_in_parts_one_for_each_result(client: TestClient) -> None:
    response = client.get("/dicom-web/studies?limit=2", headers=XML)
    assert response.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')
    assert response.headers["warning"].startswith("299 ")
    parts = split_multipart(response)
    assert [head["content-type"] for head, _ in parts] == ["application/dicom+xml"] * 2
    for (_, body), expected in zip(parts, get(client, "/studies?limit=2"), strict=True):
        model = ElementTree.fromstring(body)
        tags = [attribute.get("tag") for attribute in model]
        assert tags == list(expected)
        named = "./{*}DicomAttribute[@keyword='PatientName']/{*}PersonName/{*}Alphabetic/{*}FamilyName"
        assert model.findtext(named) == expected["00100010"]["Value"][0]["Alphabetic"].split("^")[0]


def test_nothing_found_is_no_content_in_xml_which_has_no_empty_message(client: TestClient) -> None:
    response = client.get("/dicom-web/studies?PatientID=NOBODY", headers=XML)
    assert (response.status_code, response.content) == (204, b"")


def test_a_large_answer_is_compressed_for_who_takes_it(client: TestClient) -> None:
    plain = client.get("/dicom-web/instances", headers={"accept-encoding": "identity"})
    zipped = client.get("/dicom-web/instances", headers={"accept-encoding": "br, gzip"})
    refused = client.get("/dicom-web/instances", headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.json() == plain.json()
    assert "Accept-Encoding" in plain.headers["vary"]


def test_the_study_list_searches_by_what_was_typed(client: TestClient) -> None:
    found = client.get("/api/studies?q=tran thu&limit=5")
    assert found.headers["content-type"] == "application/dicom+json"
    (study,) = found.json()
    assert study["00100010"]["Value"] == [{"Alphabetic": "TRẦN^THỊ THỬ"}]
    assert len(client.get("/api/studies").json()) == 3
    assert len(client.get("/api/studies?q=&ModalitiesInStudy=SR").json()) == 1
    (coded,) = client.get("/api/studies?q=18.0091").json()
    assert coded["0020000D"]["Value"] == [STUDY]


def test_the_study_list_is_newest_first(client: TestClient) -> None:
    dates = [study["00080020"]["Value"][0] for study in client.get("/api/studies").json()]
    assert dates == sorted(dates, reverse=True)


def test_links_come_from_the_settings_whatever_the_request_says(client: TestClient) -> None:
    headers = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "gopher", "forwarded": "host=evil"}
    response = client.get("/dicom-web/studies", headers=headers)
    assert "evil" not in response.text
    assert BASE in response.text
