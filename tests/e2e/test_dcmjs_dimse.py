"""dcmjs-dimse (npm), a DIMSE implementation of its own: echo, store, find, get, and move to itself."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.data import program
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import ArchiveProcess
from tests.e2e.npm_packages import install_package
from tests.e2e.operator_commands import finished, start
from tests.servers import free_ports

VERSION = "0.3.3"
SCRIPT = Path(__file__).with_name("dcmjs_dimse_client.cjs")
STUDY_UID, SERIES_UID = generate_uid(), generate_uid()


@pytest.fixture(scope="module")
def study() -> list[Dataset]:
    return [
        make_dataset(
            StudyInstanceUID=STUDY_UID, SeriesInstanceUID=SERIES_UID, PatientName="NGUYEN^VAN NODE",
            InstanceNumber=number, Rows=300, Columns=300, PixelData=bytes([number]) * 180_000,
        )
        for number in (1, 2, 3)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def report(
    running_archive: ArchiveProcess, study: list[Dataset], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """What the client was told, in the order of its operations."""
    folder = tmp_path_factory.mktemp("npm")
    modules = install_package("dcmjs-dimse", VERSION, folder)
    for number, dataset in enumerate(study):
        (folder / f"{number}.dcm").write_bytes(encode_file(dataset, ExplicitVRLittleEndian))
    (own_port,) = free_ports(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FILMLESS_DATA_DIR", str(running_archive.data_dir))
        assert finished(start("peers", "add", "NODE", f"127.0.0.1:{own_port}", "--may", "all"))[0] == 0
    wishes = {
        "archivePort": running_archive.dicom_port,
        "ownPort": own_port,
        "files": [str(folder / f"{number}.dcm") for number in range(len(study))],
        "study": STUDY_UID,
        "user": "somebody",
    }
    done = subprocess.run(
        [program("node"), str(SCRIPT), json.dumps(wishes)],
        env={**os.environ, "NODE_PATH": str(modules)}, capture_output=True, check=False, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


def test_it_is_heard_and_stores(report: Any) -> None:
    assert [one["status"] for one in report["echo"]] == ["success"]
    assert [one["status"] for one in report["store"]] == ["success"] * 3


def test_it_finds_the_study(report: Any) -> None:
    found, last = report["find"]
    assert found["status"] == "pending"
    assert last["status"] == "success"
    assert "NGUYEN^VAN NODE" in json.dumps(found["name"])
    assert int(found["instances"]) == 3


def test_it_gets_and_is_moved_the_same_pixels(report: Any, study: list[Dataset]) -> None:
    expected = {one.SOPInstanceUID: hashlib.sha256(one.PixelData).hexdigest() for one in study}
    for stored in (report["get"]["stored"], report["moved"]):
        assert {one["uid"]: one["sha256"] for one in stored} == expected
    for answers in (report["get"]["answers"][0], report["move"]):
        assert (answers[-1]["status"], answers[-1]["counts"]) == ("success", [3, 0])
        assert {one["status"] for one in answers[:-1]} <= {"pending"}


def test_it_is_let_in_with_a_user_of_whom_nobody_knows(report: Any) -> None:
    """Without logins an identity is passed over: `pacs.dimse.user_identity`."""
    assert [one["status"] for one in report["identified"]] == ["success"]
