"""Orthanc stores, asks for commitment, and is told; whichever of our processes dies meanwhile (PS3.4 J)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, generate_uid

from pacs.peers import KEPT_FOR_S
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.e2e.operator_commands import finished, start
from tests.orthanc import Orthanc, running_orthanc

_TOLD_WITHIN_S = 60.0


@contextmanager
def both(tmp_path: Path) -> Iterator[tuple[ArchiveProcess, Orthanc]]:
    with (
        pytest.MonkeyPatch.context() as environment,
        running_up(tmp_path, {"FILMLESS_DATA_DIR": str(tmp_path / "data")}) as archive,
        running_orthanc(tmp_path, {"filmless": ["FILMLESS", "127.0.0.1", archive.dicom_port]}) as orthanc,
    ):
        address = f"127.0.0.1:{orthanc.dicom_port}"
        environment.setenv("FILMLESS_DATA_DIR", str(tmp_path / "data"))
        assert finished(start("peers", "add", "ORTHANC", address, "--may", "all"))[0] == 0
        time.sleep(KEPT_FOR_S + 1)  # until each listener has read the table again
        yield archive, orthanc


def store(orthanc: Orthanc, count: int) -> list[dict[str, str]]:
    """Have Orthanc store a series with us; give what it is to ask about."""
    names, asked = [], []
    study = make_dataset()
    for _ in range(count):
        study.SOPInstanceUID = generate_uid()
        names.append(orthanc.ask("POST", "/instances", encode_file(study))["ID"])
        asked.append({"SOPClassUID": str(study.SOPClassUID), "SOPInstanceUID": str(study.SOPInstanceUID)})
    orthanc.ask("POST", "/modalities/filmless/store", {"Resources": names, "Synchronous": True})
    return asked


def request(orthanc: Orthanc, asked: list[dict[str, str]]) -> str:
    answer = orthanc.ask("POST", "/modalities/filmless/storage-commitment", {"DicomInstances": asked})
    return str(answer["ID"])


def outcome(orthanc: Orthanc, transaction: str) -> Any:
    deadline = time.monotonic() + _TOLD_WITHIN_S
    while (told := orthanc.ask("GET", f"/storage-commitment/{transaction}"))["Status"] == "Pending":
        assert time.monotonic() < deadline, "it was never told"
        time.sleep(0.2)
    return told


def test_orthanc_is_told_what_is_stored_and_what_is_not(tmp_path: Path) -> None:
    with both(tmp_path) as (_, orthanc):
        asked = store(orthanc, 5)
        assert outcome(orthanc, request(orthanc, asked))["Status"] == "Success"
        unknown = {"SOPClassUID": str(CTImageStorage), "SOPInstanceUID": generate_uid()}
        told = outcome(orthanc, request(orthanc, [*asked, unknown]))
        assert told["Status"] == "Failure"
        assert [one["SOPInstanceUID"] for one in told["Failures"]] == [unknown["SOPInstanceUID"]]
        assert len(told["Success"]) == 5


@pytest.mark.parametrize("rounds", [2, pytest.param(40, marks=pytest.mark.soak)])
def test_whatever_is_killed_the_device_is_told_in_the_end_and_never_what_is_not_so(
    rounds: int, tmp_path: Path
) -> None:
    with both(tmp_path) as (archive, orthanc):
        asked = store(orthanc, 3)
        unknown = {"SOPClassUID": str(CTImageStorage), "SOPInstanceUID": generate_uid()}
        for number in range(rounds):
            expected, extra = ("Success", []) if number % 2 else ("Failure", [unknown])
            transaction = request(orthanc, [*asked, *extra])
            time.sleep(0.05 * (number % 40))
            for command in ("work", "listen"):
                for process in archive.children(command):
                    os.kill(process, signal.SIGKILL)
            told = outcome(orthanc, transaction)
            assert told["Status"] == expected
            assert len(told["Success"]) == 3
            wait_for_the_door(archive, orthanc)


def wait_for_the_door(archive: ArchiveProcess, orthanc: Orthanc) -> None:
    deadline = time.monotonic() + _TOLD_WITHIN_S
    while len(archive.children("listen")) < 2 or not _is_heard(orthanc):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _is_heard(orthanc: Orthanc) -> bool:
    try:
        orthanc.ask("POST", "/modalities/filmless/echo", {})
    except Exception:  # Orthanc answers 500
        return False
    return True
