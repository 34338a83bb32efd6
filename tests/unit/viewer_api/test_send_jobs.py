"""Send jobs over HTTP: wished for, looked at, paused, tried again and cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.index.known_peers import KnownPeer
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import empty_archive, make_client, store_dataset


def filled(archive: Archive) -> tuple[TestClient, list[str]]:
    archive.index.peers.add(KnownPeer("WS1", "192.168.1.30", 104))
    studies = [make_dataset() for _ in range(2)]
    for study in studies:
        store_dataset(archive, study)
    return make_client(archive), [str(study.StudyInstanceUID) for study in studies]


def test_a_job_is_wished_for_listed_and_steered(tmp_path: Path) -> None:
    with empty_archive(tmp_path) as archive:
        client, uids = filled(archive)
        answer = client.post("/send-jobs", json={"study_instance_uids": uids, "ae_title": "WS1"})
        assert answer.status_code == 202
        first, second = answer.json()["jobs"]
        assert (first["study_instance_uid"], first["ae_title"], first["state"]) == (uids[0], "WS1", "waiting")
        assert first["instances"] == {"total": 0, "sent": 0, "warned": 0, "refused": 0}
        again = client.post("/send-jobs", json={"study_instance_uids": uids[:1], "ae_title": "WS1"})
        assert again.json()["jobs"][0]["id"] == first["id"]
        listed = client.get("/send-jobs").json()["jobs"]
        assert [job["id"] for job in listed] == [second["id"], first["id"]]
        assert client.get("/send-jobs", params={"study": uids[0]}).json()["jobs"][0]["id"] == first["id"]
        path = f"/send-jobs/{first['id']}"
        assert client.patch(path, json={"state": "paused"}).json()["state"] == "paused"
        assert [job["id"] for job in client.get("/send-jobs?state=paused&state=done").json()["jobs"]] == [
            first["id"]
        ]
        assert client.patch(path, json={"state": "waiting"}).json()["state"] == "waiting"
        assert client.delete(path).json()["state"] == "cancelled"
        told = client.get(path).json()
        assert (told["state"], told["refused_instances"]) == ("cancelled", [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"ae_title": "NOBODY"}, 404),
        ({"ae_title": "A\0"}, 400),
        ({"study_instance_uids": ["1.2.3"]}, 404),
        ({"study_instance_uids": ["1..2"]}, 400),
        ({"study_instance_uids": []}, 400),
        ({"priority": 10}, 400),
        ({"to": "WS1"}, 400),
    ],
)
def test_what_is_no_wish_is_refused(tmp_path: Path, body: dict[str, Any], status: int) -> None:
    with empty_archive(tmp_path) as archive:
        client, uids = filled(archive)
        answer = client.post("/send-jobs", json={"study_instance_uids": uids, "ae_title": "WS1", **body})
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/send-jobs").json() == {"jobs": []}


def test_a_job_that_is_not_there_is_404(tmp_path: Path) -> None:
    with empty_archive(tmp_path) as archive:
        client = make_client(archive)
        answers = [
            client.get("/send-jobs/7"),
            client.patch("/send-jobs/7", json={"state": "paused"}),
            client.delete("/send-jobs/7"),
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
        assert client.get("/send-jobs/x").status_code == 400
        assert client.patch("/send-jobs/7", json={"state": "done"}).status_code == 400
        for odd in ("state=odd", "study=1..2", "study=%00", "ae_title=%00", "ae_title=A%5CB", "limit=0"):
            assert client.get(f"/send-jobs?{odd}").status_code == 400, odd
