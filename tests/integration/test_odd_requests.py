"""Requests over HTTP with what no value can have: refused or not found, on every database."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from pacs.archive import Archive
from viewer_api.app import create_app


@pytest.fixture(scope="module")
def client(module_archive: Archive) -> TestClient:
    return TestClient(create_app(module_archive), base_url="http://localhost", raise_server_exceptions=False)


@pytest.mark.parametrize(
    "path",
    [
        "/peers/CT%00",
        "/routes/a%00",
        "/send-jobs?ae_title=%00",
        "/send-jobs?study=1.2%00",
        "/performed-steps/1.2%00",
        "/performed-steps?patient_id=%00",
        "/performed-steps?study_instance_uid=1.2%00",
        "/dicom-web/studies/1.2%00/metadata",
        "/dicom-web/studies?PatientID=%00",
        "/api/studies?text=%00",
    ],
)
def test_a_nul_character_is_refused_or_finds_nothing(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (200, 400, 404)


@pytest.mark.parametrize(
    "body",
    [
        {"study_instance_uids": ["1.2"], "ae_title": "X\0"},
        {"study_instance_uids": ["1.2\0"], "ae_title": "X"},
    ],
)
def test_one_in_a_body_is_too(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post("/send-jobs", json=body).status_code in (400, 404)
