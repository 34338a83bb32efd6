from __future__ import annotations

import warnings
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.retrieve import find_instances
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import make_client, split_multipart, store_dataset

STUDY, SERIES = "1.2.826.0.1.3680043.8.498.3", "1.2.826.0.1.3680043.8.498.3.1"
STUDY_PATH = f"/dicom-web/studies/{STUDY}"
SERIES_PATH = f"{STUDY_PATH}/series/{SERIES}"
XML_PARTS = {"accept": 'multipart/related; type="application/dicom+xml"'}


@pytest.fixture(scope="module")
def client(module_archive: Archive) -> TestClient:
    """One study of a series of three instances."""
    for number in (1, 2, 3):
        uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
        dataset = make_dataset(**uids, SOPInstanceUID=f"{SERIES}.{number}", InstanceNumber=number)
        store_dataset(module_archive, dataset)
    return make_client(module_archive)


def stored_bytes(archive: Archive, number: int) -> bytes:
    (instance,) = find_instances(archive, STUDY, SERIES, f"{SERIES}.{number}")
    return archive.store.read_range(instance.location.key, 0, 1 << 30)


def metadata(client: TestClient, path: str) -> Any:
    response = client.get(f"{path}/metadata", headers={"accept": "application/dicom+json"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    return response.json()


@pytest.mark.parametrize("path", [STUDY_PATH, SERIES_PATH])
def test_metadata_of_a_study_and_a_series(client: TestClient, path: str) -> None:
    answer = metadata(client, path)
    assert [one["00080018"]["Value"][0] for one in answer] == [f"{SERIES}.{number}" for number in (1, 2, 3)]


def test_metadata_is_the_data_set_with_its_pixels_by_uri(client: TestClient) -> None:
    (answer,) = metadata(client, f"{SERIES_PATH}/instances/{SERIES}.2")
    assert answer["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert answer["00083002"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    assert answer["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "NGUYỄN^VĂN ĐỨC"}]}
    assert answer["00280010"] == {"vr": "US", "Value": [16]}
    assert answer["7FE00010"] == {
        "vr": "OW",
        "BulkDataURI": "https://pacs.example.vn/xa"
        f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.2/bulkdata/7FE00010",
    }
    assert list(answer) == sorted(answer)


def test_metadata_can_be_compressed_on_the_way(client: TestClient) -> None:
    plain = client.get(f"{STUDY_PATH}/metadata", headers={"accept-encoding": "identity"})
    zipped = client.get(f"{STUDY_PATH}/metadata", headers={"accept-encoding": "gzip"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.json() == plain.json()


def test_metadata_is_never_kept_by_a_cache(client: TestClient) -> None:
    assert client.get(f"{STUDY_PATH}/metadata").headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_who_has_the_metadata_already_is_told_so(
    client: TestClient, module_archive: Archive, coding: str
) -> None:
    series = f"{STUDY}.{1 if coding == 'gzip' else 2}"
    store_dataset(module_archive, make_dataset(StudyInstanceUID=f"{STUDY}.9", SeriesInstanceUID=series))
    url, headers = f"/dicom-web/studies/{STUDY}.9/series/{series}/metadata", {"accept-encoding": coding}
    first = client.get(url, headers=headers)
    headers["if-none-match"] = first.headers["etag"]
    again = client.get(url, headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "private, no-store"
    store_dataset(module_archive, make_dataset(StudyInstanceUID=f"{STUDY}.9", SeriesInstanceUID=series))
    changed = client.get(url, headers=headers)
    assert (changed.status_code, len(changed.json())) == (200, 2)
    assert changed.headers["etag"] != first.headers["etag"]


def test_metadata_can_be_had_in_xml_one_part_for_an_instance(client: TestClient) -> None:
    response = client.get(f"{STUDY_PATH}/metadata", headers=XML_PARTS)
    assert response.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')
    parts = split_multipart(response)
    assert [headers["content-type"] for headers, _ in parts] == ["application/dicom+xml"] * 3
    attributes = {one.get("keyword"): one for one in ET.fromstring(parts[1][1])}
    assert attributes["SOPInstanceUID"][0].text == f"{SERIES}.2"
    assert attributes["PixelData"][0].attrib == {
        "uri": f"https://pacs.example.vn/xa{SERIES_PATH}/instances/{SERIES}.2/bulkdata/7FE00010"
    }


@pytest.mark.parametrize("accept", ["*/*", "application/json, */*;q=0.5", "multipart/related, application/*"])
def test_json_comes_before_xml_where_both_are_wanted(client: TestClient, accept: str) -> None:
    response = client.get(f"{STUDY_PATH}/metadata", headers={"accept": accept})
    assert response.headers["content-type"] in ("application/dicom+json", "application/json")


def test_metadata_as_an_image_is_not_acceptable(client: TestClient) -> None:
    response = client.get(f"{STUDY_PATH}/metadata", headers={"accept": "image/jpeg"})
    assert response.status_code == 406
    assert 'multipart/related; type="application/dicom+xml"' in response.json()["available"]


def test_pydicom_reads_the_metadata_back(client: TestClient, module_archive: Archive) -> None:
    (answer,) = metadata(client, f"{SERIES_PATH}/instances/{SERIES}.1")
    del answer["7FE00010"], answer["00083002"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = Dataset.from_json(answer)
    stored = dcmread(DicomBytesIO(stored_bytes(module_archive, 1)), stop_before_pixels=True)
    assert {element.tag: element.value for element in read} == {
        element.tag: element.value for element in stored
    }
