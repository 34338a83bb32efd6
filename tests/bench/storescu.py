"""How fast dcmtk's storescu sends with its defaults, as many modalities do: Nagle on, PDUs of 16 KB."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from pydicom.uid import ExplicitVRLittleEndian

from pacs.dicom.part10 import encode_file_meta
from tests.bench.corpus import SMALL, Corpus
from tests.bench.servers import Contender, RunningServer
from tests.data import program

SLICES = 200


@dataclass(frozen=True, slots=True)
class Rates:
    """What storescu reached with one server, in instances/s, its start and end included."""

    server: str
    per_s: list[float]


def measure_storescu(
    contenders: Sequence[Contender], repetitions: int, tell: Callable[[str], None]
) -> list[Rates]:
    """Send series of 200 MR slices to each server in turn, a new one at every repetition."""
    with ExitStack() as running:
        servers = [running.enter_context(contender.running()) for contender in contenders]
        results = [Rates(server.name, []) for server in servers]
        for repetition in range(repetitions):
            tell(f"storescu, repetition {repetition + 1} of {repetitions}")
            with tempfile.TemporaryDirectory(prefix="filmless-bench-") as folder:
                _write_series(Path(folder), repetition)
                for server, rates in zip(servers, results, strict=True):
                    rates.per_s.append(_send(server, Path(folder)))
    return results


def _write_series(folder: Path, number: int) -> None:
    for instance in Corpus().study(SMALL, 2000 + number, SLICES):
        meta = encode_file_meta(SMALL.sop_class_uid, instance.sop_instance_uid, ExplicitVRLittleEndian)
        (folder / f"{instance.sop_instance_uid}.dcm").write_bytes(b"".join((meta, *instance.pieces)))


def _send(server: RunningServer, folder: Path) -> float:
    peer = server.peer
    command = [program("storescu"), "+sd", "-aec", peer.ae_title, peer.host, str(peer.port), str(folder)]
    begin_s = perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return SLICES / (perf_counter() - begin_s)
