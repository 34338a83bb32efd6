"""Orders over HTTP, as a hospital's information system places them."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.dicom.order_values import to_plain
from tests.made_orders import ORDER
from tests.unit.viewer_api.conftest import make_client

FULL = {**to_plain(ORDER)}
STEP = {key: value for key, value in FULL["steps"][0].items() if key != "state"}
FULL["steps"] = [STEP]
SMALL: dict[str, Any] = {
    "patient_id": "BN1",
    "patient_name": "ĐỖ^VĂN AN",
    "steps": [{"modality": "CT", "start_date": "20261123"}],
}

THREE = (("A1", "CT", ["CT1"], 24), ("A2", "MR", ["MR1"], 23), ("A3", "CT", [], 25))


@pytest.fixture
def web(archive: Archive) -> TestClient:
    return make_client(archive)


def test_an_order_is_placed_read_replaced_and_canceled(web: TestClient) -> None:
    placed = web.post("/orders", json=FULL)
    assert placed.status_code == 201
    assert placed.headers["Location"] == "/orders/XQ261123042"
    told = web.get("/orders/XQ261123042")
    assert told.json() == placed.json()
    assert {name: told.json()[name] for name in FULL if name != "steps"} == {
        name: value for name, value in FULL.items() if name != "steps"
    }
    assert told.json()["steps"] == [{**STEP, "step_id": "XQ261123042", "state": "SCHEDULED"}]
    body = {name: value for name, value in FULL.items() if name != "accession_number"}
    replaced = web.put("/orders/XQ261123042", json={**body, "reason": "khác"})
    assert (replaced.status_code, replaced.json()["reason"], replaced.headers["ETag"]) == (200, "khác", '"2"')
    canceled = web.delete("/orders/XQ261123042")
    assert [step["state"] for step in canceled.json()["steps"]] == ["CANCELED"]
    assert web.get("/orders/XQ261123042").json()["version"] == 3


def test_the_same_order_again_is_no_new_one(web: TestClient) -> None:
    order = {**SMALL, "placer_order_number": "HIS-7"}
    first, second = web.post("/orders", json=order), web.post("/orders", json=order)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.json()["accession_number"] == "HIS-7"
    assert web.get("/orders").json()["orders"] == [first.json()]


def test_a_national_code_needs_its_value_only(web: TestClient) -> None:
    told = web.post("/orders", json={**SMALL, "procedure_codes": [{"value": "18.0192.0041"}]}).json()
    assert told["procedure_codes"][0]["scheme"] == "99BYT"
    assert told["description"] == told["procedure_codes"][0]["meaning"]
    unknown = web.post("/orders", json={**SMALL, "procedure_codes": [{"value": "X1"}]})
    assert unknown.status_code == 400


def test_states_are_moved_and_impossible_ones_refused(web: TestClient) -> None:
    web.put("/orders/A/1", json=SMALL)  # an accession number may have a slash
    moved = web.post("/orders/A/1/state", json={"state": "STARTED", "step_id": "A/1"})
    assert [step["state"] for step in moved.json()["steps"]] == ["STARTED"]
    assert web.delete("/orders/A/1").status_code == 409
    assert web.post("/orders/A/1/state", json={"state": "COMPLETED"}).status_code == 200
    assert web.post("/orders/A/1/state", json={"state": "DONE"}).status_code == 400
    assert web.post("/orders/A/1/state", json={"state": "READY", "step_id": "x"}).status_code == 404
    assert web.post("/orders/A2/state", json={"state": "READY"}).status_code == 404


def test_who_names_another_version_changes_nothing(web: TestClient) -> None:
    etag = web.put("/orders/A1", json=SMALL).headers["ETag"]
    assert web.put("/orders/A1", json={**SMALL, "reason": "x"}, headers={"If-Match": etag}).status_code == 200
    for change in (
        web.put("/orders/A1", json=SMALL, headers={"If-Match": etag}),
        web.post("/orders/A1/state", json={"state": "READY"}, headers={"If-Match": etag}),
        web.delete("/orders/A1", headers={"If-Match": etag}),
        web.delete("/orders/A1", headers={"If-Match": "W/x"}),
    ):
        assert change.status_code == 412
        assert change.headers["Content-Type"] == "application/problem+json"
    assert web.get("/orders/A1").json()["version"] == 2


def test_orders_are_listed_by_what_they_are_of(web: TestClient) -> None:
    for number, modality, stations, day in THREE:
        step = {"modality": modality, "start_date": f"202611{day}", "station_ae_titles": stations}
        web.put(f"/orders/{number}", json={**SMALL, "patient_id": f"P{number}", "steps": [step]})
    web.delete("/orders/A3")

    def found(**params: Any) -> list[str]:
        answer = web.get("/orders", params=params).json()
        return [order["accession_number"] for order in answer["orders"]]

    assert found() == ["A2", "A1"]
    assert found(ended=True) == ["A2", "A1", "A3"]
    assert found(step_state=["CANCELED", "READY"]) == ["A3"]
    assert found(station="CT1", ended=True) == ["A1", "A3"]
    assert found(modality="CT") == ["A1"]
    assert found(start_date="20261123-20261124") == ["A2", "A1"]
    assert found(patient_name="an do") == ["A2", "A1"]
    assert found(patient_id="PA2") == ["A2"]
    assert found(limit=1, offset=1) == ["A1"]
    assert web.get("/orders", params={"limit": 1}).json()["truncated"]
    assert web.get("/orders", params={"start_date": "today"}).status_code == 400
    assert web.get("/orders", params={"patient_id": "a\0"}).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"patient_name": ""},
        {"patient_id": "x" * 65},
        {"patient_birth_date": "1990-01-01"},
        {"steps": []},
        {"steps": [{"modality": "CT", "start_date": "tomorrow"}]},
        {"steps": [{"modality": "CT", "start_date": "20261123", "state": "COMPLETED"}]},
        {"reason": "a\0b"},
        {"no_such": 1},
        {"pregnancy_status": 9},
    ],
)
def test_what_is_no_order_is_refused_in_problem_details(web: TestClient, changes: dict[str, Any]) -> None:
    answer = web.post("/orders", json={**SMALL, **changes})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "AN" not in answer.json().get("detail", "")
    assert web.get("/orders").json()["orders"] == []


def test_numbers_that_cannot_be_are_not_looked_for(web: TestClient) -> None:
    for number in ("%00", "A%5CB", "x" * 17):
        assert web.get(f"/orders/{number}").status_code == 400
    assert web.get("/orders/unknown").status_code == 404


def test_an_order_whose_number_has_letters_of_the_country_is_read_moved_and_canceled(web: TestClient) -> None:
    placed = web.post("/orders", json={**SMALL, "accession_number": "CĐ-42"})
    path = placed.headers["Location"]
    assert web.get(path).json() == placed.json()
    assert web.post(f"{path}/state", json={"state": "ARRIVED"}).status_code == 200
    assert web.put(path, json={**SMALL, "reason": "ho"}).json()["reason"] == "ho"
    assert web.delete(path).json()["steps"][0]["state"] == "CANCELED"


def test_a_body_without_end_is_not_read_to_it(web: TestClient) -> None:
    def endless() -> Any:
        for _ in range(40):
            yield b" " * 65536

    for content in (b" " * 2_000_000, endless()):
        answer = web.post("/orders", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
