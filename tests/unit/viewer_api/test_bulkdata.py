from __future__ import annotations

from urllib.parse import urlsplit

import imagecodecs
import numpy as np
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
OCTETS = {"accept": 'multipart/related; type="application/octet-stream"'}
OHIF_ANY = {"accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
FRAMES = np.arange(2 * 256, dtype="<u2").reshape(2, 16, 16)
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


@pytest.fixture(scope="module")
def compressed(module_archive: Archive) -> str:
    """Path of an instance of two JPEG-LS frames with a large private value."""
    frames = [bytes(imagecodecs.jpegls_encode(frame)) for frame in FRAMES]
    dataset = make_dataset(NumberOfFrames=2, PixelData=encapsulate(frames))
    dataset.add_new((0x0029, 0x0010), "LO", "MAKER")
    dataset.add_new((0x0029, 0x1001), "OB", b"\7" * 3000)
    return store_dataset(module_archive, dataset, JPEGLSLossless)


def test_compressed_pixel_data_comes_by_frames(client: TestClient, compressed: str) -> None:
    for accept in ("*/*", 'multipart/related; type="image/jls"'):
        parts = split_multipart(client.get(f"{compressed}/bulkdata/7FE00010", headers={"accept": accept}))
        assert [headers["content-location"].rpartition("/")[2] for headers, _ in parts] == ["1", "2"]
        for (headers, content), frame in zip(parts, FRAMES, strict=True):
            assert headers["content-type"] == f"image/jls; transfer-syntax={JPEGLSLossless}"
            np.testing.assert_array_equal(imagecodecs.jpegls_decode(content), frame)


def test_compressed_pixel_data_comes_decoded_for_who_takes_octets(
    client: TestClient, compressed: str
) -> None:
    octets = {"accept": "application/octet-stream"}
    assert client.get(f"{compressed}/bulkdata/7FE00010", headers=octets).content == FRAMES.tobytes()
    ((_, content),) = split_multipart(
        client.get(
            f"{compressed}/pixeldata",
            headers={"accept": 'multipart/related; type="application/octet-stream"'},
        )
    )
    assert content == FRAMES.tobytes()


@pytest.mark.parametrize("level", [0, 2, 4])
def test_all_bulk_data_comes_by_its_locations(client: TestClient, compressed: str, level: int) -> None:
    path = "/".join(compressed.split("/")[: 8 - level])
    response = client.get(
        f"{path}/bulkdata", headers={"accept": 'multipart/related; type="application/octet-stream"'}
    )
    assert response.status_code == 200
    parts = split_multipart(response)
    base = f"https://pacs.example.vn/xa{compressed}"
    assert [headers["content-location"] for headers, _ in parts] == [
        f"{base}/bulkdata/00291001",
        f"{base}/bulkdata/7FE00010",
    ]
    assert [content for _, content in parts] == [b"\7" * 3000, FRAMES.tobytes()]
    pixels = client.get(f"{path}/pixeldata", headers=OHIF_ANY)
    assert [headers["content-location"] for headers, _ in split_multipart(pixels)] == [
        f"{base}/frames/1",
        f"{base}/frames/2",
    ]


def test_bulk_data_comes_in_ranges(client: TestClient, module_archive: Archive) -> None:
    dataset = make_dataset()
    path = store_dataset(module_archive, dataset)
    where = f"{path}/bulkdata/7FE00010?accept=application/octet-stream"
    part = client.get(where, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, dataset.PixelData[10:20])
    assert client.get(where, headers={"if-none-match": part.headers["etag"]}).status_code == 304


def test_a_range_is_one_of_the_value_also_in_a_part(client: TestClient, module_archive: Archive) -> None:
    dataset = make_dataset()
    path = store_dataset(module_archive, dataset)
    response = client.get(f"{path}/bulkdata/7FE00010", headers={**OCTETS, "range": "bytes=10-19"})
    assert response.status_code == 206
    assert response.headers["content-range"] == "bytes 10-19/512"
    assert int(response.headers["content-length"]) == len(response.content)
    ((_, content),) = split_multipart(response)
    assert content == dataset.PixelData[10:20]


def test_a_video_comes_whole_and_in_ranges(client: TestClient, module_archive: Archive) -> None:
    film = bytes(range(256)) * 40
    dataset = make_dataset(NumberOfFrames=50, PixelData=encapsulate([film], has_bot=False))
    path = store_dataset(module_archive, dataset, "1.2.840.10008.1.2.4.102")
    where = f"{path}/bulkdata/7FE00010"
    alone = client.get(where, headers={"accept": "video/mp4"})
    assert alone.headers["content-type"].startswith("video/mp4")
    assert alone.content == film
    assert (
        client.get(where, headers={"accept": "video/mp4", "range": "bytes=256-300"}).content == film[256:301]
    )
    ((_, content),) = split_multipart(
        client.get(where, headers={"accept": "multipart/related; type=video/mp4"})
    )
    assert content == film
    ((_, content),) = split_multipart(client.get(f"{path}/pixeldata"))
    assert content == film


def test_an_instance_without_bulk_data_has_none(client: TestClient, module_archive: Archive) -> None:
    path = store_dataset(module_archive, make_dataset(PixelData=None, Rows=None, Columns=None, Modality="SR"))
    for suffix in ("/bulkdata", "/pixeldata", "/bulkdata/7FE00010"):
        assert client.get(path + suffix).status_code == 404, suffix


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
