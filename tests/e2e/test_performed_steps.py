"""Modalities tell what they do to an archive of real processes, which die under them (PS3.4 F.7)."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.uid import generate_uid

from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.e2e.operator_commands import command
from tests.integration.performed_steps import begun, ended, modality

KILLS = 4
HEARD_WITHIN_S = 30.0


class _Device(threading.Thread):
    """Performs one step after the other, and says everything until it has an answer, as devices do."""

    def __init__(self, archive: ArchiveProcess, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.archive, self.stop = archive, stop
        self.acknowledged: dict[str, str] = {}  # status by UID of the step
        self.refused: list[int] = []

    def run(self) -> None:
        while not self.stop.is_set():
            uid = generate_uid()
            self._say("create", begun(), uid, "IN PROGRESS")
            self._say("set", ended(), uid, "COMPLETED")

    def _say(self, what: str, dataset: Any, uid: str, status: str) -> None:
        deadline = time.monotonic() + HEARD_WITHIN_S
        while time.monotonic() < deadline:
            with suppress(AssertionError, AttributeError, RuntimeError, ValueError):
                with modality(self.archive.dicom_port) as device:
                    answer = int(getattr(device, what)(dataset, uid).Status)
                if answer:
                    self.refused.append(answer)
                else:
                    self.acknowledged[uid] = status
                    return
            time.sleep(0.05)


def test_what_was_acknowledged_survives_a_kill_of_the_listener(tmp_path: Path) -> None:
    stop = threading.Event()
    with running_up(tmp_path, {"FILMLESS_DATA_DIR": str(tmp_path / "data")}) as archive:
        device = _Device(archive, stop)
        device.start()
        for _ in range(KILLS):
            before = len(device.acknowledged)
            deadline = time.monotonic() + HEARD_WITHIN_S
            while len(device.acknowledged) < before + 2:
                assert time.monotonic() < deadline, archive.printed()
                time.sleep(0.01)
            for process in archive.children("listen"):
                os.kill(process, signal.SIGKILL)
        stop.set()
        device.join(HEARD_WITHIN_S)
        assert device.refused == []
        assert len(device.acknowledged) >= 2 * KILLS
        told = {
            uid: httpx.get(f"{archive.http_url}/performed-steps/{uid}").json() for uid in device.acknowledged
        }
        listed = _filmless(archive, "performed", "list")
        shown = _filmless(archive, "performed", "show", next(iter(device.acknowledged)))
    assert {uid: one["status"] for uid, one in told.items()} == device.acknowledged
    assert all(uid in listed for uid in device.acknowledged)
    assert "NGUYỄN" not in listed
    assert all(words in shown for words in ("NGUYỄN^VĂN ĐỨC", "COMPLETED", "ACC1", "1 images", "N-SET"))


def _filmless(archive: ArchiveProcess, *arguments: str) -> str:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FILMLESS_DATA_DIR", str(archive.data_dir))
        return command(*arguments)
