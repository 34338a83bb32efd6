from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from pacs.archive import Archive
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import make_client, store_dataset


def test_changes_are_told_page_by_page(archive: Archive) -> None:
    client = make_client(archive)
    assert client.get("/changes").json() == {"changes": [], "last": 0}
    datasets = [make_dataset() for _ in range(3)]
    for dataset in datasets:
        store_dataset(archive, dataset)
    first = client.get("/changes?limit=2").json()
    assert first["last"] == 2
    (third,) = client.get(f"/changes?since={first['last']}").json()["changes"]
    assert third["at"].endswith("Z")
    del third["at"]
    assert third == {
        "sequence": 3,
        "action": "stored",
        "study_instance_uid": datasets[2].StudyInstanceUID,
        "series_instance_uid": datasets[2].SeriesInstanceUID,
        "sop_instance_uid": datasets[2].SOPInstanceUID,
    }
    assert client.get("/changes?since=3").json() == {"changes": [], "last": 3}


def test_one_may_wait_for_what_is_not_there_yet(archive: Archive) -> None:
    client = make_client(archive)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(client.get("/changes?since=0&wait=30").json()))
    waiting.start()
    time.sleep(0.3)
    store_dataset(archive, make_dataset())
    waiting.join(20)
    assert [len(answer["changes"]) for answer in answers] == [1]
    assert client.get("/changes?since=1&wait=1").json() == {"changes": [], "last": 1}


@pytest.mark.parametrize(
    "query",
    [
        "since=-1",
        "since=x",
        "since=1e3",
        f"since={2**64}",
        "limit=0",
        "limit=10001",
        "limit=-1",
        "wait=61",
        "wait=-1",
    ],
)
def test_a_malformed_parameter_is_400(client: TestClient, query: str) -> None:
    answer = client.get(f"/changes?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_number_that_was_never_given_is_the_end(client: TestClient) -> None:
    assert client.get("/changes?since=9007199254740991").json()["changes"] == []


def test_one_too_many_who_wait_are_answered_at_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_arguments: object) -> None:
        raise AssertionError("it waits")

    client = make_client(archive)
    client.app.state.viewer.followers.total_tokens = 0  # type: ignore[attr-defined]
    monkeypatch.setattr("viewer_api.routes.changes._await_changes", never)
    assert client.get("/changes?wait=60").json() == {"changes": [], "last": 0}
