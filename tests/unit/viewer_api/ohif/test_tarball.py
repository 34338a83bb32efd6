from __future__ import annotations

import gzip
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.viewer_api.ohif.packages import FILES, make_package, release_of
from viewer_api.ohif import tarball
from viewer_api.ohif.tarball import RELEASE, UnusableTarball, check_integrity, fetch_tarball, read_files


def test_the_files_of_a_package_are_read_by_their_paths():
    expected = {name.removeprefix("package/"): content for name, content in FILES.items()}
    assert dict(read_files(make_package())) == expected


def test_a_package_is_known_by_its_digest():
    package = make_package()
    check_integrity(package, release_of(package))
    with pytest.raises(UnusableTarball, match=r"3\.13\.2"):
        check_integrity(package, RELEASE)


@pytest.mark.parametrize(
    "name",
    [
        *("package/../outside.js", "/package/dist/x.js", "package//dist/x.js", "package/dist/./x.js"),
        *("elsewhere/x.js", "package/dist\\x.js", "package/dist/.hidden", "package/dist/x\n.js", "package/"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(name):
    with pytest.raises(UnusableTarball, match="no plain file"):
        list(read_files(make_package({name: b""})))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_what_is_no_plain_file_is_refused(kind):
    member = tarfile.TarInfo("package/dist/link.js")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(UnusableTarball, match="no plain file"):
        list(read_files(make_package({}, member)))


def test_a_file_twice_is_refused():
    twice = tarfile.TarInfo("package/LICENSE")
    with pytest.raises(UnusableTarball, match="twice"):
        list(read_files(make_package(FILES, twice)))


def test_too_many_files_are_refused(monkeypatch):
    monkeypatch.setattr(tarball, "MAX_FILES", 3)
    with pytest.raises(UnusableTarball, match="too many"):
        list(read_files(make_package()))


@pytest.mark.parametrize(
    "name", ["package/zeros.js", "package/" + "long/" * 40_000], ids=["a file", "a name in a header"]
)
def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(monkeypatch, name):
    monkeypatch.setattr(tarball, "MAX_UNPACKED_SIZE_BYTES", 100_000)
    with pytest.raises(UnusableTarball, match="more than it can be"):
        list(read_files(make_package({name: bytes(1_000_000)})))


@pytest.mark.parametrize(
    "data",
    [b"", b"not gzip at all", gzip.compress(b"no tar " * 1000, mtime=0)],
    ids=("nothing", "no gzip", "no tar"),
)
def test_what_is_no_package_is_refused(data):
    with pytest.raises(UnusableTarball):
        list(read_files(io.BytesIO(data)))


def test_a_package_cut_short_is_refused():
    whole = make_package().getvalue()
    with pytest.raises(UnusableTarball, match="damaged"):
        list(read_files(io.BytesIO(whole[: len(whole) // 2])))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 3000))
def test_damage_is_told_or_does_no_harm(noise, place):
    plain = bytearray(gzip.decompress(make_package().getvalue()))
    place = min(place, len(plain))
    plain[place : place + len(noise)] = noise
    try:
        paths = [path for path, _ in read_files(io.BytesIO(gzip.compress(plain)))]
    except UnusableTarball:
        return
    assert all(not path.startswith("/") and ".." not in path.split("/") for path in paths)


class _Registry(BaseHTTPRequestHandler):
    """Sends a package, and leads to it from ``/moved``."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/package.tgz")
            self.end_headers()
        elif self.path == "/package.tgz":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(make_package().getvalue())
        else:
            self.send_error(404)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output readable."""


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Registry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


@pytest.mark.parametrize("path", ["/package.tgz", "/moved"])
def test_a_package_is_fetched(registry, path):
    target = io.BytesIO()
    fetch_tarball(registry + path, target)
    assert len(list(read_files(target))) == len(FILES)


def test_a_package_is_fetched_through_the_proxy_of_the_environment(registry, monkeypatch):
    monkeypatch.setenv("http_proxy", registry)
    monkeypatch.setenv("no_proxy", "")
    # A proxy is asked for the whole address, which this one does not know.
    with pytest.raises(UnusableTarball, match="404"):
        fetch_tarball("http://registry.example/package.tgz", io.BytesIO())


def test_an_answer_without_end_is_cut_off(registry, monkeypatch):
    monkeypatch.setattr(tarball, "MAX_TARBALL_SIZE_BYTES", 100)
    target = io.BytesIO()
    with pytest.raises(UnusableTarball, match="no package of OHIF"):
        fetch_tarball(registry + "/package.tgz", target)
    assert target.getvalue() == b""


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://[x"]
)
def test_a_package_that_cannot_be_fetched_is_told(url):
    with pytest.raises(UnusableTarball):
        fetch_tarball(url, io.BytesIO())


def test_a_registry_that_refuses_is_told_with_the_way_out(registry):
    with pytest.raises(UnusableTarball, match=r"404.*--tarball FILE"):
        fetch_tarball(registry + "/gone", io.BytesIO())
