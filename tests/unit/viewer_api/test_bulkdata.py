from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, JPEGLSLossless
from starlette.testclient import TestClient

from pacs.archive import Archive
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import split_multipart, store_dataset

OHIF_PDF = {
    "accept": 'multipart/related; type="application/pdf", multipart/related; type="application/octet-stream"'
}
PDF = b"%PDF-1.4\n" + b"x" * 2000


def pdf_dataset(document: bytes, media_type: str) -> Dataset:
    return make_dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
        PixelData=None,
        Modality="DOC",
        EncapsulatedDocument=document,
        MIMETypeOfEncapsulatedDocument=media_type,
    )


def bulkdata_path(client: TestClient, path: str, *steps: str) -> str:
    """Follow a BulkDataURI of the metadata, as a client does."""
    (element,) = client.get(f"{path}/metadata").json()
    for tag in steps[:-1]:
        (element,) = element[tag]["Value"]
    return urlsplit(element[steps[-1]]["BulkDataURI"]).path.removeprefix("/xa")


def test_a_pdf_is_retrieved_by_its_uri_and_never_opens_in_our_pages(
    client: TestClient, module_archive: Archive
) -> None:
    path = store_dataset(module_archive, pdf_dataset(PDF, "application/pdf"))
    response = client.get(bulkdata_path(client, path, "00420011"), headers=OHIF_PDF)
    ((headers, content),) = split_multipart(response)
    assert headers["content-type"] == "application/pdf"
    assert content.rstrip(b"\0") == PDF.rstrip(b"\0")
    assert response.headers["content-disposition"] == "attachment"
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        (b"<html><script>alert(1)</script>" + b" " * 2000, "application/pdf"),
        (b"<html><script>alert(1)</script>" + b" " * 2000, "text/html"),
        (PDF, "text/xml"),
    ],
)
def test_a_document_that_is_not_what_it_says_is_plain_octets(
    client: TestClient, module_archive: Archive, document: bytes, media_type: str
) -> None:
    path = store_dataset(module_archive, pdf_dataset(document, media_type))
    response = client.get(f"{path}/bulkdata/00420011?accept=application/octet-stream")
    assert response.headers["content-type"] == "application/octet-stream"
    assert client.get(f"{path}/bulkdata/00420011", headers={"accept": media_type}).status_code == 406


def test_a_value_in_a_sequence_is_named_by_its_way(client: TestClient, module_archive: Archive) -> None:
    item = Dataset()
    item.WaveformBitsAllocated, item.WaveformData = 16, b"\1\2" * 1000
    path = store_dataset(module_archive, make_dataset(WaveformSequence=[item]))
    where = bulkdata_path(client, path, "54000100", "54001010")
    assert where.endswith("/bulkdata/54000100/1/54001010")
    ((_, content),) = split_multipart(client.get(where))
    assert content == b"\1\2" * 1000


def test_native_pixel_data_comes_whole(client: TestClient, module_archive: Archive) -> None:
    dataset = make_dataset()
    path = store_dataset(module_archive, dataset)
    where = bulkdata_path(client, path, "7FE00010")
    ((headers, content),) = split_multipart(client.get(where))
    assert headers["content-type"] == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert content == dataset.PixelData
    assert client.get(f"{where}?accept=application/octet-stream").content == dataset.PixelData


def test_compressed_pixel_data_comes_by_frames_only(client: TestClient, module_archive: Archive) -> None:
    dataset = make_dataset(PixelData=encapsulate([b"\xff\xd8\xff\xd9"]))
    path = store_dataset(module_archive, dataset, JPEGLSLossless)
    assert client.get(f"{path}/bulkdata/7FE00010").status_code == 501


def test_words_of_a_big_endian_data_set_come_little_endian(
    client: TestClient, module_archive: Archive
) -> None:
    dataset = make_dataset(RedPaletteColorLookupTableData=b"\0\1" * 600)
    path = store_dataset(module_archive, dataset, ExplicitVRBigEndian)
    assert client.get(f"{path}/bulkdata/00281201?accept=application/octet-stream").content == b"\1\0" * 600


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("00100010", 404),  # not binary
        ("00420011", 404),
        ("54000100/1/54001010", 404),
        ("00081140/1/00081155", 404),
        ("0010001", 400),
        ("PixelData", 400),
        ("..%2F..%2Fetc%2Fpasswd", 400),
        ("00100010/00100010", 400),
        ("00081140/0/00081155", 400),
        ("/".join(["00081140/1"] * 40) + "/00081155", 400),
        ("http://169.254.169.254/", 400),
    ],
)
def test_what_is_no_bulk_data_is_refused(
    client: TestClient, module_archive: Archive, where: str, status: int
) -> None:
    path = store_dataset(module_archive, make_dataset())
    assert client.get(f"{path}/bulkdata/{where}").status_code == status
