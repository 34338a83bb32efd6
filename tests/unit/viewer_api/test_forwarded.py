from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.errors import SettingsError
from pacs.settings import Settings, load_settings
from tests.datasets import make_dataset
from tests.empty_index import open_empty_archive
from tests.unit.viewer_api.conftest import BASE_URL, store_dataset
from viewer_api.app import create_app

PROXY = ("192.0.2.7", 40000)
FORWARDED = {
    "x-forwarded-proto": "https",
    "x-forwarded-host": "hospital.example.vn:8443",
    "x-forwarded-prefix": "/pacs/web",
}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An archive whose settings name a proxy, and no address of its own."""
    opened = open_empty_archive(Settings(data_dir=tmp_path, trusted_proxies=("192.0.2.0/24",)))
    yield opened
    opened.close()


def client_from(archive: Archive, address: tuple[str, int]) -> TestClient:
    return TestClient(create_app(archive), base_url=BASE_URL, client=address)


def pixel_uri(client: TestClient, path: str, headers: dict[str, str]) -> Any:
    response = client.get(f"{path}/metadata", headers=headers)
    assert response.status_code == 200
    return response.json()[0]["7FE00010"]["BulkDataURI"]


def test_links_follow_a_trusted_proxy(archive: Archive) -> None:
    path = store_dataset(archive, make_dataset())
    client = client_from(archive, PROXY)
    base = "https://hospital.example.vn:8443/pacs/web"
    assert pixel_uri(client, path, FORWARDED) == f"{base}{path}/bulkdata/7FE00010"
    found = client.get("/dicom-web/studies", headers=FORWARDED).json()
    assert found[0]["00081190"]["Value"][0].startswith(f"{base}/dicom-web/studies/")
    unstripped = pixel_uri(client, f"/pacs/web{path}", FORWARDED)
    assert unstripped == f"{base}{path}/bulkdata/7FE00010"


def test_c8_links_never_follow_a_stranger(archive: Archive) -> None:
    path = store_dataset(archive, make_dataset())
    stranger = client_from(archive, ("198.51.100.9", 40000))
    assert pixel_uri(stranger, path, FORWARDED) == f"http://127.0.0.1:8080{path}/bulkdata/7FE00010"
    assert stranger.get(path, headers={"host": "evil.example"}).status_code == 400


def test_c8_the_settings_come_before_the_proxy(module_archive: Archive) -> None:
    path = store_dataset(module_archive, make_dataset())
    uri = pixel_uri(client_from(module_archive, PROXY), path, FORWARDED)
    assert uri == f"https://pacs.example.vn/xa{path}/bulkdata/7FE00010"


def test_the_last_proxy_is_believed_not_what_came_before_it(archive: Archive) -> None:
    path = store_dataset(archive, make_dataset())
    headers = {**FORWARDED, "x-forwarded-host": "evil.example, hospital.example.vn", "x-forwarded-prefix": ""}
    uri = pixel_uri(client_from(archive, PROXY), path, headers)
    assert uri == f"https://hospital.example.vn{path}/bulkdata/7FE00010"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-forwarded-host", "evil.example/x"),
        ("x-forwarded-host", "user@evil.example"),
        ("x-forwarded-host", "a b"),
        ("x-forwarded-proto", "javascript"),
        ("x-forwarded-prefix", "/../x"),
        ("x-forwarded-prefix", "//evil.example"),
        ("x-forwarded-prefix", "/x?y"),
    ],
)
def test_c8_malformed_words_of_a_proxy_are_refused(archive: Archive, name: str, value: str) -> None:
    response = client_from(archive, PROXY).get("/dicom-web/studies", headers={**FORWARDED, name: value})
    assert response.status_code == 400
    assert "evil" not in response.text


def test_a_prefix_of_the_public_url_may_be_stripped_or_not(module_archive: Archive) -> None:
    path = store_dataset(module_archive, make_dataset())
    client = client_from(module_archive, PROXY)
    assert client.get(path).content == client.get(f"/xa{path}").content
    assert client.get(f"/other{path}").status_code == 404


@pytest.mark.parametrize("page", ["/xa/", "/xa/viewer/", "/", "/viewer/"])
def test_what_a_page_names_is_there_at_a_prefix_too(module_archive: Archive, page: str) -> None:
    client = client_from(module_archive, PROXY)
    named = re.findall(r'(?:href|src)="([^"#]+)', client.get(page).text)
    assert len(named) > 10
    for address in named:
        assert client.get(urljoin(page, address)).status_code == 200, address


def test_a_proxy_has_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FILMLESS_TRUSTED_PROXIES", '["proxy.example"]')
    with pytest.raises(SettingsError, match="TRUSTED_PROXIES"):
        load_settings()


@pytest.mark.parametrize(
    "suffix", ["", "/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010", "/thumbnail"]
)
def test_head_says_what_get_would(module_archive: Archive, suffix: str) -> None:
    path = store_dataset(module_archive, make_dataset()) + suffix
    client = client_from(module_archive, PROXY)
    got, head = client.get(path), client.head(path, headers={"range": "bytes=0-0"})
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    same = ("content-type", "content-length", "etag", "cache-control", "accept-ranges")
    assert [head.headers.get(name) for name in same] == [got.headers.get(name) for name in same]
    assert client.head("/dicom-web/studies/1.2.3").status_code == 404
    etag = head.headers.get("etag")
    assert not etag or client.head(path, headers={"if-none-match": etag}).status_code == 304
