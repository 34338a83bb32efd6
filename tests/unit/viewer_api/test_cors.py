from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from pacs.settings import Settings
from tests.unit.viewer_api.conftest import empty_archive, make_client

ORIGIN = "https://viewer.example.vn"


@pytest.fixture
def open_client(tmp_path: Path) -> Iterator[TestClient]:
    with empty_archive(tmp_path, cors_origins=(ORIGIN,)) as archive:
        yield make_client(archive)


def test_a_page_of_a_named_site_may_read_every_answer(open_client: TestClient) -> None:
    for path, status in (("/dicom-web/studies", 200), ("/dicom-web/studies/x", 400), ("/nothing", 404)):
        answer = open_client.get(path, headers={"origin": ORIGIN})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers


def test_a_preflight_is_answered(open_client: TestClient) -> None:
    headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
    answer = open_client.options("/dicom-web/studies", headers=headers)
    assert answer.status_code == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Content-Type" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", ORIGIN + ".evil.example", "http://viewer.example.vn", "null", ORIGIN + ":8443"],
)
def test_d7_pages_of_other_sites_may_not(open_client: TestClient, origin: str) -> None:
    answer = open_client.get("/dicom-web/studies", headers={"origin": origin})
    assert "access-control-allow-origin" not in answer.headers
    headers = {"origin": origin, "access-control-request-method": "DELETE"}
    answer = open_client.options("/dicom-web/studies/1.2", headers=headers)
    assert answer.status_code >= 400
    assert "access-control-allow-origin" not in answer.headers


def test_without_the_setting_there_is_no_such_header(client: TestClient) -> None:
    answer = client.get("/dicom-web/studies", headers={"origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["*", "null", "https://x.vn/", "https://x.vn/path", "x.vn", "https://X.vn", ""]
)
def test_what_is_no_origin_is_refused_by_the_settings(origin: str) -> None:
    with pytest.raises(ValidationError, match="origin"):
        Settings(cors_origins=(origin,))
