"""Matches of studies and orders over HTTP: to be read by all, decided where the settings allow it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacs.archive import Archive
from pacs.dicom.orders import Order, ScheduledStep
from pacs.ingest import IncomingInstance, Origin, store_instance
from pacs.order_matching import match_study
from pacs.orders import place_order
from tests.datasets import encode, make_dataset
from tests.unit.viewer_api.conftest import empty_archive, make_client

EXPLICIT = "1.2.840.10008.1.2.1"


def doubtful(archive: Archive) -> str:
    """Store a study that names an order, and another patient; give its UID."""
    dataset = make_dataset(PatientName="TRẦN^THỊ HOA")
    incoming = IncomingInstance(EXPLICIT, dataset.SOPClassUID, dataset.SOPInstanceUID, [encode(dataset)])
    store_instance(archive, incoming, Origin("dimse", "CT"))
    step = ScheduledStep(modality="CT", start_date="20261120")
    order = Order(patient_id="BN0001", patient_name="NGUYỄN^VĂN ĐỨC", accession_number="ACC1", steps=(step,))
    place_order(archive, order)
    match_study(archive, dataset.StudyInstanceUID)
    return str(dataset.StudyInstanceUID)


def test_a_match_is_read_compared_and_decided(tmp_path: Path) -> None:
    with empty_archive(tmp_path, allow_match_decisions=True) as archive:
        study = doubtful(archive)
        client = make_client(archive)
        (match,) = client.get("/matches?state=open").json()["matches"]
        assert (match["study_instance_uid"], match["accession_number"]) == (study, "ACC1")
        assert (match["certainty"], "other name" in match["reasons"]) == ("probable", True)
        path = f"/matches/{match['match_id']}"
        compared = {one["name"]: one for one in client.get(path).json()["compared"]}
        assert compared["patient_name"] == {
            "name": "patient_name", "study": "TRẦN^THỊ HOA", "order": "NGUYỄN^VĂN ĐỨC", "agrees": False,
        }  # fmt: skip
        assert client.put(path, json={"decision": "accepted"}).json()["state"] == "linked"
        assert client.get("/matches?state=open").json() == {"matches": []}
        assert client.put(path, json={"decision": "rejected"}).json()["state"] == "rejected"
        found = client.get(f"/matches?study_instance_uid={study}&accession_number=ACC1").json()
        assert [one["match_id"] for one in found["matches"]] == [match["match_id"]]
        assert "HOA" not in client.get("/matches").text


def test_matches_are_not_decided_unless_the_settings_allow_it(tmp_path: Path) -> None:
    with empty_archive(tmp_path) as archive:
        doubtful(archive)
        client = make_client(archive)
        (match,) = client.get("/matches").json()["matches"]
        answer = client.put(f"/matches/{match['match_id']}", json={"decision": "accepted"})
        assert answer.status_code == 403 and "ALLOW_MATCH_DECISIONS" in answer.json()["detail"]
        assert client.get("/matches").json()["matches"] == [match]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/matches/7", None, 404),
        ("GET", "/matches/0", None, 400),
        ("GET", "/matches?state=other", None, 400),
        ("PUT", "/matches/7", {"decision": "accepted"}, 404),
        ("PUT", "/matches/7", {"decision": "perhaps"}, 400),
        ("PUT", "/matches/7", {}, 400),
    ],
)
def test_what_is_not_there_or_no_question_is_refused(
    tmp_path: Path, method: str, path: str, body: dict[str, str] | None, status: int
) -> None:
    with empty_archive(tmp_path, allow_match_decisions=True) as archive:
        assert make_client(archive).request(method, path, json=body).status_code == status
