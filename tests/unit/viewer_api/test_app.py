from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from pacs.archive import Archive
from storage.errors import StoreFull, StoreUnavailable
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import BASE_URL, make_client, store_dataset
from viewer_api.app import create_app
from viewer_api.routes.viewer import WEB_DIRECTORY, web_files

SECRET = "NGUYEN VAN SECRET"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/viewer/", 200),
        ("/health", 200),
        ("/dicom-web/studies", 200),
        ("/nothing", 404),
        ("/dicom-web/studies/x", 400),
    ],
)
def test_every_answer_has_the_security_headers(client: TestClient, path: str, status: int) -> None:
    response = client.get(path)
    assert response.status_code == status
    policy = response.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-frame-options"] == "SAMEORIGIN"
    assert response.headers["cache-control"]


@pytest.mark.parametrize("path", ["/dicom-web/studies", "/api/studies", "/dicom-web/studies/1.2/metadata"])
def test_what_tells_of_patients_is_not_kept(client: TestClient, path: str) -> None:
    assert client.get(path).headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8080", "", "localhost.evil"]
)
def test_a_foreign_host_is_refused(client: TestClient, host: str) -> None:
    response = client.get("/health", headers={"host": host})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "10.1.2.3", "pacs.example.vn"]
)
def test_our_names_and_any_address_are_taken(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200


def test_endless_urls_and_headers_are_refused(client: TestClient) -> None:
    assert client.get("/dicom-web/studies?PatientID=" + "x" * 9000).status_code == 414
    assert client.get("/" + "x" * 9000).status_code == 414
    assert client.get("/health", headers={"x-filler": "x" * 17_000}).status_code == 431


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/dicom-web/workitems"),
        ("POST", "/dicom-web/workitems"),
    ],
)
def test_a_service_that_is_not_offered_is_501(client: TestClient, method: str, path: str) -> None:
    response = client.request(method, path)
    assert response.status_code == 501
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/dicom-web/nothing", 404),
        ("GET", "/<script>alert(1)</script>", 404),
        ("GET", "/dicom-web/studies/", 404),
        ("PUT", "/dicom-web/studies", 405),
        ("POST", "/", 405),
        ("GET", "/docs", 404),
        ("GET", "/redoc", 404),
    ],
)
def test_an_unknown_path_or_method_is_a_problem_that_repeats_nothing(
    client: TestClient, method: str, path: str, status: int
) -> None:
    response = client.request(method, path, follow_redirects=False)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert "script" not in response.text


def test_an_unexpected_error_tells_nothing_and_logs_type_and_place(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(archive)

    @app.get("/broken")
    def broken() -> None:
        raise ValueError(SECRET)

    with caplog.at_level(logging.DEBUG):
        response = TestClient(app, base_url=BASE_URL).get("/broken")
    assert response.status_code == 500
    assert response.json() == {"title": "Internal Server Error", "status": 500}
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "ValueError at test_app.py" in caplog.text
    assert SECRET not in caplog.text


def test_an_error_in_the_middle_of_an_answer_cuts_it_and_logs_no_message(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(archive)

    def chunks() -> Any:
        yield b"first"
        raise StoreUnavailable(SECRET)

    @app.get("/broken")
    def broken(request: Request) -> StreamingResponse:
        return StreamingResponse(chunks(), headers={"content-length": "100"})

    with caplog.at_level(logging.DEBUG):
        response = TestClient(app, base_url=BASE_URL).get("/broken")
    assert response.content == b"first"
    assert "StoreUnavailable at test_app.py" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("error", "status"), [(StoreFull(SECRET), 507), (StoreUnavailable(SECRET), 503)])
def test_a_failure_that_may_pass_says_when_to_come_again(
    archive: Archive, error: Exception, status: int
) -> None:
    app = create_app(archive)

    @app.get("/broken")
    def broken() -> None:
        raise error

    response = TestClient(app, base_url=BASE_URL).get("/broken")
    assert response.status_code == status
    assert int(response.headers["retry-after"]) > 0
    assert SECRET not in response.text


def test_a_database_that_went_away_is_503(archive: Archive, tmp_path: Path) -> None:
    path = store_dataset(archive, make_dataset())
    client = make_client(archive)
    archive.index.close()
    (tmp_path / "index.sqlite").write_bytes(b"this is no database" * 1000)
    for broken in ("/ready", "/dicom-web/studies", f"{path}/rendered"):
        response = client.get(broken)
        assert response.status_code == 503, broken
        assert "retry-after" in response.headers
    assert client.get("/health").status_code == 200


def test_ready_means_that_index_and_store_work(client: TestClient) -> None:
    assert client.get("/ready").json() == {"status": "ready"}


def test_the_pages_and_their_files_are_sent(client: TestClient) -> None:
    assert client.get("/").headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/viewer/?study=1.2").content == (WEB_DIRECTORY / "viewer.html").read_bytes()
    for name in web_files():
        response = client.get(f"/static/{name}")
        assert response.content == (WEB_DIRECTORY / name).read_bytes()
        assert response.headers["content-type"] != "application/octet-stream"
        again = client.get(f"/static/{name}", headers={"if-none-match": response.headers["etag"]})
        assert again.status_code == 304


def test_the_viewer_without_its_slash_leads_there_relative_to_where_one_is(client: TestClient) -> None:
    response = client.get("/viewer?study=1.2", follow_redirects=False)
    assert response.headers["location"] == "viewer/?study=1.2"
    assert client.get("/viewer?study=1.2").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "..\\app.py",
        "/etc/passwd",
        "//etc/passwd",
        "%00",
        "",
        "js/..",
        ".",
    ],
)
def test_no_other_path_leads_to_a_file(client: TestClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


def test_the_description_names_every_route_and_its_problems(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    paths = description["paths"]
    frames = paths[
        "/dicom-web/studies/{study_instance_uid}/series/{series_instance_uid}/instances/{sop_instance_uid}/frames/{frame_list}"
    ]
    assert {"200", "400", "404", "406"} <= frames["get"]["responses"].keys()
    operations = [operation for path in paths.values() for operation in path.values()]
    assert all(operation.get("summary") for operation in operations)
    assert "HTTPValidationError" not in str(description)  # the framework's own answer, which is never given
