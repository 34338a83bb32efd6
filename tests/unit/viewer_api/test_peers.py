"""The table of peers over HTTP: to be read by all, changed where the settings allow it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pacs.index.known_peers import KnownPeer
from tests.unit.viewer_api.conftest import empty_archive, make_client

WORKSTATION = {
    "host": "192.168.1.30",
    "port": 11112,
    "rights": ["find", "move"],
    "only_from_host": True,
    "character_set": "ISO_IR 100",
    "unaccented": True,
    "transfer_syntax_uids": ["1.2.840.10008.1.2.4.70"],
    "tls": True,
    "certificate_sha256": "ab" * 32,
    "send_hours": "12:00-13:00,22:00-05:00",
    "send_bytes_per_s": 2_000_000,
    "send_at_a_time": 2,
    "dicomweb_url": "https://pacs.example.vn/dicom-web",
    "asks_commitment": True,
    "moves_to": ["READING1"],
    "own_worklist_only": True,
    "wants_availability": True,
    "wants_performed_steps": True,
}


def test_a_peer_is_put_read_and_deleted(tmp_path: Path) -> None:
    with empty_archive(tmp_path, allow_peer_changes=True) as archive:
        client = make_client(archive)
        assert client.get("/peers").json() == {"peers": []}
        assert client.put("/peers/WS1", json=WORKSTATION).status_code == 201
        assert client.get("/peers/WS1").json() == {"ae_title": "WS1", **WORKSTATION}
        assert client.put("/peers/WS1", json={"rights": []}).status_code == 200
        assert client.get("/peers").json()["peers"][0]["rights"] == []
        assert client.delete("/peers/WS1").status_code == 204
        assert client.delete("/peers/WS1").status_code == 404
        assert client.get("/peers/WS1").status_code == 404


def test_a_title_may_have_slashes_and_what_is_none_is_refused(tmp_path: Path) -> None:
    with empty_archive(tmp_path, allow_peer_changes=True) as archive:
        client = make_client(archive)
        assert client.put("/peers/CT%2F1", json={}).status_code == 201
        assert client.get("/peers/CT%2F1").json()["ae_title"] == "CT/1"
        assert [client.get("/peers/CT%00").status_code, client.delete("/peers/CT%00").status_code] == [
            400,
            400,
        ]
        assert client.delete("/peers/CT%2F1").status_code == 204


def test_peers_are_not_changed_unless_the_settings_allow_it(tmp_path: Path) -> None:
    with empty_archive(tmp_path) as archive:
        archive.index.peers.add(KnownPeer("CT1"))
        client = make_client(archive)
        answers = [client.put("/peers/WS1", json={}), client.delete("/peers/CT1")]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert "ALLOW_PEER_CHANGES" in answers[0].json()["detail"]
        assert [peer["ae_title"] for peer in client.get("/peers").json()["peers"]] == ["CT1"]


@pytest.mark.parametrize(
    ("title", "body"),
    [
        ("SEVENTEEN_LETTERS", {}),
        ("A%5CB", {}),
        ("A%00B", {}),
        ("WS1", {"host": "x"}),
        ("WS1", {"host": "x", "port": 0}),
        ("WS1", {"rights": ["delete"]}),
        ("WS1", {"no_such": 1}),
        ("WS1", {"send_hours": "at night"}),
        ("WS1", {"send_bytes_per_s": 1}),
        ("WS1", {"send_at_a_time": 9}),
        ("WS1", {"dicomweb_url": "https://user:secret@pacs.example.vn/"}),
        ("WS1", {"dicomweb_url": "file:///etc/passwd"}),
        ("WS1", {"dicomweb_url": "https://pacs.example.vn/?a=b"}),
        ("WS1", {"asks_commitment": True}),
        ("WS1", {"wants_availability": True}),
        ("WS1", {"wants_performed_steps": True}),
        ("WS1", {"transfer_syntax_uids": ["1.2"]}),
    ],
)
def test_what_is_no_peer_is_400(tmp_path: Path, title: str, body: dict[str, Any]) -> None:
    with empty_archive(tmp_path, allow_peer_changes=True) as archive:
        answer = make_client(archive).put(f"/peers/{title}", json=body)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert archive.index.peers.list_all() == []
