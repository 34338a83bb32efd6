from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from starlette.testclient import TestClient

from pacs.archive import Archive
from tests.data import read_manifest, shared_data
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import split_multipart, store_dataset

LITTLE = "1.2.840.10008.1.2.1"
JLS = str(JPEGLSLossless)
FRAMES = np.arange(3 * 256, dtype="<u2").reshape(3, 16, 16)
OHIF = {"accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
OCTETS = {"accept": 'multipart/related; type="application/octet-stream"'}


@pytest.fixture(scope="module")
def native(module_archive: Archive) -> str:
    """Path of an instance of three native frames."""
    return store_dataset(module_archive, make_dataset(NumberOfFrames=3, PixelData=FRAMES.tobytes()))


@pytest.fixture(scope="module")
def compressed(module_archive: Archive) -> str:
    """Path of an instance of three JPEG-LS frames."""
    codestreams = [imagecodecs.jpegls_encode(frame) for frame in FRAMES]
    dataset = make_dataset(NumberOfFrames=3, PixelData=encapsulate(codestreams))
    return store_dataset(module_archive, dataset, JLS)


def test_a_native_frame_is_its_samples(client: TestClient, native: str) -> None:
    for accept in (OHIF, OCTETS, {"accept": "*/*"}):
        response = client.get(f"{native}/frames/2", headers=accept)
        assert response.status_code == 200
        assert f"transfer-syntax={LITTLE}" in response.headers["content-type"]
        ((headers, content),) = split_multipart(response)
        assert headers["content-type"] == f"application/octet-stream; transfer-syntax={LITTLE}"
        assert content == FRAMES[1].tobytes()


def test_frames_come_in_the_order_of_the_list(client: TestClient, native: str) -> None:
    parts = split_multipart(client.get(f"{native}/frames/3,1", headers=OCTETS))
    assert [content for _, content in parts] == [FRAMES[2].tobytes(), FRAMES[0].tobytes()]


def test_a_comma_may_be_escaped(client: TestClient, native: str) -> None:
    assert len(split_multipart(client.get(f"{native}/frames/1%2C2", headers=OCTETS))) == 2


def test_a_compressed_frame_passes_through_for_who_takes_any_transfer_syntax(
    client: TestClient, compressed: str
) -> None:
    ((headers, content),) = split_multipart(client.get(f"{compressed}/frames/2", headers=OHIF))
    assert headers["content-type"] == f"application/octet-stream; transfer-syntax={JLS}"
    np.testing.assert_array_equal(imagecodecs.jpegls_decode(content), FRAMES[1])


@pytest.mark.parametrize(
    "accept", ["*/*", 'multipart/related; type="image/jls"', 'multipart/related; type="image/*"']
)
def test_a_compressed_frame_comes_by_the_media_type_of_its_transfer_syntax(
    client: TestClient, compressed: str, accept: str
) -> None:
    ((headers, content),) = split_multipart(client.get(f"{compressed}/frames/1", headers={"accept": accept}))
    assert headers["content-type"] == f"image/jls; transfer-syntax={JLS}"
    np.testing.assert_array_equal(imagecodecs.jpegls_decode(content), FRAMES[0])


def test_a_compressed_frame_is_decoded_for_who_takes_plain_octets(
    client: TestClient, compressed: str
) -> None:
    parts = split_multipart(client.get(f"{compressed}/frames/1,3", headers=OCTETS))
    assert [content for _, content in parts] == [FRAMES[0].tobytes(), FRAMES[2].tobytes()]
    assert parts[0][0]["content-type"] == f"application/octet-stream; transfer-syntax={LITTLE}"


def test_a_frame_can_come_alone(client: TestClient, compressed: str) -> None:
    response = client.get(f"{compressed}/frames/1?accept=image%2Fjls")
    assert response.headers["content-type"] == f"image/jls; transfer-syntax={JLS}"
    np.testing.assert_array_equal(imagecodecs.jpegls_decode(response.content), FRAMES[0])


@pytest.mark.parametrize(
    "accept",
    [
        'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50',  # of 16 bits: never
        "image/gif",
        'multipart/related; type="video/mp4"',
    ],
)
def test_what_cannot_be_made_is_not_acceptable(client: TestClient, compressed: str, accept: str) -> None:
    response = client.get(f"{compressed}/frames/1", headers={"accept": accept})
    assert response.status_code == 406
    assert f'multipart/related; type="image/jls"; transfer-syntax={JLS}' in response.json()["available"]


@pytest.mark.parametrize(
    ("media_type", "syntax", "decode"),
    [
        ("image/jphc", HTJ2KLossless, imagecodecs.jpeg2k_decode),
        ("image/jp2", JPEG2000Lossless, imagecodecs.jpeg2k_decode),
        ("image/jpeg", JPEGLosslessSV1, imagecodecs.jpeg8_decode),
        ("image/jls", JPEGLSLossless, imagecodecs.jpegls_decode),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_frames_are_encoded_for_who_asks(
    client: TestClient, native: str, media_type: str, syntax: str, decode: Any, named: bool
) -> None:
    parameter = f"; transfer-syntax={syntax}" if named else ""
    accept = {"accept": f'multipart/related; type="{media_type}"{parameter}'}
    parts = split_multipart(client.get(f"{native}/frames/3,1", headers=accept))
    assert [headers["content-type"] for headers, _ in parts] == [
        f"{media_type}; transfer-syntax={syntax}"
    ] * 2
    for (_, content), expected in zip(parts, (FRAMES[2], FRAMES[0]), strict=True):
        np.testing.assert_array_equal(decode(content), expected)


@pytest.mark.parametrize("accept", [OHIF["accept"], "application/octet-stream"])
def test_a_frame_comes_in_ranges_of_the_same_bytes(client: TestClient, native: str, accept: str) -> None:
    whole = client.get(f"{native}/frames/2", headers={"accept": accept})
    pieces = b""
    while len(pieces) < len(whole.content):
        asked = f"bytes={len(pieces)}-{len(pieces) + 99}"
        part = client.get(f"{native}/frames/2", headers={"accept": accept, "range": asked})
        assert part.status_code == 206
        pieces += part.content
    assert pieces == whole.content
    assert client.get(f"{native}/frames/2", headers={"range": "bytes=9999999-"}).status_code == 416


def test_big_endian_samples_come_little_endian(client: TestClient, module_archive: Archive) -> None:
    dataset = make_dataset(PixelData=FRAMES[2].astype(">u2").tobytes())
    path = store_dataset(module_archive, dataset, ExplicitVRBigEndian)
    ((_, content),) = split_multipart(client.get(f"{path}/frames/1", headers=OHIF))
    assert content == FRAMES[2].tobytes()


def test_planes_and_bits_are_laid_out_as_the_data_set_says(
    client: TestClient, module_archive: Archive
) -> None:
    color = np.arange(16 * 16 * 3, dtype="u1").reshape(16, 16, 3)
    dataset = make_dataset(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=1,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=np.moveaxis(color, -1, 0).tobytes(),
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.compress(RLELossless, np.ascontiguousarray(color), generate_instance_uid=False)
    dataset.PlanarConfiguration = 1
    path = store_dataset(module_archive, dataset, RLELossless)
    ((_, content),) = split_multipart(client.get(f"{path}/frames/1", headers=OCTETS))
    assert content == np.moveaxis(color, -1, 0).tobytes()


@pytest.mark.parametrize("frames", ["0", "1,1", "x", "-1", ",", "1,,2", ",".join(map(str, range(1, 102)))])
def test_a_bad_list_is_400(client: TestClient, native: str, frames: str) -> None:
    assert client.get(f"{native}/frames/{frames}").status_code == 400


@pytest.mark.parametrize("frames", ["4", "1,2,999999999"])
def test_a_frame_that_is_not_there_is_404(client: TestClient, native: str, frames: str) -> None:
    assert client.get(f"{native}/frames/{frames}").status_code == 404


def test_a_frame_may_be_kept_by_the_client_for_ever(client: TestClient, native: str) -> None:
    first = client.get(f"{native}/frames/1", headers=OHIF)
    assert "immutable" in first.headers["cache-control"]
    assert "private" in first.headers["cache-control"]
    assert first.headers["vary"] == "Accept"
    again = client.get(f"{native}/frames/1", headers=OHIF)
    assert again.content == first.content  # the boundary too
    etag = first.headers["etag"]
    assert client.get(f"{native}/frames/1", headers={**OHIF, "if-none-match": etag}).status_code == 304
    assert client.get(f"{native}/frames/2", headers={**OHIF, "if-none-match": etag}).status_code == 200


def test_an_instance_without_pixels_has_no_frames(client: TestClient, module_archive: Archive) -> None:
    path = store_dataset(module_archive, make_dataset(PixelData=None, Rows=None, Columns=None, Modality="SR"))
    for suffix in ("/frames/1", "/frames/1/rendered", "/rendered", "/thumbnail"):
        response = client.get(path + suffix)
        assert response.status_code == 406, suffix
        assert response.headers["content-type"] == "application/problem+json"


def test_damaged_pixels_are_422(client: TestClient, module_archive: Archive) -> None:
    native = store_dataset(module_archive, make_dataset(Rows=500, Columns=500))
    garbage = store_dataset(module_archive, make_dataset(PixelData=encapsulate([b"\xff\xd8garbage!"])), JLS)
    assert client.get(f"{native}/frames/1", headers=OHIF).status_code == 422
    assert client.get(f"{garbage}/frames/1", headers=OCTETS).status_code == 422
    assert client.get(f"{garbage}/rendered").status_code == 422


def test_frames_of_a_new_transfer_syntax_pass_through(client: TestClient, module_archive: Archive) -> None:
    path = store_dataset(
        module_archive,
        make_dataset(PixelData=encapsulate([b"\xff\x4f\xff\x51new stream"])),
        "1.2.840.10008.1.2.4.202",
    )
    ((headers, content),) = split_multipart(client.get(f"{path}/frames/1", headers=OHIF))
    assert content == b"\xff\x4f\xff\x51new stream"
    assert headers["content-type"].endswith("transfer-syntax=1.2.840.10008.1.2.4.202")


def test_a_real_htj2k_instance_is_served_as_stored_and_decoded(
    client: TestClient, module_archive: Archive
) -> None:
    shared_data()
    rows = [row for row in read_manifest() if row["ts"] == "1.2.840.10008.1.2.4.202"]
    path = shared_data(*min(rows, key=lambda row: int(row["bytes"]))["file"].split("/"))
    dataset = dcmread(path)
    where = store_dataset(module_archive, dataset, str(dataset.file_meta.TransferSyntaxUID))
    assert client.get(f"{where}/frames/1", headers=OHIF).status_code == 200
    ((_, content),) = split_multipart(client.get(f"{where}/frames/1", headers=OCTETS))
    samples = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel)
    assert len(content) == samples * int(dataset.BitsAllocated) // 8
