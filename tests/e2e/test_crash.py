"""A listener that is killed in mid-association comes back, and nothing that it acknowledged is missing."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pacs.archive import Archive
from pacs.retrieve import find_instances, read_chunks
from tests.backends import BACKENDS, fresh_archive
from tests.datasets import CT_IMAGE_STORAGE, encode, make_dataset
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.e2e.raw_sender import RawInstance, associated, send

EXPLICIT = "1.2.840.10008.1.2.1"
BACK_WITHIN_S = 30.0


@pytest.fixture(params=BACKENDS)
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ArchiveProcess, Archive]]:
    """A running archive with two listeners, and its index and store opened beside it."""
    with fresh_archive(request.param, tmp_path) as archive:
        environment = {
            name: os.environ[name] for name in os.environ if name.startswith(("FILMLESS_", "AWS_"))
        }
        with running_up(tmp_path, {**environment, "FILMLESS_DICOM_PROCESSES": "2"}) as process:
            yield process, archive


class Modality(threading.Thread):
    """Sends images until told to stop, over a new association whenever one is lost, and keeps a ledger."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.stopped = threading.Event()
        self.acknowledged: dict[str, tuple[str, str]] = {}  # SOP Instance UID: Study Instance UID, SHA-256

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                with associated(self.port, [(CT_IMAGE_STORAGE, EXPLICIT)]) as association:
                    while not self.stopped.is_set():
                        self._send_one(association)
            except (AssertionError, OSError, RuntimeError, StopIteration):
                time.sleep(0.05)  # the listener is gone; so is what it had not acknowledged

    def _send_one(self, association: object) -> None:
        dataset = make_dataset(PixelData=random.randbytes(512))
        encoded = encode(dataset)
        instance = RawInstance(CT_IMAGE_STORAGE, dataset.SOPInstanceUID, EXPLICIT, encoded)
        if send(association, instance) == 0x0000:  # type: ignore[arg-type]
            self.acknowledged[dataset.SOPInstanceUID] = (
                dataset.StudyInstanceUID,
                hashlib.sha256(encoded).hexdigest(),
            )


def wait_until(condition: Callable[[], object], within_s: float = BACK_WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "rounds", [pytest.param(4, id="short"), pytest.param(300, id="long", marks=pytest.mark.soak)]
)
def test_a_killed_listener_comes_back_and_nothing_acknowledged_is_missing(
    running: tuple[ArchiveProcess, Archive], rounds: int
) -> None:
    process, archive = running
    modalities = [Modality(process.dicom_port) for _ in range(3)]
    for modality in modalities:
        modality.start()
    for _ in range(rounds):
        sent = sum(len(modality.acknowledged) for modality in modalities)
        wait_until(lambda sent=sent: sum(len(modality.acknowledged) for modality in modalities) > sent + 10)
        time.sleep(random.uniform(0, 0.05))
        victims = process.children("listen")
        os.kill(victims[0], signal.SIGKILL)
        wait_until(
            lambda victims=victims: (
                len(process.children("listen")) == 2 and victims[0] not in process.children("listen")
            )
        )
    for modality in modalities:
        modality.stopped.set()
        modality.join(timeout=60)
    assert "signal 9" in process.printed()
    for modality in modalities:
        for sop_instance_uid, (study_instance_uid, sha256) in modality.acknowledged.items():
            (found,) = find_instances(archive, study_instance_uid, sop_instance_uid=sop_instance_uid)
            kept = b"".join(read_chunks(archive, found))
            assert hashlib.sha256(kept[found.location.dataset_offset :]).hexdigest() == sha256
