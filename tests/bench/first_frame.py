"""How long the first picture of a large multi-frame object on S3 takes, and how much of it is read."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import urlsplit

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from pacs.dimse.requestor import Peer
from tests.bench.corpus import CT, BodyCorpus, Instance, Kind
from tests.bench.http_client import Connection, get
from tests.bench.senders import OpenSender
from tests.datasets import encode, make_dataset
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.servers import seaweedfs
from tests.tcp_gate import TcpGate, gate_before

FRAMES: Final = 1000
_ENHANCED: Final = Kind("enhanced CT", "CT", EnhancedCTImageStorage, 512, 512)
_STUDY, _SERIES = generate_uid(entropy_srcs=["first frame"]), generate_uid(entropy_srcs=["first frame", "1"])
_BUCKET: Final = "bench"
_WARM_UPS: Final = 12  # until both web processes have spoken to S3


@dataclass(frozen=True, slots=True)
class FirstFrames:
    """What pictures of an object took that no process had read anything of, and of others of its frames."""

    object_size_bytes: int
    first_ms: list[float]
    first_read_bytes: list[int]
    next_ms: list[float]
    next_read_bytes: list[int]


def measure_first_frame(repetitions: int, tell: Callable[[str], None]) -> FirstFrames:
    """Ask for frames of objects of 1,000 frames, one after the other, over one connection."""
    measured = FirstFrames(0, [], [], [], [])
    size_bytes = 0
    with seaweedfs() as s3, gate_before("127.0.0.1", s3.ports["s3"]) as gate, _folder() as folder:
        url = s3.store_url(_BUCKET).replace(str(s3.ports["s3"]), str(gate.port))
        environment = {
            **s3.environment,
            "FILMLESS_DATA_DIR": str(Path(folder) / "data"),
            "FILMLESS_STORE_URL": url,
            "FILMLESS_STORE_DURABLE": "true",
            "FILMLESS_HTTP_PROCESSES": "2",
            "FILMLESS_METADATA_AFTER_S": "3600",  # the worker shall not read it meanwhile
        }
        with running_up(Path(folder), environment) as archive:
            _warm_up(archive)
            for number in range(repetitions):
                tell(f"first frame, repetition {number + 1} of {repetitions}")
                instance = _make_enhanced(number)
                size_bytes = instance.size_bytes
                _send(archive, _ENHANCED, [instance])
                _measure(archive, gate, instance, measured)
    return FirstFrames(
        size_bytes,
        measured.first_ms,
        measured.first_read_bytes,
        measured.next_ms,
        measured.next_read_bytes,
    )


def _measure(archive: ArchiveProcess, gate: TcpGate, instance: Instance, measured: FirstFrames) -> None:
    address = f"/dicom-web/studies/{_STUDY}/series/{_SERIES}/instances/{instance.sop_instance_uid}"
    port = urlsplit(archive.http_url).port
    assert port is not None
    connection = Connection(port)
    for frame, times, sizes in (
        (FRAMES // 2, measured.first_ms, measured.first_read_bytes),
        (FRAMES // 2 + 1, measured.next_ms, measured.next_read_bytes),
        (FRAMES, measured.next_ms, measured.next_read_bytes),
    ):
        request = get(f"{address}/frames/{frame}/rendered", f"127.0.0.1:{port}", "image/jpeg", "identity")
        before, begin_s = gate.received_bytes, time.monotonic()
        connection.exchange(request)
        times.append(1000 * (time.monotonic() - begin_s))
        sizes.append(gate.received_bytes - before)
    connection.close()


def _warm_up(archive: ArchiveProcess) -> None:
    """Have both web processes open their connections, for images of another kind."""
    instances = list(BodyCorpus().study(CT, 3301, _WARM_UPS))
    _send(archive, CT, instances)
    port = urlsplit(archive.http_url).port
    assert port is not None
    for instance in instances:
        path = f"/wado?requestType=WADO&studyUID={_uid('study')}&seriesUID={_uid('series')}"
        address = f"{path}&objectUID={instance.sop_instance_uid}&contentType=image/jpeg"
        connection = Connection(port)
        connection.exchange(get(address, f"127.0.0.1:{port}", "image/jpeg", "identity"))
        connection.close()


def _uid(name: str) -> str:
    return generate_uid(entropy_srcs=["filmless bench", "3301", name])


def _send(archive: ArchiveProcess, kind: Kind, instances: Sequence[Instance]) -> None:
    with OpenSender(Peer("127.0.0.1", archive.dicom_port, archive.ae_title), kind) as sender:
        for instance in instances:
            sender.send(instance)


def _make_enhanced(number: int) -> Instance:
    """Make an object of 524 MB, each frame with functional groups of its own, as a device writes them."""
    uid = generate_uid(entropy_srcs=["first frame", "instance", str(number)])
    dataset = make_dataset(
        SOPClassUID=EnhancedCTImageStorage,
        SOPInstanceUID=uid,
        StudyInstanceUID=_STUDY,
        SeriesInstanceUID=_SERIES,
        InstanceNumber=number,
        NumberOfFrames=FRAMES,
        Rows=_ENHANCED.rows,
        Columns=_ENHANCED.columns,
        PixelData=None,
    )
    dataset.PerFrameFunctionalGroupsSequence = [_groups(frame) for frame in range(1, FRAMES + 1)]
    frame = bytes(BodyCorpus().pixels(_ENHANCED, number))
    pixels = bytearray(frame * FRAMES)
    pixels[:8] = number.to_bytes(8, "little")
    head = encode(dataset) + b"\xe0\x7f\x10\x00OW\0\0" + len(pixels).to_bytes(4, "little")
    return Instance(uid, (head, memoryview(pixels)))


def _groups(frame: int) -> Dataset:
    macros = {
        "FrameContentSequence": {"FrameAcquisitionNumber": frame, "DimensionIndexValues": [1, frame]},
        "PlanePositionSequence": {"ImagePositionPatient": [-125, -125, frame]},
        "PlaneOrientationSequence": {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        "PixelMeasuresSequence": {"PixelSpacing": [0.5, 0.5], "SliceThickness": "1"},
        "FrameVOILUTSequence": {"WindowCenter": "40", "WindowWidth": "400"},
        "PixelValueTransformationSequence": {"RescaleIntercept": "-1024", "RescaleSlope": "1"},
    }
    groups = Dataset()
    for keyword, values in macros.items():
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        setattr(groups, keyword, [item])
    return groups


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="filmless-bench-", ignore_cleanup_errors=True)


def summarize(times_ms: Sequence[float], read_bytes: Sequence[int]) -> tuple[str, str]:
    """Return median time and the most that was read, as text."""
    return f"{median(times_ms):.0f} ({max(times_ms):.0f})", f"{max(read_bytes) / 1e6:.1f}"
