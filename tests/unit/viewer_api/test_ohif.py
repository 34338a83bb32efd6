from __future__ import annotations

import gzip
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from pacs.archive import Archive
from tests.unit.viewer_api.ohif.packages import BUNDLE, FILES, make_package, release_of
from viewer_api.ohif.installation import Installation, OhifFolder

IMMUTABLE = "private, max-age=31536000, immutable"


@pytest.fixture
def archive(module_archive: Archive) -> Iterator[Archive]:
    """An archive without OHIF."""
    yield module_archive
    OhifFolder(module_archive.settings.data_dir).remove()


def install(archive: Archive, files=FILES) -> Installation:
    package = make_package(files)
    return OhifFolder(archive.settings.data_dir).install(package, release_of(package))


@pytest.mark.parametrize(
    "path", ["/ohif/", "/ohif/viewer?StudyInstanceUIDs=1.2", "/ohif/0123456789abcdef/app.js"]
)
def test_where_it_is_not_installed_the_page_says_how_in_both_languages(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "private, no-store"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.text.count("filmless ohif install") == 2
    assert "chưa được cài đặt" in answer.text
    assert "is not installed" in answer.text


def test_it_is_told_whether_studies_can_be_opened_with_it(client, archive):
    assert client.get("/api/viewers").json() == {"ohif": None}
    made = install(archive)
    assert client.get("/api/viewers").json() == {"ohif": made.version}


def test_the_page_is_asked_for_again_by_its_tag(client, archive):
    install(archive)
    page = client.get("/ohif/")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-cache"
    again = client.get("/ohif/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    install(archive, {**FILES, "package/dist/assets/images/CT.png": b"another"})
    assert client.get("/ohif/", headers={"If-None-Match": page.headers["etag"]}).status_code == 200


@pytest.mark.parametrize(
    "path", ["viewer?StudyInstanceUIDs=1.2", "segmentation", "a/b/c", "12.js", "0123456789abcdef0"]
)
def test_paths_of_the_application_are_the_page(client, archive, path):
    install(archive)
    assert client.get(f"/ohif/{path}").text == client.get("/ohif/").text


def test_files_are_kept_for_ever_under_the_name_of_their_content(client, archive):
    made = install(archive)
    answer = client.get(f"/ohif/{made.content_name}/{BUNDLE}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content.startswith(b"// the application")
    known = {"If-None-Match": answer.headers["etag"]}
    assert client.get(f"/ohif/{made.content_name}/{BUNDLE}", headers=known).status_code == 304


def test_a_client_that_takes_no_gzip_gets_the_file_itself(client, archive):
    made = install(archive)
    answer = client.get(f"/ohif/{made.content_name}/{BUNDLE}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.content == gzip.decompress(made.read(BUNDLE))
    image = client.get(f"/ohif/{made.content_name}/assets/images/CT.png")
    assert "content-encoding" not in image.headers
    assert image.headers["content-type"] == "image/png"


@pytest.mark.parametrize("file", ["nothing.js", "", "..%2finstalled.json", "assets", "%00"])
def test_what_is_no_file_of_it_is_not_found(client, archive, file):
    made = install(archive)
    answer = client.get(f"/ohif/{made.content_name}/{file}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_files_of_an_installation_that_was_replaced_are_not_found(client, archive):
    before = install(archive)
    install(archive, {**FILES, "package/dist/assets/images/CT.png": b"another"})
    assert client.get(f"/ohif/{before.content_name}/{BUNDLE}").status_code == 404


def test_a_file_that_is_gone_from_the_disk_is_told_as_a_moment(client, archive):
    made = install(archive)
    (made.folder / BUNDLE).unlink()
    answer = client.get(f"/ohif/{made.content_name}/{BUNDLE}")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def directives(client: TestClient, path: str) -> dict[str, str]:
    policy = client.get(path).headers["content-security-policy"]
    return dict(directive.split(" ", 1) for directive in policy.split("; "))


def test_only_a_worker_may_make_functions_of_texts_and_nobody_asks_another_server(client, archive):
    made = install(archive)
    page, file = directives(client, "/ohif/"), directives(client, f"/ohif/{made.content_name}/{BUNDLE}")
    assert page["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert file["script-src"] == "'self' 'unsafe-eval'"  # a worker has the policy of its own file
    for policy in (page, file):
        assert policy["default-src"] == "'self'"
        assert policy["connect-src"] == "'self' blob: data:"
        assert policy["frame-ancestors"] == "'self'"
        assert "http" not in str(policy)


def test_the_address_without_a_slash_leads_to_the_page(client, archive):
    answer = client.get("/ohif?StudyInstanceUIDs=1.2", follow_redirects=False)
    assert answer.status_code == 308
    assert answer.headers["location"] == "ohif/?StudyInstanceUIDs=1.2"


def test_removing_it_needs_no_restart(client, archive):
    install(archive)
    assert client.get("/ohif/").status_code == 200
    OhifFolder(archive.settings.data_dir).remove()
    assert client.get("/ohif/").status_code == 404
