from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
)
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.delete import delete_instances
from pacs.retrieve import find_instances
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import empty_archive, make_client, split_multipart, store_dataset

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


@pytest.mark.parametrize(
    ("parameter", "syntaxes"),
    [
        ("; transfer-syntax=*", {str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)}),
        ("", {str(ExplicitVRLittleEndian)}),
        (f"; transfer-syntax={JPEGLSLossless}", {str(JPEGLSLossless)}),
    ],
)
def test_instances_come_in_the_transfer_syntax_that_is_asked_for(
    client: TestClient, mixed: str, parameter: str, syntaxes: set[str]
) -> None:
    parts = split_multipart(client.get(mixed, headers={"accept": DICOM_PARTS["accept"] + parameter}))
    assert {headers["content-type"].partition("=")[2] for headers, _ in parts} == syntaxes
    for headers, content in parts:
        dataset = dcmread(DicomBytesIO(content))
        assert dataset.file_meta.TransferSyntaxUID == headers["content-type"].partition("=")[2]
        np.testing.assert_array_equal(dataset.pixel_array.ravel(), np.arange(256))


def test_without_a_transfer_syntax_what_may_have_lost_something_comes_as_it_is_stored(
    client: TestClient, module_archive: Archive
) -> None:
    pixels = np.arange(256, dtype="u1").reshape(16, 16)
    lossy = make_dataset(BitsAllocated=8, BitsStored=8, HighBit=7)
    lossy.PixelData = encapsulate([bytes(imagecodecs.jpeg8_encode(pixels))])
    path = store_dataset(module_archive, lossy, JPEGBaseline8Bit)
    for parameter, syntax in (("", JPEGBaseline8Bit), ("; transfer-syntax=1.2.840.10008.1.2.1", "")):
        accept = {"accept": "application/dicom" + parameter}
        dataset = dcmread(DicomBytesIO(client.get(path, headers=accept).content))
        assert dataset.file_meta.TransferSyntaxUID == (syntax or ExplicitVRLittleEndian)
        assert dataset.SOPInstanceUID == lossy.SOPInstanceUID


def test_a_lossy_answer_says_so_and_keeps_its_uid(client: TestClient, module_archive: Archive) -> None:
    pixels = np.linspace(0, 255, 256).astype("u1")
    original = make_dataset(
        BitsAllocated=8, BitsStored=8, HighBit=7, ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]
    )
    original.PixelData = pixels.tobytes()
    path = store_dataset(module_archive, original)
    response = client.get(path, headers={"accept": f"application/dicom; transfer-syntax={JPEGBaseline8Bit}"})
    dataset = dcmread(DicomBytesIO(response.content))
    assert dataset.SOPInstanceUID == original.SOPInstanceUID
    assert dataset.LossyImageCompression == "01"
    assert dataset.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(dataset.LossyImageCompressionRatio) > 0
    assert dataset.ImageType == ["DERIVED", "PRIMARY", "AXIAL"]
    assert np.abs(dataset.pixel_array.ravel().astype(int) - pixels).max() < 16


@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.102"]
)
def test_a_transfer_syntax_that_cannot_be_is_not_acceptable(
    client: TestClient, mixed: str, syntax: str
) -> None:
    accept = {"accept": f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'}
    for path in (STUDY_PATH, f"{SERIES_PATH}/instances/{SERIES}.1", mixed):
        response = client.get(path, headers=accept)
        assert response.status_code == 406
        assert response.json()["available"]


def test_what_has_no_pixels_comes_uncompressed_beside_what_is_compressed(
    client: TestClient, module_archive: Archive
) -> None:
    image = make_dataset()
    report = make_dataset(
        StudyInstanceUID=image.StudyInstanceUID, Modality="SR", PixelData=None, Rows=None, Columns=None
    )
    store_dataset(module_archive, image)
    store_dataset(module_archive, report, ImplicitVRLittleEndian)
    accept = f"{DICOM_PARTS['accept']}; transfer-syntax={JPEG2000Lossless}"
    response = client.get(f"/dicom-web/studies/{image.StudyInstanceUID}", headers={"accept": accept})
    assert response.status_code == 200
    syntaxes = sorted(headers["content-type"].partition("=")[2] for headers, _ in split_multipart(response))
    assert syntaxes == sorted([JPEG2000Lossless, ExplicitVRLittleEndian])


def test_an_instance_that_cannot_be_converted_does_not_keep_the_rest_back(
    client: TestClient, module_archive: Archive
) -> None:
    sixteen = make_dataset()
    eight = make_dataset(StudyInstanceUID=sixteen.StudyInstanceUID, BitsAllocated=8, BitsStored=8, HighBit=7)
    eight.PixelData = bytes(256)
    for dataset in (sixteen, eight):
        store_dataset(module_archive, dataset)
    accept = f"{DICOM_PARTS['accept']}; transfer-syntax={JPEGBaseline8Bit}"
    response = client.get(f"/dicom-web/studies/{eight.StudyInstanceUID}", headers={"accept": accept})
    assert response.status_code == 206
    assert "1 not available in this transfer syntax" in response.headers["warning"]
    ((_, content),) = split_multipart(response)
    assert dcmread(DicomBytesIO(content)).SOPInstanceUID == eight.SOPInstanceUID


def test_a_damaged_image_comes_as_it_is_stored_among_converted_ones(
    client: TestClient, module_archive: Archive
) -> None:
    damaged = make_dataset(PixelData=encapsulate([b"\xff\xd8\xff\xf7damaged"]))
    path = store_dataset(module_archive, damaged, JPEGLSLossless)
    ((headers, content),) = split_multipart(client.get(path, headers=DICOM_PARTS))
    assert headers["content-type"] == f"application/dicom; transfer-syntax={JPEGLSLossless}"
    assert dcmread(DicomBytesIO(content)).PixelData == damaged.PixelData


@pytest.mark.parametrize("level", ["study", "series"])
def test_a_missing_object_does_not_keep_the_rest_back(
    client: TestClient, archive: Archive, level: str
) -> None:
    first, second = make_dataset(), make_dataset()
    second.StudyInstanceUID, second.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
    path, _ = [store_dataset(archive, dataset) for dataset in (first, second)]
    (lost,) = find_instances(archive, first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID)
    archive.store.delete(lost.location.key)
    own_client = make_client(archive)
    series = path.partition("/instances")[0]
    whole = series if level == "series" else series.partition("/series")[0]
    response = own_client.get(whole, headers=DICOM_PARTS)
    assert response.status_code == 206
    assert response.headers["warning"] == '299 filmless "instances left out: 1 missing in the store"'
    assert int(response.headers["content-length"]) == len(response.content)
    ((_, content),) = split_multipart(response)
    assert dcmread(DicomBytesIO(content)).SOPInstanceUID == second.SOPInstanceUID
    assert own_client.get(path, headers=DICOM_PARTS).status_code == 410


@pytest.mark.parametrize("accept", [DICOM_PARTS["accept"], "application/dicom"])
def test_an_instance_comes_in_ranges(client: TestClient, accept: str) -> None:
    path = f"{SERIES_PATH}/instances/{SERIES}.1"
    whole = client.get(path, headers={"accept": accept})
    assert whole.headers["accept-ranges"] == "bytes"
    size = len(whole.content)
    for asked, first, end in (
        ("0-9", 0, 10),
        ("100-", 100, size),
        ("-7", size - 7, size),
        (f"50-{size * 2}", 50, size),
    ):
        part = client.get(path, headers={"accept": accept, "range": f"bytes={asked}"})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
        assert part.content == whole.content[first:end]
    etag = whole.headers["etag"]
    for condition, status in ((etag, 206), ('"another"', 200), ("Sun, 01 Nov 2026 00:00:00 GMT", 200)):
        headers = {"accept": accept, "range": "bytes=1-2", "if-range": condition}
        assert client.get(path, headers=headers).status_code == status
    beyond = client.get(path, headers={"accept": accept, "range": f"bytes={size}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{size}"
    assert beyond.headers["content-type"] == "application/problem+json"


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


AS_STORED = {
    "": {"accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
    "/frames/1": {"accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'},
}


@pytest.mark.parametrize("suffix", AS_STORED)
def test_what_was_answered_before_is_not_found_once_it_is_deleted(tmp_path: Path, suffix: str) -> None:
    with empty_archive(tmp_path, allow_delete=True) as archive:
        path, client = store_dataset(archive, make_dataset()), make_client(archive)
        assert client.get(path + suffix, headers=AS_STORED[suffix]).status_code == 200
        delete_instances(archive, *path.split("/")[3::2])
        assert client.get(path + suffix, headers=AS_STORED[suffix]).status_code == 404


@pytest.mark.parametrize("suffix", AS_STORED)
def test_what_was_answered_before_is_410_once_the_store_lost_it(archive: Archive, suffix: str) -> None:
    path, client = store_dataset(archive, make_dataset()), make_client(archive)
    assert client.get(path + suffix, headers=AS_STORED[suffix]).status_code == 200
    (instance,) = find_instances(archive, *path.split("/")[3::2])
    archive.store.delete(instance.location.key)
    assert client.get(path + suffix, headers=AS_STORED[suffix]).status_code == 410


def test_a_method_that_is_not_there_is_refused(client: TestClient) -> None:
    answer = client.post(f"{SERIES_PATH}/instances/{SERIES}.1/frames/1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.headers["content-type"] == "application/problem+json"
