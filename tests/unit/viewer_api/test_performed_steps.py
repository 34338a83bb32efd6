"""What modalities said of their work, over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from pacs.performed_steps import Said, create_step, set_step
from tests.datasets import encode
from tests.integration.performed_steps import begun, ended, scheduled
from tests.unit.viewer_api.conftest import empty_archive, make_client

EXPLICIT = "1.2.840.10008.1.2.1"


def test_steps_are_listed_and_told_whole(tmp_path: Path) -> None:
    first, second, study = generate_uid(), generate_uid(), generate_uid()
    with empty_archive(tmp_path) as archive:
        create_step(archive, Said(first, EXPLICIT, encode(begun(scheduled(StudyInstanceUID=study))), "CT"))
        create_step(archive, Said(second, EXPLICIT, encode(begun(PatientID="BN2")), "CT"))
        set_step(archive, Said(first, EXPLICIT, encode(ended()), "CT"))
        client = make_client(archive)

        def listed(query: str) -> list[str]:
            found = client.get(f"/performed-steps?{query}").json()["performed_steps"]
            return [one["sop_instance_uid"] for one in found]

        assert listed("") == [second, first]
        assert listed("limit=1") == [second]
        assert listed("status=COMPLETED") == listed(f"study_instance_uid={study}") == [first]
        assert listed("patient_id=BN2") == [second]
        assert listed("accession_number=ACC1") == [second, first]
        assert listed("accession_number=ACC2") == []
        told = client.get(f"/performed-steps/{first}").json()
    assert (told["status"], told["patient_name"], told["end_time"]) == (
        "COMPLETED",
        "NGUYỄN^VĂN ĐỨC",
        "083000",
    )
    assert told["series_instance_uids"] == ["1.2.3.4"]
    assert told["scheduled"][0]["scheduled_procedure_step_id"] == "SPS1"
    assert [message["calling_ae_title"] for message in told["messages"]] == ["CT", "CT"]
    assert told["dataset"]["00400252"] == {"vr": "CS", "Value": ["COMPLETED"]}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/1.2.3", 404),
        ("/x", 404),
        ("?status=RUNNING", 400),
        ("?limit=0", 400),
        ("?patient_id=" + "x" * 65, 400),
    ],
)
def test_what_is_not_there_or_no_question_is_refused(tmp_path: Path, path: str, status: int) -> None:
    with empty_archive(tmp_path) as archive:
        assert make_client(archive).get(f"/performed-steps{path}").status_code == status
