from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.dicomweb_urls import DicomWebUrls
from pacs.errors import IndexUnavailable, InvalidUid, ObjectTooLarge, UnsupportedSopClass
from pacs.ingest import Disposition, IncomingInstance, Origin, StoreOutcome, store_instance
from storage.errors import StoreFull, StoreUnavailable
from tests.datasets import encode_file, make_dataset
from tests.unit.viewer_api.conftest import empty_archive, make_client
from viewer_api.store_report import Failure, StoreReport
from viewer_api.storing import file_parts

STOW = {"content-type": 'multipart/related; type="application/dicom"; boundary=stow', "accept": "*/*"}


def compose(*files: bytes, head: bytes = b"Content-Type: application/dicom\r\n") -> bytes:
    return b"".join(b"--stow\r\n" + head + b"\r\n" + file + b"\r\n" for file in files) + b"--stow--\r\n"


def post(client: TestClient, body: Any, path: str = "/dicom-web/studies", **headers: str) -> Any:
    return client.post(
        path, content=body, headers=STOW | {k.replace("_", "-"): v for k, v in headers.items()}
    )


def is_stored(client: TestClient, dataset: Dataset) -> bool:
    return bool(client.get(f"/dicom-web/instances?SOPInstanceUID={dataset.SOPInstanceUID}").json())


def reasons(answer: Any) -> list[int]:
    return [item["00081197"]["Value"][0] for item in answer.get("00081198", {}).get("Value", [])]


def test_instances_are_stored_and_named(client: TestClient) -> None:
    study = generate_uid()
    datasets = [make_dataset(StudyInstanceUID=study) for _ in range(3)]
    response = post(client, compose(*map(encode_file, datasets)))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    answer = response.json()
    assert "00081198" not in answer
    base = f"https://pacs.example.vn/xa/dicom-web/studies/{study}"
    assert answer["00081190"] == {"vr": "UR", "Value": [base]}
    items = answer["00081199"]["Value"]
    assert [item["00081155"]["Value"][0] for item in items] == [
        dataset.SOPInstanceUID for dataset in datasets
    ]
    assert items[0]["00081150"] == {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}
    assert items[0]["00081190"]["Value"] == [
        f"{base}/series/{datasets[0].SeriesInstanceUID}/instances/{datasets[0].SOPInstanceUID}"
    ]
    assert len(client.get(f"/dicom-web/studies/{study}/instances").json()) == 3


def test_the_same_instance_again_is_a_success(client: TestClient) -> None:
    body = compose(encode_file(make_dataset()))
    assert post(client, body).status_code == 200
    assert post(client, body).status_code == 200


def test_other_content_under_a_known_uid_is_kept_and_told_by_a_warning(client: TestClient) -> None:
    dataset = make_dataset()
    post(client, compose(encode_file(dataset)))
    dataset.PatientID = "OTHER"
    response = post(client, compose(encode_file(dataset)))
    assert response.status_code == 202
    (item,) = response.json()["00081199"]["Value"]
    assert item["00081196"] == {"vr": "US", "Value": [0xB000]}
    (study,) = client.get(f"/dicom-web/studies?StudyInstanceUID={dataset.StudyInstanceUID}").json()
    assert study["00100020"]["Value"] == ["BN0001"]


def test_a_refused_part_does_not_keep_the_others_out(client: TestClient) -> None:
    good = [make_dataset(), make_dataset()]
    files = [encode_file(good[0]), b"no DICOM at all", b"", encode_file(good[1])]
    response = post(client, compose(*files))
    assert response.status_code == 202
    answer = response.json()
    assert reasons(answer) == [0xC000, 0xC000]
    assert len(answer["00081199"]["Value"]) == 2


def test_nothing_stored_is_409_with_the_reasons(client: TestClient) -> None:
    unknown = encode_file(make_dataset()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0")
    mismatched = make_dataset()
    file = encode_file(mismatched)
    position = file.index(mismatched.SOPInstanceUID.encode())
    other = file[:position] + b"9" + file[position + 1 :]
    response = post(client, compose(unknown, other))
    assert response.status_code == 409
    assert reasons(response.json()) == [0xC122, 0xA900]
    assert response.json()["00081190"] == {"vr": "UR"}
    assert not is_stored(client, mismatched)


def test_an_instance_of_another_study_is_not_stored_into_this_one(client: TestClient) -> None:
    study = generate_uid()
    mine, other = make_dataset(StudyInstanceUID=study), make_dataset()
    response = post(client, compose(*map(encode_file, (mine, other))), f"/dicom-web/studies/{study}")
    assert response.status_code == 202
    (failed,) = response.json()["00081198"]["Value"]
    assert failed["00081155"]["Value"] == [other.SOPInstanceUID]
    assert failed["00081197"]["Value"] == [0xA900]
    assert is_stored(client, mine)
    assert not is_stored(client, other)
    only_other = post(client, compose(encode_file(other)), f"/dicom-web/studies/{study}")
    assert only_other.status_code == 409


def test_a_traversal_in_a_uid_is_refused(client: TestClient, module_archive: Archive) -> None:
    file = encode_file(make_dataset(SOPInstanceUID="1.2.3.4.5.6.7.8")).replace(
        b"1.2.3.4.5.6.7.8", b"../../../../tmp"
    )
    before = {stat.key for stat in module_archive.store.list()}
    response = post(client, compose(file))
    assert response.status_code == 409
    assert reasons(response.json()) == [0xC000]
    assert {stat.key for stat in module_archive.store.list()} == before


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "multipart/form-data; boundary=stow",
        "multipart/related; boundary=stow",
        'multipart/related; type="application/json"; boundary=stow',
        'multipart/related; type="application/octet-stream"; boundary=stow',
        "",
        "nonsense",
    ],
)
def test_another_media_type_is_415(client: TestClient, content_type: str) -> None:
    dataset = make_dataset()
    assert post(client, compose(encode_file(dataset)), content_type=content_type).status_code == 415
    assert not is_stored(client, dataset)


def test_a_compressed_body_is_415(client: TestClient) -> None:
    body = gzip.compress(compose(encode_file(make_dataset())))
    assert post(client, body, content_encoding="gzip").status_code == 415


def test_an_answer_that_is_not_acceptable_is_refused_before_anything_is_stored(client: TestClient) -> None:
    dataset = make_dataset()
    response = post(client, compose(encode_file(dataset)), accept="image/jpeg")
    assert response.status_code == 406
    assert not is_stored(client, dataset)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary",
        b"--stow--\r\n",
        b"--stow\r\nContent-Type: application/dicom\r\n\r\ncut",
        compose(b"x", head=b"X: " + b"y" * 10_000 + b"\r\n"),
    ],
)
def test_a_malformed_body_is_400(client: TestClient, body: bytes) -> None:
    response = post(client, body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


def test_a_boundary_is_needed(client: TestClient) -> None:
    header = 'multipart/related; type="application/dicom"'
    assert post(client, compose(b"x"), content_type=header).status_code == 400


def test_b12_more_parts_than_allowed_are_refused(client: TestClient) -> None:
    assert post(client, compose(*[b""] * 10_001)).status_code == 400
    answer = post(client, compose(*[b""] * 2_000))
    assert answer.status_code == 409
    assert len(reasons(answer.json())) == 2_000


def test_b12_a_part_that_is_multipart_itself_is_not_taken_apart(client: TestClient) -> None:
    head = b'Content-Type: multipart/related; type="application/dicom"; boundary=inner\r\n'
    inner = b"--inner\r\nContent-Type: application/dicom\r\n\r\n" + encode_file(make_dataset())
    response = post(client, compose(inner + b"\r\n--inner--\r\n", head=head))
    assert (response.status_code, reasons(response.json())) == (409, [0xC000])


@pytest.mark.parametrize("boundary", ["other", "sto", '"stow "', "stow-", "x" * 300, "a\tb", ""])
def test_b12_a_wrong_boundary_is_400(client: TestClient, boundary: str) -> None:
    header = f'multipart/related; type="application/dicom"; boundary={boundary}'
    response = post(client, compose(encode_file(make_dataset())), content_type=header)
    assert response.status_code == 400


def test_b12_header_fields_of_a_part_are_bounded(client: TestClient) -> None:
    many = b"".join(b"X-%d: y\r\n" % number for number in range(5_000))
    assert post(client, compose(b"x", head=many)).status_code == 400
    twice = b"Content-Type: application/dicom\r\nContent-Type: text/html\r\n"
    assert post(client, compose(b"x", head=twice)).status_code == 400


def test_what_was_stored_before_a_body_broke_is_told(client: TestClient) -> None:
    body = compose(encode_file(make_dataset()), encode_file(make_dataset()))
    response = post(client, body[:-200])
    assert response.status_code == 202
    assert len(response.json()["00081199"]["Value"]) == 1
    assert reasons(response.json()) == [0xC000]


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: text/html\r\n",
        b"Content-Type: application/dicom\r\nContent-Transfer-Encoding: base64\r\n",
        b"Content-Type: application/dicom\r\nContent-Encoding: gzip\r\n",
    ],
)
def test_a_part_that_is_no_plain_dicom_is_refused(client: TestClient, head: bytes) -> None:
    response = post(client, compose(encode_file(make_dataset()), head=head))
    assert response.status_code == 409
    assert reasons(response.json()) == [0xC000]


def test_a_location_in_a_part_is_never_followed(client: TestClient) -> None:
    head = b"Content-Type: application/dicom\r\nContent-Location: file:///etc/passwd\r\n"
    assert post(client, compose(encode_file(make_dataset()), head=head)).status_code == 200


def test_many_instances_of_one_request_are_told_in_the_order_of_their_parts(client: TestClient) -> None:
    datasets = [
        make_dataset(Rows=rows, PixelData=bytes(rows * 32)) for rows in (16, 40_000, 16, 16, 16, 16, 16)
    ]
    answer = post(client, compose(*map(encode_file, datasets)))
    stored = answer.json()["00081199"]["Value"]
    assert [one["00081155"]["Value"] for one in stored] == [[one.SOPInstanceUID] for one in datasets]


def test_of_several_contents_of_one_instance_in_a_request_the_first_is_the_one_that_is_kept(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, files = make_dataset(), []
    for number in range(1, 5):
        dataset.InstanceNumber = number
        files.append(encode_file(dataset))

    def store_slowly_at_first(archive: Archive, incoming: IncomingInstance, origin: Origin) -> StoreOutcome:
        time.sleep(next(delays))
        return store_instance(archive, incoming, origin)

    delays = chain((0.3, 0.1), repeat(0))
    monkeypatch.setattr(file_parts, "store_instance", store_slowly_at_first)
    answer = post(client, compose(*files, encode_file(make_dataset())))
    assert ["00081196" in item for item in answer.json()["00081199"]["Value"]] == [False, *[True] * 3, False]
    (kept,) = client.get(f"/dicom-web/instances?SOPInstanceUID={dataset.SOPInstanceUID}").json()
    assert kept["00200013"]["Value"] == [1]


def test_several_instances_of_a_request_are_stored_at_a_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = Barrier(4)

    def store_together(archive: Archive, incoming: IncomingInstance, origin: Origin) -> StoreOutcome:
        meeting.wait(20)
        return store_instance(archive, incoming, origin)

    monkeypatch.setattr(file_parts, "store_instance", store_together)
    assert post(client, compose(*(encode_file(make_dataset()) for _ in range(4)))).status_code == 200


def test_a_body_may_come_in_pieces(client: TestClient) -> None:
    body = compose(encode_file(make_dataset()), encode_file(make_dataset()))

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 37):
            yield body[start : start + 37]

    assert post(client, pieces()).status_code == 200


def test_an_instance_that_is_too_large_ends_the_request(tmp_path: Path) -> None:
    with empty_archive(tmp_path, max_object_size_bytes=1 << 20) as archive:
        huge = make_dataset(Rows=1024, Columns=1024, PixelData=bytes(2 << 20))
        response = post(make_client(archive), compose(encode_file(huge), encode_file(make_dataset())))
        assert response.status_code == 413
        assert reasons(response.json()) == [0xC213]
        assert list(archive.store.list()) == []


OUTCOME = StoreOutcome(Disposition.STORED, "1.2", "1.3", "1.4", "1.5")


@pytest.mark.parametrize(
    ("errors", "stored", "status"),
    [
        ([], [OUTCOME], 200),
        ([InvalidUid("x")], [OUTCOME], 202),
        ([InvalidUid("x"), UnsupportedSopClass("x")], [], 409),
        ([StoreUnavailable("x"), IndexUnavailable("x")], [], 503),
        ([StoreFull("x"), StoreUnavailable("x")], [], 507),
        ([StoreFull("x"), InvalidUid("x")], [], 409),
        ([ObjectTooLarge("x")], [], 413),
        ([ObjectTooLarge("x")], [OUTCOME], 202),
    ],
)
def test_the_status_says_whether_to_try_again(
    errors: list[Exception], stored: list[StoreOutcome], status: int
) -> None:
    assert StoreReport(stored, [Failure(error) for error in errors]).status == status


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StoreFull("x"), 0xA700),
        (StoreUnavailable("x"), 0xA700),
        (IndexUnavailable("x"), 0xA700),
        (ObjectTooLarge("x"), 0xC213),
        (UnsupportedSopClass("x"), 0x0122),
        (InvalidUid("x"), 0xC000),
    ],
)
def test_each_failure_has_the_reason_of_the_standard(error: Exception, reason: int) -> None:
    answer = StoreReport([], [Failure(error, "1.2", "1.3")]).to_json(DicomWebUrls("http://x"))
    (item,) = answer["00081198"]["Value"]
    assert item == {
        "00081150": {"vr": "UI", "Value": ["1.2"]},
        "00081155": {"vr": "UI", "Value": ["1.3"]},
        "00081197": {"vr": "US", "Value": [reason]},
    }
