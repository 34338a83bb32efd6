from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from pacs.archive import Archive
from tests.datasets import make_dataset
from tests.unit.pacs.documents.test_report import REPORT
from tests.unit.viewer_api.conftest import store_dataset

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


@pytest.fixture(scope="module")
def report(module_archive: Archive) -> str:
    REPORT.SOPClassUID = BASIC_TEXT_SR
    return store_dataset(module_archive, REPORT)


def store_pdf(archive: Archive, document: bytes, **attributes: object) -> str:
    dataset = make_dataset(SOPClassUID=ENCAPSULATED_PDF, PixelData=None, Rows=None, Columns=None)
    dataset.MIMETypeOfEncapsulatedDocument, dataset.EncapsulatedDocument = "application/pdf", document
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return store_dataset(archive, dataset)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/html", "text/html"),
        ("text/plain", "text/plain"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
    ],
)
def test_a_report_is_a_page_or_text(client: TestClient, report: str, accept: str, media_type: str) -> None:
    response = client.get(f"{report}/rendered", headers={"accept": accept})
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert "Bình thường" in response.text
    etag = {"if-none-match": response.headers["etag"], "accept": accept}
    assert client.get(f"{report}/rendered", headers=etag).status_code == 304


def test_a_report_may_run_and_load_nothing(client: TestClient, report: str) -> None:
    headers = client.get(f"{report}/rendered").headers
    policy = headers["content-security-policy"]
    assert "sandbox;" in policy and "default-src 'none'" in policy and "allow-scripts" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_a_report_is_no_picture(client: TestClient, report: str) -> None:
    assert client.get(f"{report}/rendered", headers={"accept": "image/jpeg"}).status_code == 406
    assert client.get(f"{report}/thumbnail").status_code == 406


def test_a_pdf_is_saved_and_not_shown_in_this_sites_name(client: TestClient, module_archive: Archive) -> None:
    path = store_pdf(module_archive, b"%PDF-1.4 content\0", EncapsulatedDocumentLength=16)
    response = client.get(f"{path}/rendered")
    assert response.headers["content-type"] == "application/pdf"
    assert response.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.content == b"%PDF-1.4 content"


@pytest.mark.parametrize("document", [b"<html><script>alert(1)</script></html>", b"\0\0"])
def test_what_only_says_that_it_is_a_pdf_is_not_sent_as_one(
    client: TestClient, module_archive: Archive, document: bytes
) -> None:
    assert client.get(f"{store_pdf(module_archive, document)}/rendered").status_code == 406


def test_an_instance_that_only_says_that_it_is_a_report_is_told(
    client: TestClient, module_archive: Archive
) -> None:
    path = store_dataset(module_archive, make_dataset(SOPClassUID=BASIC_TEXT_SR, PixelData=None))
    assert client.get(f"{path}/rendered").status_code == 406
