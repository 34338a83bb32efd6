"""What the worker tells peers outlives it: killed before it hears an answer, it tells all of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pacs.dimse.scu import send_instances
from tests.datasets import make_dataset
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.e2e.operator_commands import finished, start
from tests.integration.notice_peers import HOST, Heard, Hearer
from tests.integration.performed_steps import begun, ended, modality, scheduled

_TOLD_WITHIN_S = 120.0


def test_a_worker_that_is_killed_while_it_tells_loses_nothing_and_mixes_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILMLESS_DATA_DIR", str(tmp_path / "data"))
    settings = {"FILMLESS_DATA_DIR": str(tmp_path / "data"), "FILMLESS_NOTIFY_AFTER_S": "0"}
    step, image = generate_uid(), make_dataset()
    hearer = Hearer()
    with running_up(tmp_path, settings) as archive, hearer.listening() as port:

        def answer(heard: Heard) -> int:
            before = [one.uid for one in hearer.heard[:-1]]
            if heard.what == "N-CREATE" and heard.uid == step and step not in before:
                kill_worker(archive)
            return 0x0111 if heard.what == "N-CREATE" and heard.uid in before else 0

        hearer.answer = answer
        wants = ("--notify-available", "--forward-performed")
        code, line = finished(start("peers", "add", "RIS", f"{HOST}:{port}", "--may", "none", *wants))
        assert code == 0 and "told of studies  gets performed steps" in line
        with modality(archive.dicom_port) as device:
            study = scheduled(StudyInstanceUID=image.StudyInstanceUID)
            assert device.create(begun(study), step).Status == 0
            sent = send_instances(HOST, archive.dicom_port, "FILMLESS", [file_of(image)])
            assert [status for _, status in sent] == [0]
            assert device.set(ended(), step).Status == 0
        wait_until(lambda: ("N-SET", step) in hearer.told() and bool(of_study(hearer, step)))
        assert [one for one in hearer.told() if one[1] == step] == [
            ("N-CREATE", step), ("N-CREATE", step), ("N-SET", step)
        ]  # fmt: skip
        assert len({one.uid for one in of_study(hearer, step)}) == 1
        wait_until(lambda: finished(start("notices", "list"))[1] == "nothing waits\n")


def of_study(hearer: Hearer, step: str) -> list[Heard]:
    return [one for one in hearer.heard if one.uid != step]


def file_of(image: Dataset) -> Dataset:
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def kill_worker(archive: ArchiveProcess) -> None:
    (worker,) = archive.children("work")
    os.kill(worker, signal.SIGKILL)


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TOLD_WITHIN_S
    while not happened():
        assert time.monotonic() < deadline, "it was never told"
        time.sleep(0.2)
