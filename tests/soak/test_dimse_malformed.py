"""Associations that are damaged in every way: the listener outlives them, and serves the next one at once."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from pacs.dimse.scu import verify
from tests.datasets import encode, make_dataset
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.e2e.raw_sender import RawInstance
from tests.integration.dimse_peers import HOST
from tests.soak.modality import SUCCESS, OpenAssociation, make_images
from tests.soak.recording import Mutator, record_association
from tests.soak.watched import Watched

Count = Callable[[str, object], None]

_HANG_S = 5.0
_BATCH = 100
_AT_ONCE = 4
_POOLED = 8  # descriptors of the index's connections and of packs, which are opened when they are needed
_MAX_GROWTH_BYTES = 64_000_000


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    folder = tmp_path_factory.mktemp("malformed")
    settings = {"FILMLESS_DATA_DIR": str(folder / "data"), "FILMLESS_DICOM_PROCESSES": "1"}
    with running_up(folder, settings) as archive:
        yield archive


@pytest.fixture(scope="module")
def recording(archive: ArchiveProcess) -> list[bytes]:
    dataset = make_dataset(SOPInstanceUID=generate_uid(), Rows=64, Columns=64, PixelData=bytes(8192))
    instance = RawInstance(
        str(CTImageStorage), dataset.SOPInstanceUID, str(ExplicitVRLittleEndian), encode(dataset)
    )
    return record_association(archive.dicom_port, instance)


@dataclass(slots=True)
class Slowest:
    """The longest time that a damaged association took until the listener had closed it."""

    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, seconds: float) -> None:
        with self.lock:
            self.seconds = max(self.seconds, seconds)


def _say(port: int, data: bytes, slowest: Slowest) -> None:
    """Say it all and hang up; the listener has to hang up too, whatever it thinks of it."""
    begin = time.monotonic()
    connecting = socket.create_connection((HOST, port), timeout=_HANG_S)
    with connecting as connection, contextlib.suppress(ConnectionError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    slowest.note(time.monotonic() - begin)


@pytest.mark.parametrize(
    "inputs", [pytest.param(300, id="short"), pytest.param(100_000, id="long", marks=pytest.mark.soak)]
)
def test_a1_a2_a6_a7_damaged_associations_are_survived_and_the_next_store_succeeds(
    archive: ArchiveProcess, recording: list[bytes], inputs: int, record_property: Count
) -> None:
    (pid,) = archive.children("listen")
    listener = Watched(pid)
    verify(HOST, archive.dicom_port, archive.ae_title)
    mutator, images, slowest = Mutator(recording, seed=inputs), make_images(16), Slowest()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number in range(inputs // _BATCH):
            if number == 1:  # now it is warm
                base, before_bytes = listener.held, listener.resident_bytes
            batch = [mutator.mutated() for _ in range(_BATCH)]
            list(pool.map(lambda data: _say(archive.dicom_port, data, slowest), batch))
            with OpenAssociation(archive.dicom_port, {}) as association:
                assert association.send(next(images)) == SUCCESS
    held = listener.wait_until_held(lambda held: held.threads <= base.threads)
    growth_bytes = listener.resident_bytes - before_bytes
    record_property("inputs", inputs)
    record_property("valid stores between", inputs // _BATCH)
    record_property("slowest", f"{slowest.seconds:.2f} s")
    record_property("growth", f"{growth_bytes / 1e6:.1f} MB")
    assert archive.children("listen") == [pid], "it was started again"
    assert held.descriptors <= base.descriptors + _POOLED
    assert growth_bytes < _MAX_GROWTH_BYTES
    assert slowest.seconds < _HANG_S
    assert "Traceback" not in archive.printed()


def test_the_recorded_association_is_sound(archive: ArchiveProcess, recording: list[bytes]) -> None:
    """Otherwise nothing would be shown by damaging it."""
    with socket.create_connection((HOST, archive.dicom_port), timeout=_HANG_S) as connection:
        connection.sendall(b"".join(recording))
        heard = b""
        while part := connection.recv(65536):
            heard += part
    kinds = []
    while heard:
        kinds.append(heard[0])
        heard = heard[6 + int.from_bytes(heard[2:6], "big") :]
    assert kinds == [2, 4, 6]
