from __future__ import annotations

import pytest
from pydicom.uid import ImplicitVRLittleEndian
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.retrieve import find_instances
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import make_client, split_multipart, store_dataset

STUDY, SERIES = "1.2.826.0.1.3680043.8.498.2", "1.2.826.0.1.3680043.8.498.2.1"
STUDY_PATH = f"/dicom-web/studies/{STUDY}"
SERIES_PATH = f"{STUDY_PATH}/series/{SERIES}"
DICOM_PARTS = {"accept": 'multipart/related; type="application/dicom"'}


@pytest.fixture(scope="module")
def client(module_archive: Archive) -> TestClient:
    """One study of a series of three instances, and one that holds a presentation of another syntax."""
    for number in (1, 2, 3):
        uid = f"{SERIES}.{number}"
        store_dataset(
            module_archive,
            make_dataset(
                StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES, SOPInstanceUID=uid, InstanceNumber=number
            ),
        )
    return make_client(module_archive)


@pytest.fixture(scope="module")
def mixed(client: TestClient, module_archive: Archive) -> str:
    """A study whose instances have several transfer syntaxes."""
    uid = f"{STUDY}.9"
    store_dataset(module_archive, make_dataset(StudyInstanceUID=uid))
    store_dataset(module_archive, make_dataset(StudyInstanceUID=uid), ImplicitVRLittleEndian)
    return f"/dicom-web/studies/{uid}"


def stored_bytes(archive: Archive, number: int) -> bytes:
    (instance,) = find_instances(archive, STUDY, SERIES, f"{SERIES}.{number}")
    return archive.store.read_range(instance.location.key, 0, 1 << 30)


@pytest.mark.parametrize(
    "accept", [DICOM_PARTS["accept"], "*/*", 'multipart/related; type="application/dicom"; transfer-syntax=*']
)
def test_an_instance_comes_byte_for_byte_as_it_is_stored(
    client: TestClient, module_archive: Archive, accept: str
) -> None:
    response = client.get(f"{SERIES_PATH}/instances/{SERIES}.1", headers={"accept": accept})
    assert response.status_code == 200
    ((headers, content),) = split_multipart(response)
    assert headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert content == stored_bytes(module_archive, 1)


@pytest.mark.parametrize("path", [STUDY_PATH, SERIES_PATH])
def test_a_study_and_a_series_come_with_all_their_instances(
    client: TestClient, module_archive: Archive, path: str
) -> None:
    response = client.get(path, headers=DICOM_PARTS)
    assert int(response.headers["content-length"]) == len(response.content)
    contents = [content for _, content in split_multipart(response)]
    assert contents == [stored_bytes(module_archive, number) for number in (1, 2, 3)]


def test_a_single_file_can_be_downloaded(client: TestClient, module_archive: Archive) -> None:
    response = client.get(f"{SERIES_PATH}/instances/{SERIES}.1?accept=application%2Fdicom")
    assert response.headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert response.headers["content-disposition"] == f'attachment; filename="{SERIES}.1.dcm"'
    assert response.content == stored_bytes(module_archive, 1)


def test_instances_of_several_transfer_syntaxes_come_each_in_its_own(client: TestClient, mixed: str) -> None:
    parts = split_multipart(client.get(mixed, headers=DICOM_PARTS))
    assert {headers["content-type"].partition("=")[2] for headers, _ in parts} == {
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2",
    }


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.2"])
def test_another_transfer_syntax_is_not_acceptable(client: TestClient, mixed: str, syntax: str) -> None:
    accept = {"accept": f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'}
    for path in (STUDY_PATH, f"{SERIES_PATH}/instances/{SERIES}.1", mixed):
        assert client.get(path, headers=accept).status_code == 406


def test_the_stored_transfer_syntax_can_be_asked_for(client: TestClient) -> None:
    accept = {"accept": 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'}
    assert client.get(STUDY_PATH, headers=accept).status_code == 200


def test_an_instance_that_the_client_has_is_not_sent_again(client: TestClient) -> None:
    path = f"{SERIES_PATH}/instances/{SERIES}.1"
    first = client.get(path)
    assert first.headers["cache-control"].startswith("private, max-age=")
    assert first.headers["vary"] == "Accept"
    again = client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize("suffix", ["", "/metadata"])
@pytest.mark.parametrize(
    "path",
    [
        "/dicom-web/studies/1.2.3",
        f"{STUDY_PATH}/series/1.2.3",
        f"{SERIES_PATH}/instances/1.2.3",
        f"/dicom-web/studies/1.2.3/series/{SERIES}/instances/{SERIES}.1",
    ],
)
def test_what_is_not_there_is_404(client: TestClient, path: str, suffix: str) -> None:
    response = client.get(path + suffix)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "uid", ["1.x", "1..2", "1.2.", "1" * 65, "1%002", "%2e%2e", "..%5c..", "٣.١", "1.2 3"]
)
def test_what_is_no_uid_is_400(client: TestClient, uid: str) -> None:
    response = client.get(f"/dicom-web/studies/{uid}")
    assert response.status_code == 400
    assert uid not in response.text


def test_an_object_that_the_store_lost_is_410_and_not_a_cut_answer(archive: Archive) -> None:
    path = store_dataset(archive, make_dataset())
    uids = path.split("/")[3::2]
    (instance,) = find_instances(archive, *uids)
    archive.store.delete(instance.location.key)
    client = make_client(archive)
    for suffix in ("", "/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010"):
        response = client.get(path + suffix)
        assert response.status_code == 410, suffix
        assert instance.location.key not in response.text
