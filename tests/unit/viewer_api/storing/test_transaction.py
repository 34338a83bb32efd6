"""STOW-RS of metadata and bulk data, and of single parts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import orjson
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.dicom.dataset_json import dataset_to_json
from tests.datasets import encode, encode_file, make_dataset
from tests.unit.viewer_api.conftest import empty_archive, make_client, split_multipart
from viewer_api.dicom_xml import encode_native_model
from viewer_api.storing import transaction

JSON, XML, OCTETS = "application/dicom+json", "application/dicom+xml", "application/octet-stream"
Part = tuple[str, str, bytes]  # media type, location, content


def as_json(dataset: Dataset) -> dict[str, Any]:
    return dataset_to_json(dcmread(io.BytesIO(encode(dataset)), force=True), "utf-8", "bulk")


def with_bulk(dataset: Dataset, uri: str = "pixels", **elements: Any) -> dict[str, Any]:
    written = as_json(dataset)
    written["7FE00010"] = {"vr": "OW", "BulkDataURI": uri}
    return {**written, **elements}


def post(client: TestClient, root: str, parts: Sequence[Part], path: str = "/dicom-web/studies") -> Any:
    body = b"".join(
        f"--x\r\nContent-Type: {media_type}\r\nContent-Location: {location}\r\n\r\n".encode() + data + b"\r\n"
        for media_type, location, data in parts
    )
    content_type = f'multipart/related; type="{root}"; boundary=x'
    return client.post(path, content=body + b"--x--\r\n", headers={"content-type": content_type})


def post_json(client: TestClient, datasets: Sequence[Any], *bulk: Part) -> Any:
    return post(client, JSON, [(JSON, "metadata", orjson.dumps(list(datasets))), *bulk])


def retrieved(client: TestClient, dataset: Dataset) -> Dataset:
    path = (
        f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )
    answer = client.get(
        path, headers={"accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    )
    assert answer.status_code == 200
    ((_, content),) = split_multipart(answer)
    return dcmread(io.BytesIO(content))


def reasons(answer: Any) -> list[int]:
    return [item["00081197"]["Value"][0] for item in answer.json().get("00081198", {}).get("Value", [])]


def test_json_and_bulk_data_become_the_instance_that_they_were(client: TestClient) -> None:
    datasets = [make_dataset(), make_dataset()]
    pixels = [(OCTETS, f"p{n}", bytes(dataset.PixelData)) for n, dataset in enumerate(datasets)]
    metadata = [with_bulk(dataset, f"p{n}") for n, dataset in enumerate(datasets)]
    answer = post_json(client, metadata, *reversed(pixels))
    assert answer.status_code == 200, answer.text
    for dataset in datasets:
        found = retrieved(client, dataset)
        assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert as_json(found) == as_json(dataset)
        assert found.PixelData == dataset.PixelData


def test_xml_and_bulk_data_become_the_instance_that_they_were(client: TestClient) -> None:
    datasets = [make_dataset(), make_dataset()]
    documents = [
        (XML, "", encode_native_model(with_bulk(dataset, f"p{n}"))) for n, dataset in enumerate(datasets)
    ]
    pixels = [(OCTETS, f"p{n}", bytes(dataset.PixelData)) for n, dataset in enumerate(datasets)]
    answer = post(client, XML, [*documents, *pixels])
    assert answer.status_code == 200, answer.text
    for dataset in datasets:
        assert as_json(retrieved(client, dataset)) == as_json(dataset)


@pytest.mark.parametrize("media_type", ["application/dicom", JSON, XML])
def test_a_single_part_needs_no_multipart(client: TestClient, media_type: str) -> None:
    dataset = make_dataset()
    bodies = {
        "application/dicom": encode_file(dataset),
        JSON: orjson.dumps([as_json(dataset)]),
        XML: encode_native_model(as_json(dataset)),
    }
    answer = client.post(
        "/dicom-web/studies", content=bodies[media_type], headers={"content-type": media_type}
    )
    assert answer.status_code == 200, answer.text
    assert as_json(retrieved(client, dataset)) == as_json(dataset)


def test_the_answer_is_xml_where_that_is_accepted(client: TestClient) -> None:
    headers = {"content-type": "application/dicom", "accept": XML}
    answer = client.post("/dicom-web/studies", content=encode_file(make_dataset()), headers=headers)
    assert answer.headers["content-type"] == XML
    assert b'tag="00081199"' in answer.content


IMAGE = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48) % 4096


def test_a_compressed_frame_tells_what_the_metadata_leaves_out(client: TestClient) -> None:
    dataset = make_dataset()
    metadata = {tag: value for tag, value in with_bulk(dataset).items() if not tag.startswith("0028")}
    frame = bytes(imagecodecs.jpegls_encode(IMAGE))
    answer = post_json(client, [metadata], ("image/jls", "pixels", frame))
    assert answer.status_code == 200, answer.text
    found = retrieved(client, dataset)
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.80"
    assert (found.Rows, found.Columns, found.BitsAllocated, found.SamplesPerPixel) == (64, 48, 16, 1)
    assert found.PhotometricInterpretation == "MONOCHROME2"
    assert np.array_equal(found.pixel_array, IMAGE)


def test_what_the_metadata_says_of_pixels_is_not_overwritten(client: TestClient) -> None:
    dataset = make_dataset()
    metadata = {tag: value for tag, value in with_bulk(dataset).items() if not tag.startswith("0028")}
    metadata["00280004"] = {"vr": "CS", "Value": ["MONOCHROME1"]}
    metadata["00280101"] = {"vr": "US", "Value": [12]}
    answer = post_json(client, [metadata], ("image/jls", "pixels", bytes(imagecodecs.jpegls_encode(IMAGE))))
    assert answer.status_code == 200, answer.text
    found = retrieved(client, dataset)
    assert (found.PhotometricInterpretation, found.BitsStored, found.Rows) == ("MONOCHROME1", 12, 64)


def test_a_codestream_tells_the_sign_of_its_samples(client: TestClient) -> None:
    dataset, image = make_dataset(), IMAGE.astype(np.int16) - 1000
    metadata = {tag: value for tag, value in with_bulk(dataset).items() if not tag.startswith("0028")}
    frame = bytes(imagecodecs.jpeg2k_encode(image, codecformat="j2k", reversible=True, level=0))
    part = ("image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90", "pixels", frame)
    assert post_json(client, [metadata], part).status_code == 200
    found = retrieved(client, dataset)
    assert found.PixelRepresentation == 1
    assert np.array_equal(found.pixel_array, image)


def test_frames_that_come_in_a_part_each_are_those_of_one_instance(client: TestClient) -> None:
    dataset = make_dataset(Rows=64, Columns=48)
    frames = [IMAGE, IMAGE[::-1].copy()]
    parts = [
        (
            "image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90",
            "pixels",
            bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, level=0)),
        )
        for frame in frames
    ]
    answer = post_json(client, [with_bulk(dataset)], *parts)
    assert answer.status_code == 200, answer.text
    found = retrieved(client, dataset)
    assert found.NumberOfFrames == 2
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
    assert np.array_equal(found.pixel_array, np.stack(frames))


def test_bulk_data_of_an_odd_size_is_padded(client: TestClient) -> None:
    dataset = make_dataset()
    pdf = {"vr": "OB", "BulkDataURI": "document"}
    nested = {"vr": "SQ", "Value": [{"00420011": {"vr": "OB", "BulkDataURI": "nested"}}]}
    metadata = {**as_json(dataset), "00420011": pdf, "00081140": nested}
    answer = post_json(
        client, [metadata], ("application/pdf", "document", b"%PDF-"), (OCTETS, "nested", b"abc")
    )
    assert answer.status_code == 200, answer.text
    found = retrieved(client, dataset)
    assert found.EncapsulatedDocument == b"%PDF-\0"
    assert found.ReferencedImageSequence[0].EncapsulatedDocument == b"abc\0"


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", "http://169.254.169.254/latest", "s3://bucket/key", "../../x", "", "gone"]
)
def test_c9_a_bulk_data_uri_is_a_name_and_never_fetched(client: TestClient, uri: str) -> None:
    dataset = make_dataset()
    answer = post_json(client, [with_bulk(dataset, uri)])
    assert answer.status_code == 409
    assert reasons(answer) == [0xC000]
    (failed,) = answer.json()["00081198"]["Value"]
    assert failed["00081155"]["Value"] == [dataset.SOPInstanceUID]


def test_a_wrong_data_set_does_not_keep_the_others_out(client: TestClient) -> None:
    good, other = make_dataset(), make_dataset()
    metadata = [as_json(good), {"00080060": {"vr": "??"}}, with_bulk(other, "gone"), {}]
    answer = post_json(client, metadata)
    assert answer.status_code == 202
    assert len(answer.json()["00081199"]["Value"]) == 1
    assert reasons(answer) == [0xC000, 0xC000, 0xC000]


def test_metadata_of_another_study_is_not_stored_into_this_one(client: TestClient) -> None:
    path = f"/dicom-web/studies/{generate_uid()}"
    answer = post(client, JSON, [(JSON, "", orjson.dumps([as_json(make_dataset())]))], path)
    assert answer.status_code == 409
    assert reasons(answer) == [0xA900]


def test_b1_a_traversal_in_a_uid_of_metadata_is_refused(client: TestClient, module_archive: Archive) -> None:
    before = {stat.key for stat in module_archive.store.list()}
    metadata = as_json(make_dataset())
    metadata["00080018"] = {"vr": "UI", "Value": ["../../../etc/passwd"]}
    answer = post_json(client, [metadata])
    assert (answer.status_code, reasons(answer)) == (409, [0xC000])
    assert {stat.key for stat in module_archive.store.list()} == before


@pytest.mark.parametrize(
    ("media_type", "reason"),
    [
        ("image/png", 0xC122),
        ("image/jls; transfer-syntax=1.2.3", 0xC122),
        ("image/jls; transfer-syntax=x", 0xC000),
        ("image/jpeg", 0xC122),
    ],
)
def test_pixel_data_of_an_unknown_syntax_is_refused(client: TestClient, media_type: str, reason: int) -> None:
    answer = post_json(client, [with_bulk(make_dataset())], (media_type, "pixels", b"no image"))
    assert (answer.status_code, reasons(answer)) == (409, [reason])


@pytest.mark.parametrize("root", [JSON, XML])
@pytest.mark.parametrize("document", [b"", b"<", b"{", b"<!DOCTYPE a><NativeDicomModel/>"])
def test_metadata_that_cannot_be_read_is_400(client: TestClient, root: str, document: bytes) -> None:
    answer = post(client, root, [(root, "", document)])
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("root", [JSON, XML])
def test_a_body_without_metadata_is_400(client: TestClient, root: str) -> None:
    assert post(client, root, [(OCTETS, "x", b"1234")]).status_code == 400


def test_metadata_above_its_bound_is_413(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "MAX_METADATA_SIZE_BYTES", 1000)
    assert post_json(client, [as_json(make_dataset())]).status_code == 413


def test_bulk_data_above_the_largest_object_is_413_and_leaves_nothing(tmp_path: Path) -> None:
    with empty_archive(tmp_path, max_object_size_bytes=1 << 20) as archive:
        answer = post_json(
            make_client(archive), [with_bulk(make_dataset())], (OCTETS, "pixels", bytes(2 << 20))
        )
        assert answer.status_code == 413
        assert list(archive.store.list()) == []
        assert {path.name for path in tmp_path.iterdir() if path.is_file()} <= {
            "index.sqlite",
            "index.sqlite-wal",
            "index.sqlite-turn",
            "index.sqlite-shm",
        }


def test_b12_bulk_data_that_is_named_again_and_again_does_not_multiply_the_request(tmp_path: Path) -> None:
    """Ten thousand data sets may name one part: what they would become is bounded by what was sent."""
    with empty_archive(tmp_path) as archive:
        datasets = [with_bulk(make_dataset()) for _ in range(10)]
        answer = post_json(make_client(archive), datasets, (OCTETS, "pixels", bytes(1 << 20)))
        assert answer.status_code == 202
        (failed, stored) = (answer.json()[tag]["Value"] for tag in ("00081198", "00081199"))
        assert len(stored) == 2
        assert [one["00081197"]["Value"] for one in failed] == [[0xC000]] * 8
        assert sum(one.size_bytes for one in archive.store.list()) < 3 << 20


def test_one_data_set_cannot_multiply_a_part_either(client: TestClient) -> None:
    items = [{"00880200": {"vr": "OB", "BulkDataURI": "part"}}] * 1000
    dataset = {**as_json(make_dataset()), "00880200": {"vr": "SQ", "Value": items}}
    assert post_json(client, [dataset], (OCTETS, "part", bytes(100_000))).status_code == 409


def test_requests_of_small_metadata_do_not_wait_for_one_another(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NeverFree:
        def __enter__(self) -> None:
            raise AssertionError("small metadata waits for nobody")

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(transaction, "_reading_metadata", NeverFree())
    assert post_json(client, [as_json(make_dataset())]).status_code == 200


def test_a_full_disk_is_507_and_the_sender_tries_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "r+b"))  # noqa: PTH123, SIM115
    answer = post_json(client, [with_bulk(make_dataset())], (OCTETS, "pixels", bytes(1 << 20)))
    assert answer.status_code == 507
    assert "retry-after" in answer.headers
