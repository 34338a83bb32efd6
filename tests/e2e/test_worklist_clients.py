"""Foreign programs ask for the worklist of orders that an operator has placed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from tests.backends import embedded
from tests.data import program
from tests.e2e import operator_commands
from tests.e2e.archive_process import ArchiveProcess, running_up

KEYS = (
    "PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "RequestedProcedureDescription",
    "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=CT1",
    "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20261123-20261124",
    "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartTime",
    "ScheduledProcedureStepSequence[0].Modality=CT",
    "ScheduledProcedureStepSequence[0].ScheduledProcedureStepID",
)  # fmt: skip


def order(*arguments: str) -> tuple[int, str]:
    return operator_commands.finished(operator_commands.start("order", *arguments))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    folder = tmp_path_factory.mktemp("archive")
    with embedded(folder) as backend, pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in backend.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        with running_up(folder, backend.environment) as running:
            yield running


@pytest.fixture(scope="module")
def placed(archive: ArchiveProcess) -> ArchiveProcess:
    """Orders as an operator places them: for CT1, for another station, of another day, and canceled."""
    for arguments in (
        (
            "--accession",
            "A1",
            "--station",
            "CT1",
            "--date",
            "20261123",
            "--time",
            "0830",
            "--code",
            "18.0192.0041",
        ),
        ("--accession", "A2", "--station", "CT2", "--date", "20261123"),
        ("--accession", "A3", "--station", "CT1", "--date", "20261201"),
        ("--accession", "A4", "--station", "CT1", "--date", "20261124"),
    ):
        code, told = order(
            "add", "--patient-id", "BN1", "--name", "ĐẶNG^THỊ MỸ LINH", "--modality", "CT", *arguments
        )
        assert (code, told) == (0, f"{arguments[1]} placed\n")
    assert order("cancel", "A4")[0] == 0
    return archive


def test_the_operator_sees_what_was_placed(placed: ArchiveProcess) -> None:
    code, told = order("list", "--station", "CT1")
    assert code == 0
    assert [line.split()[0] for line in told.splitlines()] == ["A1", "A3"]
    assert "ĐẶNG^THỊ MỸ LINH" in told
    assert '"scheme": "99BYT"' in order("show", "A1")[1]
    assert order("state", "A1", "ready")[1].split()[5] == "READY"
    assert order("cancel", "A9") == (2, "filmless: there is no such order\n")
    code, told = order("add", "--patient-id", "BN1", "--name", "A", "--modality", "CT", "--date", "2026")
    assert (code, told) == (2, "filmless: step 1: start_date: a date is YYYYMMDD\n")


def test_an_order_is_placed_from_a_file(placed: ArchiveProcess, tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(order("show", "A1")[1].replace("A1", "A5").replace("CT1", "CT9"), encoding="utf-8")
    assert order("add", "--file", str(file)) == (0, "A5 placed\n")
    assert order("add", "--file", str(file)) == (0, "A5 there already\n")


def answers_of(command: list[str], archive: ArchiveProcess, folder: Path) -> list[Dataset]:
    keys = [part for key in KEYS for part in ("-k", key)]
    address = ["127.0.0.1", str(archive.dicom_port)]
    options = ["-W", "-aet", "CT1", "-aec", "FILMLESS"]
    subprocess.run(
        [*command, *options, *keys, *address], cwd=folder, check=True, timeout=60, capture_output=True
    )
    return [dcmread(path, force=True) for path in sorted(folder.glob("rsp*.dcm"))]


@pytest.mark.parametrize("client", ["dcmtk", "pynetdicom"])
def test_a_modality_gets_its_work_of_the_day(client: str, placed: ArchiveProcess, tmp_path: Path) -> None:
    commands = {
        "dcmtk": [program("findscu"), "-X"],
        "pynetdicom": [sys.executable, "-m", "pynetdicom", "findscu", "-w"],
    }
    (answer,) = answers_of(commands[client], placed, tmp_path)
    assert str(answer.PatientName) == "ĐẶNG^THỊ MỸ LINH"
    assert (answer.AccessionNumber, answer.PatientID) == ("A1", "BN1")
    assert answer.StudyInstanceUID.startswith("2.25.")
    assert answer.RequestedProcedureDescription
    (step,) = answer.ScheduledProcedureStepSequence
    assert (step.ScheduledStationAETitle, step.ScheduledProcedureStepStartTime) == ("CT1", "083000")
    assert (step.ScheduledProcedureStepID, step.Modality) == ("A1", "CT")
