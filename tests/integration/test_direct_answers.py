"""What is known is sent straight from its file, and is what the routes would have answered."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from pacs.archive import Archive
from pacs.delete import delete_instances
from pacs.ingest import Origin, open_part10, store_instance
from pacs.retrieve import find_instances
from pacs.settings import Settings
from tests.datasets import encode_file, make_dataset
from tests.empty_index import open_empty_archive
from tests.http_server import serving
from viewer_api import direct_answers, zero_copy
from viewer_api.routes import frames, retrieve

pytestmark = pytest.mark.skipif(not zero_copy.IS_POSSIBLE, reason="sendfile as Linux has it")

UIDS = ("2.25.1", "2.25.1.1", "2.25.1.1.1")
PATH = "/dicom-web/studies/{}/series/{}/instances/{}".format(*UIDS)
ANYTHING_ELSE = {"if-range": '"of another body"'}  # has no effect, and is for the routes to say so
STORED = {
    "": 'multipart/related; type="application/dicom"; transfer-syntax=*',
    "/frames/1": 'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    "/frames/2": "application/octet-stream",
}
KNOWN = [
    *STORED.items(),
    ("", "application/dicom"),
    ("", "*/*"),
    ("/frames/1", "*/*"),
    ("/frames/1", 'multipart/related; type="application/octet-stream", image/jpeg;q=0.1'),
]


@contextmanager
def served(folder: Path, **settings: object) -> Iterator[tuple[Archive, str]]:
    archive = open_empty_archive(Settings(data_dir=folder, allow_delete=True, **settings))
    dataset = make_dataset(NumberOfFrames=2, PixelData=bytes(range(256)) * 4)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = UIDS
    store_instance(archive, open_part10([encode_file(dataset)]), Origin("stow"))
    try:
        with serving(archive) as port:
            yield archive, f"http://127.0.0.1:{port}{PATH}"
    finally:
        archive.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("archive")) as (_, url):
        yield url


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where each direct answer came from."""
    opened: list[str] = []
    open_file = direct_answers.open_file
    monkeypatch.setattr(direct_answers, "open_file", lambda *one: opened.append("") or open_file(*one))
    return opened


def get(address: str, accept: str, **headers: str) -> httpx.Response:
    return httpx.get(address, headers={"accept": accept, **headers})


@pytest.mark.parametrize(("suffix", "accept"), KNOWN)
def test_what_is_known_is_answered_as_the_route_answers(
    url: str, suffix: str, accept: str, direct: list[str]
) -> None:
    by_route = get(url + suffix, accept, **ANYTHING_ELSE)
    assert not direct
    known = get(url + suffix, accept)
    assert len(direct) == 1
    assert (known.status_code, known.content) == (200, by_route.content)
    assert {**known.headers, "date": ""} == {**by_route.headers, "date": ""}


@pytest.mark.parametrize("suffix", STORED)
def test_a_page_of_a_site_that_is_allowed_may_read_what_is_known(tmp_path: Path, suffix: str) -> None:
    origin = "https://viewer.example.vn"
    with served(tmp_path, cors_origins=(origin,)) as (_, url):
        for _ in range(2):
            answer = get(url + suffix, STORED[suffix], origin=origin)
            assert answer.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize("suffix", STORED)
def test_it_takes_no_thread(url: str, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = get(url + suffix, STORED[suffix])
    for module in (frames, retrieve):
        monkeypatch.setattr(module, "run_in_threadpool", None)
    assert get(url + suffix, STORED[suffix]).content == first.content


@pytest.mark.parametrize("suffix", STORED)
def test_conditions_and_parts_are_for_the_routes(url: str, suffix: str) -> None:
    whole = get(url + suffix, STORED[suffix])
    assert get(url + suffix, STORED[suffix], **{"if-none-match": whole.headers["etag"]}).status_code == 304
    part = get(url + suffix, STORED[suffix], range="bytes=7-30")
    assert (part.status_code, part.content) == (206, whole.content[7:31])
    head = httpx.head(url + suffix, headers={"accept": STORED[suffix]})
    assert (head.content, head.headers["content-length"]) == (b"", whole.headers["content-length"])


@pytest.mark.parametrize(
    ("suffix", "accept", "status"),
    [
        ("/frames/1", "text/html", 406),
        ("", "application/dicom; transfer-syntax=1.2.3", 406),
        ("/frames/3", "*/*", 404),
        ("/frames/0", "*/*", 400),
        ("/frames/999999999", "*/*", 404),
        ("/frames/1,2", "*/*", 200),
        ("/frames/1?accept=application/octet-stream", "*/*", 200),
        ("9", "*/*", 404),
    ],
)
def test_what_is_not_that_simple_is_for_the_routes(url: str, suffix: str, accept: str, status: int) -> None:
    for known, as_stored in STORED.items():
        assert get(url + known, as_stored).status_code == 200
    assert get(url + suffix, accept).status_code == status


def test_requests_in_a_row_are_answered_in_their_order(url: str) -> None:
    address = httpx.URL(url)
    for known, as_stored in STORED.items():
        get(url + known, as_stored)
    heads = "".join(
        f"GET {address.path}{suffix} HTTP/1.1\r\nHost: {address.host}\r\nAccept: {accept}\r\n\r\n"
        for suffix, accept in [*STORED.items(), ("/frames/9", "*/*"), *STORED.items()]
    )
    assert address.port is not None
    with closing(socket.create_connection((address.host, address.port), 10)) as connection:
        connection.sendall(heads.encode() + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = b"".join(iter(lambda: connection.recv(65536), b""))
    statuses = re.findall(rb"HTTP/1\.1 (\d{3})", answers)
    assert statuses == [b"200"] * 3 + [b"404"] + [b"200"] * 3 + [b"400"]


@pytest.mark.parametrize("suffix", STORED)
def test_what_was_deleted_is_not_found_any_more(tmp_path: Path, suffix: str) -> None:
    with served(tmp_path) as (archive, url):
        for _ in range(2):
            assert get(url + suffix, STORED[suffix]).status_code == 200
        delete_instances(archive, *UIDS)
        assert get(url + suffix, STORED[suffix]).status_code == 404


@pytest.mark.parametrize("suffix", STORED)
def test_what_the_store_has_lost_is_told_so(tmp_path: Path, suffix: str) -> None:
    with served(tmp_path) as (archive, url):
        for _ in range(2):
            assert get(url + suffix, STORED[suffix]).status_code == 200
        (instance,) = find_instances(archive, *UIDS)
        archive.store.delete(instance.location.key)
        assert get(url + suffix, STORED[suffix]).status_code == 410
