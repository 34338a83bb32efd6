"""The table of peers on the command line, in this process: how addresses are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pacs.archive import Archive
from pacs.cli import app
from pacs.own_stores import require_own_stores
from tests.backends import fresh_archive


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with fresh_archive("sqlite-folder", tmp_path) as opened:
        require_own_stores(opened)
        yield opened


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [
        ("192.168.1.30:104", "192.168.1.30", 104),
        ("ct1.example.vn:11112", "ct1.example.vn", 11112),
        ("[2001:db8::20]:104", "2001:db8::20", 104),
    ],
)
def test_an_address_has_a_host_and_a_port(archive: Archive, typed: str, host: str, port: int) -> None:
    added = CliRunner().invoke(app, ["peers", "add", "CT1", typed])
    assert added.exit_code == 0
    assert typed in added.output
    peer = archive.index.peers.find("CT1")
    assert (peer.host, peer.port) == (host, port)


@pytest.mark.parametrize("typed", ["2001:db8::20", "[2001:db8::20]", "::1", "192.168.1.30"])
def test_of_who_only_calls_the_host_will_do(archive: Archive, typed: str) -> None:
    """An IPv6 address is full of colons: its end is no port."""
    refused = CliRunner().invoke(app, ["peers", "add", "CT1", typed])
    assert refused.exit_code != 0
    assert CliRunner().invoke(app, ["peers", "add", "CT1", typed, "--only-from-host"]).exit_code == 0
    peer = archive.index.peers.find("CT1")
    assert (peer.host, peer.port) == (typed.strip("[]"), None)


@pytest.mark.parametrize("typed", ["here:port", ":104", "fe80:", "10.0.0.5:104:104"])
def test_what_is_no_address_is_refused(archive: Archive, typed: str) -> None:
    assert CliRunner().invoke(app, ["peers", "add", "CT1", typed, "--only-from-host"]).exit_code != 0
    assert archive.index.peers.list_all() == []


def test_a_file_without_a_certificate_is_told_as_such(archive: Archive, tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe\x00", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"):
        (tmp_path / "ct.pem").write_bytes(content)
        added = CliRunner().invoke(app, ["peers", "add", "CT1", "--certificate", "ct.pem"])
        assert added.exit_code == 2
        assert "ct.pem has no certificate in PEM form" in added.output
