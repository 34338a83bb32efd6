"""Studies are sent to dcmtk and to Orthanc by commands of the operator, whichever process dies meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from pacs.dimse.scu import send_instances
from tests.datasets import CT_IMAGE_STORAGE, encode_file, make_dataset
from tests.e2e.archive_process import ArchiveProcess
from tests.e2e.operator_commands import command
from tests.e2e.test_retrieving_every_file import dataset_of, free_port, storescp
from tests.orthanc import running_orthanc

HOST = "127.0.0.1"
EXPLICIT = "1.2.840.10008.1.2.1"


def store(archive: ArchiveProcess, folder: Path, count: int) -> tuple[str, dict[str, bytes]]:
    """Store a study; give its UID and the files by SOP Instance UID."""
    folder.mkdir()
    study, series = generate_uid(), generate_uid()
    files = {}
    for number in range(count):
        dataset = make_dataset(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=number)
        files[str(dataset.SOPInstanceUID)] = encode_file(dataset)
        (folder / str(number)).write_bytes(files[str(dataset.SOPInstanceUID)])
    sent = send_instances(HOST, archive.dicom_port, "FILMLESS", sorted(folder.iterdir()))
    assert {status for _, status in sent} == {0}
    return study, files


def wait_for(condition: Callable[[], object], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def jobs(archive: ArchiveProcess, study: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{archive.http_url}/send-jobs", params={"study": study})
    listed: list[dict[str, Any]] = answer.raise_for_status().json()["jobs"]
    return listed


def is_done(archive: ArchiveProcess, study: str) -> bool:
    return all(job["state"] == "done" for job in jobs(archive, study))


def test_a_study_reaches_dcmtk_and_orthanc_and_orthanc_sends_it_back(
    operated_archive: ArchiveProcess, tmp_path: Path
) -> None:
    study, files = store(operated_archive, tmp_path / "study", 5)
    port = free_port()
    modalities = {"filmless": ["FILMLESS", HOST, operated_archive.dicom_port]}
    with (
        storescp(tmp_path / "got", port) as got,
        running_orthanc(tmp_path, modalities) as orthanc,  # type: ignore[arg-type]
    ):
        command("peers", "add", "DEST", f"{HOST}:{port}", "--send-limit", "50MB", "--send-at-a-time", "2")
        command("peers", "add", "ORTHANC", f"{HOST}:{orthanc.dicom_port}")
        assert "waiting" in command("send", study, "--to", "DEST")
        command("send", study, "--to", "ORTHANC")
        wait_for(lambda: len(jobs(operated_archive, study)) == 2 and is_done(operated_archive, study))
        assert len(orthanc.ask("GET", "/instances")) == 5
        written = [path.read_bytes() for path in got.iterdir()]
        assert sorted(map(dataset_of, written)) == sorted(map(dataset_of, files.values()))
        names = orthanc.ask("GET", "/instances")
        sent = orthanc.ask("POST", "/modalities/filmless/store", {"Resources": names, "Synchronous": True})
        assert sent["FailedInstancesCount"] == 0
        told = command("jobs", "list", "--study", study, "--to", "DEST")
        assert told.split()[1:] == ["done", "5/5", "DEST", study]


@contextmanager
def slow_peer(each_s: float) -> Iterator[tuple[int, list[str]]]:
    """Takes its time for each instance: its port, and what it has answered."""
    answered: list[str] = []

    def receive(event: evt.Event) -> int:
        time.sleep(each_s)
        answered.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    entity = AE("SLOW")
    entity.add_supported_context(CT_IMAGE_STORAGE, EXPLICIT)
    server: Any = entity.start_server((HOST, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, receive)])
    yield server.socket.getsockname()[1], answered
    server.shutdown()


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_whatever_is_killed_each_instance_arrives_and_what_was_answered_is_not_sent_again(
    operated_archive: ArchiveProcess, rounds: int, tmp_path: Path
) -> None:
    study, files = store(operated_archive, tmp_path / "study", 25 * rounds)
    with slow_peer(0.1) as (port, answered):
        command("peers", "add", f"SLOW{rounds}", f"{HOST}:{port}")
        command("send", study, "--to", f"SLOW{rounds}")
        for number in range(rounds):
            had = len(answered)
            wait_for(lambda had=had: len(answered) >= had + 8)
            time.sleep(0.013 * number)
            for process in operated_archive.children("work"):
                os.kill(process, signal.SIGKILL)
        wait_for(lambda: is_done(operated_archive, study))
        times = Counter(answered)
        assert set(times) == set(files)
        # with each kill at most the one that was under way, and one whose note was not committed yet
        assert sum(times.values()) - len(files) <= 2 * rounds
        assert jobs(operated_archive, study)[0]["instances"]["sent"] == len(files)


def test_a_job_is_steered_from_the_command_line(operated_archive: ArchiveProcess, tmp_path: Path) -> None:
    study, files = store(operated_archive, tmp_path / "study", 12)
    with slow_peer(0.4) as (port, answered):
        command("peers", "add", "STEERED", f"{HOST}:{port}")
        number = command("send", study, "--to", "STEERED").split()[0]
        wait_for(lambda: answered)
        assert "paused" in command("jobs", "pause", number)
        time.sleep(2.5)  # until the worker has noticed
        had = len(answered)
        assert had < len(files)
        time.sleep(0.8)
        assert len(answered) == had
        assert "waiting" in command("jobs", "resume", "--to", "STEERED")
        wait_for(lambda: is_done(operated_archive, study))
        assert set(answered) == set(files)
        assert "12 of 12 instances sent, 0 with a warning, 0 refused" in command("jobs", "show", number)


def test_what_comes_from_a_modality_is_routed_though_the_worker_dies(
    operated_archive: ArchiveProcess, tmp_path: Path
) -> None:
    port = free_port()
    with storescp(tmp_path / "got", port) as got:
        command("peers", "add", "ROUTED", f"{HOST}:{port}")
        command("routes", "add", "ct", "--to", "ROUTED", "--modality", "CT", "--quiet", "1")
        study, files = store(operated_archive, tmp_path / "study", 3)
        for process in operated_archive.children("work"):
            os.kill(process, signal.SIGKILL)
        wait_for(lambda: jobs(operated_archive, study) and is_done(operated_archive, study))
        written = [path.read_bytes() for path in got.iterdir()]
        assert sorted(map(dataset_of, written)) == sorted(map(dataset_of, files.values()))
        assert jobs(operated_archive, study)[0]["origin"] == "route ct"
        command("routes", "remove", "ct")
