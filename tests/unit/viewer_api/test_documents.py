from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.errors import UndecodablePixels
from tests.datasets import make_dataset
from tests.unit.pacs.documents.test_report import REPORT
from tests.unit.viewer_api.conftest import store_dataset

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.fixture(scope="module")
def report(module_archive: Archive) -> str:
    REPORT.SOPClassUID = BASIC_TEXT_SR
    return store_dataset(module_archive, REPORT)


def store_pdf(archive: Archive, document: bytes, syntax: str = EXPLICIT, **attributes: object) -> str:
    dataset = make_dataset(SOPClassUID=ENCAPSULATED_PDF, PixelData=None, Rows=None, Columns=None)
    dataset.MIMETypeOfEncapsulatedDocument, dataset.EncapsulatedDocument = "application/pdf", document
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return store_dataset(archive, dataset, syntax)


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


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED])
@pytest.mark.parametrize("length", [None, 0, 16, 9999])
def test_a_pdf_is_sent_as_it_is_from_every_transfer_syntax(
    client: TestClient, module_archive: Archive, syntax: str, length: int | None
) -> None:
    sequence = [make_dataset(PixelData=None)]  # before the document
    attributes = {} if length is None else {"EncapsulatedDocumentLength": length}
    document = b"%PDF-1.4 content\0"
    path = store_pdf(module_archive, document, syntax, ConceptNameCodeSequence=sequence, **attributes)
    expected = document[:16] if length == 16 else document + b"\0"  # padded to an even length
    whole = client.get(f"{path}/rendered")
    assert (whole.status_code, whole.content) == (200, expected)
    assert whole.headers["content-length"] == str(len(expected))
    part = client.get(f"{path}/rendered", headers={"range": "bytes=5-7"})
    assert (part.status_code, part.content) == (206, b"1.4")
    etag = {"if-none-match": whole.headers["etag"]}
    assert client.get(f"{path}/rendered", headers=etag).status_code == 304


def test_a_pdf_behind_much_else_is_sent_too(client: TestClient, module_archive: Archive) -> None:
    path = store_pdf(module_archive, b"%PDF-1.4", IconImageSequence=[make_dataset(PixelData=bytes(1 << 20))])
    assert client.get(f"{path}/rendered").content == b"%PDF-1.4"


def test_a_large_pdf_is_sent_without_being_read_and_has_no_picture(
    client: TestClient, module_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pypdfium2")
    document = make_pdf(100, 100)
    document += bytes(1 << 20)
    path = store_pdf(module_archive, document)
    monkeypatch.setattr("pacs.documents.encapsulated.MAX_READ_SIZE_BYTES", 1 << 20)
    monkeypatch.setattr("pacs.documents.encapsulated.read_attributes", lambda *_: pytest.fail("read whole"))
    sent = client.get(f"{path}/rendered")
    assert (sent.status_code, sent.content) == (200, document + bytes(len(document) % 2))
    refused = client.get(f"{path}/rendered", headers={"accept": "image/png"})
    assert refused.status_code == 406 and "1048576" in refused.json()["detail"]


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


def make_pdf(width: int, height: int) -> bytes:
    """Make a PDF of one page, with a black square of 100 points in its lower left corner."""
    content = b"0 0 100 100 re f"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Contents 4 0 R>>".encode(),
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
    ]
    file, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj%s endobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        file
        + b"xref\n0 5\n0000000000 65535 f \n"
        + table
        + b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(file)
    )


def test_a_pdf_has_a_picture_of_its_first_page(client: TestClient, module_archive: Archive) -> None:
    pytest.importorskip("pypdfium2")
    path = store_pdf(module_archive, make_pdf(620, 877))  # twice as many pixels as points
    response = client.get(f"{path}/rendered", headers={"accept": "image/png"})
    assert response.headers["content-type"] == "image/png", response.text
    page = np.asarray(Image.open(io.BytesIO(response.content)).convert("L"))
    assert page.shape == (1754, 1240)
    assert page[1560:1750, 5:195].max() == 0
    assert page[:1500].min() == 255 and page[:, 210:].min() == 255
    small = client.get(f"{path}/thumbnail")
    assert Image.open(io.BytesIO(small.content)).size == (113, 160)


@pytest.mark.parametrize("document", [b"%PDF-1.4 and nothing more", make_pdf(0, 0)[:200]])
def test_a_damaged_pdf_has_no_picture(client: TestClient, module_archive: Archive, document: bytes) -> None:
    pytest.importorskip("pypdfium2")
    path = store_pdf(module_archive, document)
    assert client.get(f"{path}/rendered", headers={"accept": "image/png"}).status_code == 422
    assert client.get(f"{path}/rendered").status_code == 200


@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_pdf_is_drawn_or_refused_and_costs_no_server(
    module_archive: Archive, data: st.DataObject
) -> None:
    pytest.importorskip("pypdfium2")
    document = bytearray(make_pdf(100, 100))
    for _ in range(data.draw(st.integers(1, 8))):
        document[data.draw(st.integers(8, len(document) - 1))] = data.draw(st.integers(0, 255))
    try:
        page = module_archive.decoding.draw_page(bytes(document))
    except UndecodablePixels:
        return
    assert page.shape == (1754, 1240, 3)
