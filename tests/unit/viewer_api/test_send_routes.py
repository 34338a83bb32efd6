"""Routes over HTTP: to be read by all, changed where the settings allow it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pacs.index.known_peers import KnownPeer
from pacs.index.known_routes import KnownRoute
from tests.unit.viewer_api.conftest import empty_archive, make_client

CHEST = {
    "ae_title": "AI",
    "modalities": ["CR", "DX"],
    "calling_ae_titles": ["XR*"],
    "station_names": ["Phòng 2"],
    "body_parts": ["CHEST"],
    "institutions": ["Bệnh viện *"],
    "hours": "07:00-17:00",
    "quiet_s": 10,
    "priority": 5,
    "priors": 0,
    "fetches": False,
}


def test_a_route_is_put_read_and_deleted(tmp_path: Path) -> None:
    with empty_archive(tmp_path, allow_peer_changes=True) as archive:
        archive.index.peers.add(KnownPeer("AI", "192.168.1.30", 104))
        client = make_client(archive)
        assert client.get("/routes").json() == {"routes": []}
        assert client.put("/routes/chest", json=CHEST).status_code == 201
        assert client.get("/routes/chest").json() == {"name": "chest", **CHEST}
        assert client.put("/routes/chest", json={"ae_title": "AI"}).status_code == 200
        assert client.get("/routes").json()["routes"][0]["modalities"] == []
        assert client.delete("/routes/chest").status_code == 204
        assert client.delete("/routes/chest").status_code == 404
        assert client.get("/routes/chest").status_code == 404


def test_routes_are_not_changed_unless_the_settings_allow_it(tmp_path: Path) -> None:
    with empty_archive(tmp_path) as archive:
        archive.index.routes.add(KnownRoute("all", "AI"), datetime.now(UTC))
        client = make_client(archive)
        answers = [client.put("/routes/chest", json=CHEST), client.delete("/routes/all")]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert [route["name"] for route in client.get("/routes").json()["routes"]] == ["all"]


@pytest.mark.parametrize(
    ("name", "change", "status"),
    [
        ("a b", {}, 400),
        ("chest", {"ae_title": "NOBODY"}, 404),
        ("chest", {"hours": "by day"}, 400),
        ("chest", {"quiet_s": -1}, 400),
        ("chest", {"modalities": [""]}, 400),
        ("chest", {"modalities": ["C\\T"]}, 400),
        ("chest", {"no_such": 1}, 400),
        ("chest", {"priors": 21}, 400),
        ("chest", {"priors": 3}, 400),
    ],
)
def test_what_is_no_route_is_refused(tmp_path: Path, name: str, change: dict[str, Any], status: int) -> None:
    with empty_archive(tmp_path, allow_peer_changes=True) as archive:
        archive.index.peers.add(KnownPeer("AI", "192.168.1.30", 104))
        answer = make_client(archive).put(f"/routes/{name}", json={**CHEST, **change})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert archive.index.routes.list_all() == []
