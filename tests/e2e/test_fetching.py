"""Orthanc as another archive: studies are fetched from it and sent to it, by DICOM and by DICOMweb."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.uid import generate_uid

from tests.data import require
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import ArchiveProcess
from tests.e2e.operator_commands import command
from tests.orthanc import Orthanc, running_orthanc

HOST = "127.0.0.1"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@pytest.fixture(scope="module")
def both(
    operated_archive: ArchiveProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ArchiveProcess, Orthanc]]:
    require(PLUGIN.exists(), "the DICOMweb plugin of Orthanc")
    modalities = {"filmless": ["FILMLESS", HOST, operated_archive.dicom_port]}
    more = {"Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True}}
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), modalities, more) as orthanc:
        yield operated_archive, orthanc


def put(orthanc: Orthanc, count: int, **attributes: str) -> str:
    """Put a study of two series into Orthanc; give its UID."""
    study, series = generate_uid(), [generate_uid(), generate_uid()]
    for number in range(count):
        dataset = make_dataset(StudyInstanceUID=study, SeriesInstanceUID=series[number % 2], **attributes)
        orthanc.ask("POST", "/instances", encode_file(dataset))
    return study


def number_here(archive: ArchiveProcess, study: str) -> int:
    answer = httpx.get(f"{archive.http_url}/dicom-web/studies/{study}/instances")
    return 0 if answer.status_code == 204 else len(answer.json())


def job(archive: ArchiveProcess, study: str) -> Any:
    return httpx.get(f"{archive.http_url}/send-jobs", params={"study": study}).json()["jobs"][0]


def wait_until_done(archive: ArchiveProcess, study: str) -> None:
    deadline = time.monotonic() + 60
    while job(archive, study)["state"] != "done":
        assert time.monotonic() < deadline, json.dumps(job(archive, study))
        time.sleep(0.2)


def test_studies_go_to_and_fro_by_dicom_and_by_dicomweb(both: tuple[ArchiveProcess, Orthanc]) -> None:
    archive, orthanc = both
    address = f"{HOST}:{orthanc.dicom_port}"
    command("peers", "add", "ORTHANC", address, "--ask-commitment", "--may", "all")
    command("peers", "add", "WEB", "--web", f"{orthanc.http_url}/dicom-web")
    got, moved, over_http = (put(orthanc, 4) for _ in range(3))
    told = command("fetch", "ORTHANC", "--study", got)
    assert "1 studies: 4 instances fetched, 0 were here already, 0 failed" in told
    assert "4 instances fetched" in command("fetch", "ORTHANC", "--study", moved, "--by", "move")
    assert "4 instances fetched" in command("fetch", "WEB", "--study", over_http)
    assert [number_here(archive, study) for study in (got, moved, over_http)] == [4, 4, 4]
    for name in orthanc.ask("GET", "/studies"):
        orthanc.ask("DELETE", f"/studies/{name}")
    command("send", got, "--to", "ORTHANC")  # it is asked whether all is safe there
    command("send", moved, "--to", "WEB")
    for study in (got, moved):
        wait_until_done(archive, study)
    assert len(orthanc.ask("GET", "/instances")) == 8


@pytest.mark.soak  # half a minute; tests/integration/test_prefetching.py has the parts of it
def test_priors_come_from_another_archive_when_an_examination_is_ordered_though_the_worker_dies(
    both: tuple[ArchiveProcess, Orthanc],
) -> None:
    archive, orthanc = both
    known = {"PatientID": "BN77", "PatientName": "DUC^NGUYEN VAN", "PatientBirthDate": "19700101"}
    old, new = (put(orthanc, 100, **known, StudyDate=f"202{year}0101") for year in (0, 5))
    other = put(orthanc, 1, **{**known, "PatientName": "TRAN^THI HOA"}, StudyDate="20260101")
    command("peers", "add", "OLD", f"{HOST}:{orthanc.dicom_port}")
    command("routes", "add", "old", "--fetch-from", "OLD", "--priors", "5", "--quiet", "0")
    order = {
        "patient_id": "BN77",
        "patient_name": "Nguyễn^Văn Đức",
        "patient_birth_date": "19700101",
        "accession_number": "A77",
        "steps": [{"modality": "CT", "start_date": f"{datetime.now():%Y%m%d}", "start_time": "0800"}],
    }
    httpx.post(f"{archive.http_url}/orders", json=order).raise_for_status()
    deadline = time.monotonic() + 60
    while not number_here(archive, new):
        assert time.monotonic() < deadline
    for process in archive.children("work"):
        os.kill(process, signal.SIGKILL)
    assert number_here(archive, new) + number_here(archive, old) < 200
    while "done" not in command("prefetches", "list"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [number_here(archive, study) for study in (new, old, other)] == [100, 100, 0]
    told = command("prefetches", "list")
    assert "2 studies, 200 instances  1 studies of this ID are of another person" in told
