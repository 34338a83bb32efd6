"""Attacks on searching and retrieving, case by case; each answer is the one that nobody can do harm with."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from pacs.archive import Archive
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import make_client, store_dataset
from viewer_api.search_params import MAX_RESULTS

STUDY, SERIES, INSTANCE = "1.2.9", "1.2.9.1", "1.2.9.1.1"
INSTANCE_PATH = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}"
INJECTIONS = [
    "' OR '1'='1", "'; DROP TABLE study; --", '" OR 1=1 --', "1) UNION SELECT patient_name FROM study --",
    "\\' OR 1=1 --", "%", "_" * 16, "%%%", "\\", "[a-z]%", "CHAR(37)", "x' ESCAPE '!",
    "$1", "?1", ":uid", "%(uid)s",
]  # fmt: skip
KEYS = ["PatientName", "PatientID", "AccessionNumber", "StudyDescription", "InstitutionName", "q"]
ELSEWHERE = [
    "file:///etc/passwd", "s3://bucket/key", "http://169.254.169.254/latest/meta-data/", "//169.254.169.254/",
    "gopher://127.0.0.1:6379/", "..%2F..%2Fetc%2Fpasswd", "http%3A%2F%2F127.0.0.1%2F",
]  # fmt: skip


@pytest.fixture(scope="module")
def client(module_archive: Archive) -> TestClient:
    uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "SOPInstanceUID": INSTANCE}
    store_dataset(module_archive, make_dataset(**uids))
    return make_client(module_archive)


@pytest.fixture
def no_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Where the process tried to connect to, which fails."""
    tried: list[Any] = []

    def connect(_socket: socket.socket, address: Any) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    yield tried
    assert tried == []


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("key", KEYS)
def test_c1_what_looks_like_sql_is_a_value_and_matches_nothing(
    client: TestClient, key: str, text: str
) -> None:
    path = "/api/studies" if key == "q" else "/dicom-web/studies"
    for fuzzy in ("true", "false"):
        answer = client.get(path, params={key: text, "fuzzymatching": fuzzy} if key != "q" else {key: text})
        assert answer.status_code in (200, 400), answer.text
        assert STUDY not in answer.text
        assert "SELECT" not in answer.text.upper()
    assert len(client.get("/dicom-web/studies").json()) == 1


@pytest.mark.parametrize("text", INJECTIONS)
def test_c1_what_looks_like_sql_is_no_name_of_a_key_or_a_field(client: TestClient, text: str) -> None:
    assert client.get("/dicom-web/studies", params={text: "x"}).status_code == 400
    assert client.get("/dicom-web/studies", params={"orderby": text}).status_code == 400
    included = client.get("/dicom-web/studies", params={"includefield": text})
    assert included.status_code in (200, 400)


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"PatientName": "*a" * 9}, 400),
        ({"PatientID": "*a*b*c*d*e*f*g*h*i*"}, 400),
        ({"PatientName": "?" * 1000}, 200),
        ({"PatientName": "*" * 1000}, 200),
        ({"StudyInstanceUID": ",".join(f"1.{n}" for n in range(1001))}, 400),
        ({"ModalitiesInStudy": ",".join(["CT"] * 1001)}, 400),
        ({"limit": "1000000000"}, 200),
        ({"offset": "1000000000"}, 400),
        ({"limit": "-1"}, 400),
        ({"limit": "9" * 400}, 400),
    ],
)
def test_c2_searches_made_to_take_long_are_refused_or_bounded(
    client: TestClient, parameters: dict[str, str], status: int
) -> None:
    answer = client.get("/dicom-web/studies", params=parameters)
    assert answer.status_code == status
    if status == 200:
        assert len(answer.json()) <= MAX_RESULTS


@pytest.mark.parametrize("place", ELSEWHERE)
def test_c9_a_place_elsewhere_is_no_bulk_data(
    client: TestClient, no_connections: list[Any], place: str
) -> None:
    assert client.get(f"{INSTANCE_PATH}/bulkdata/{place}").status_code in (400, 404)


@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize("name", ["studyUID", "seriesUID", "objectUID"])
def test_c9_a_place_elsewhere_is_no_uid(
    client: TestClient, no_connections: list[Any], name: str, place: str
) -> None:
    uids = {"studyUID": STUDY, "seriesUID": SERIES, "objectUID": INSTANCE, name: place}
    assert client.get("/wado", params={"requestType": "WADO", **uids}).status_code == 400


def test_d10_no_route_answers_with_a_table_that_a_spreadsheet_would_calculate(client: TestClient) -> None:
    assert not re.search(r"csv|excel|spreadsheet", client.get("/openapi.json").text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/dicom-web/studies", "application/dicom+json"),
        (f"/dicom-web/studies/{STUDY}/series", "application/dicom+json"),
        (f"/dicom-web/studies/{STUDY}/metadata", "application/dicom+json"),
        (f"/dicom-web/studies/{STUDY}/metadata", 'multipart/related; type="application/dicom+xml"'),
        ("/api/studies", "*/*"),
        ("/changes", "*/*"),
        (INSTANCE_PATH, "application/dicom"),
        (f"{INSTANCE_PATH}/frames/1", "*/*"),
        (f"{INSTANCE_PATH}/rendered", "image/jpeg"),
        (f"{INSTANCE_PATH}/thumbnail", "image/jpeg"),
        (f"/dicom-web/studies/{STUDY}", 'multipart/related; type="application/dicom"'),
        (f"/dicom-web/studies/{STUDY}/9", "*/*"),
    ],
)
def test_d12_nothing_may_be_kept_by_a_cache_that_several_people_share(
    client: TestClient, path: str, accept: str
) -> None:
    told = client.get(path, headers={"accept": accept}).headers["cache-control"].split(", ")
    assert "private" in told
    assert "public" not in told
    if "json" in accept or "xml" in accept or (accept == "*/*" and "frames" not in path):
        assert "no-store" in told
