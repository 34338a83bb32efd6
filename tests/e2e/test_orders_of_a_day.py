"""An order is placed, performed and stored by other programs, and is brought together by the worker."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid

from pacs.archive import open_archive
from pacs.dicom.orders import Order, ScheduledStep
from pacs.orders import place_order
from pacs.settings import Settings
from tests.data import program
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import running_up
from tests.e2e.operator_commands import command
from tests.integration.performed_steps import begun, ended, modality, scheduled

WITHIN_S = 30.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def place(name: str, accession_number: str) -> Order:
    archive = open_archive(Settings())
    try:
        step = ScheduledStep(modality="CT", start_date="20261120")
        order = Order("BN0001", name, (step,), accession_number, patient_birth_date="19700102")
        return place_order(archive, order).order
    finally:
        archive.close()


def test_studies_come_to_their_orders_and_questions_to_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"FILMLESS_DATA_DIR": str(tmp_path / "data"), "FILMLESS_METADATA_AFTER_S": "1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with running_up(tmp_path, environment) as archive:
        order, doubtful = place("NGUYỄN^VĂN ĐỨC", "ACC1"), place("TRẦN^THỊ HOA", "ACC2")
        told = scheduled(
            StudyInstanceUID=order.study_instance_uid,
            RequestedProcedureID=order.requested_procedure_id,
            ScheduledProcedureStepID=order.steps[0].step_id,
        )
        with modality(archive.dicom_port) as device:
            assert device.create(begun(told), uid := generate_uid()).Status == 0x0000
            assert device.set(ended(), uid).Status == 0x0000
        for placed in (order, doubtful):
            file = tmp_path / f"{placed.accession_number}.dcm"
            file.write_bytes(
                encode_file(
                    make_dataset(
                        AccessionNumber=placed.accession_number, StudyInstanceUID=placed.study_instance_uid
                    )
                )
            )
            store = [program("storescu"), "-aec", "FILMLESS", "127.0.0.1", str(archive.dicom_port), str(file)]
            subprocess.run(store, check=True)

        def states() -> dict[str, str]:
            found = httpx.get(f"{archive.http_url}/matches").json()["matches"]
            return {match["accession_number"]: match["state"] for match in found}

        wait_for(lambda: states() == {"ACC1": "linked", "ACC2": "open"})
        listed = command("matches", "list")
        assert "ACC2" in listed and "other name" in listed and "HOA" not in listed
        number = listed.split()[0]
        shown = command("matches", "show", number)
        assert "TRẦN^THỊ HOA" in shown and "NGUYỄN^VĂN ĐỨC" in shown
        command("matches", "reject", number)
        assert states() == {"ACC1": "linked", "ACC2": "rejected"}
        command("matches", "link", order.study_instance_uid, "ACC2")
        assert command("matches", "list", "--state", "linked").count("linked") == 2
