"""How fast servers answer DICOMweb, and at what cost: retrieval, metadata, and storing by STOW-RS."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from pydicom.uid import ExplicitVRLittleEndian

from pacs.dicom.part10 import encode_file_meta
from tests.bench.corpus import CT, SMALL, Corpus, Kind, series_uids
from tests.bench.http_client import Load, Request, get, load, post
from tests.bench.measure import MemorySampler, cpu_seconds
from tests.bench.senders import OpenSender
from tests.bench.servers import Contender, RunningServer

CONNECTIONS = 8
_SLICES = {CT: 300, SMALL: 2000}
_STUDY = {CT: 3001, SMALL: 3002}
_STORED_STUDIES = 3100
_WARM_UP_S = 0.5
_SETTLED_AFTER_S = 3.0  # longer than Filmless is told to wait with metadata

_FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
_INSTANCES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_JSON = "application/dicom+json"
_PLAIN = "identity"
BROWSER = "gzip, deflate, br, zstd"  # what a browser offers with whatever it asks for
_BOUNDARY = "filmless-bench-boundary"


@dataclass(frozen=True, slots=True)
class WebLoad:
    """Something that is asked for again and again over all connections."""

    key: str
    name: str
    kind: Kind
    accept: str
    paths: Callable[[Kind], list[str]]
    connections: int = CONNECTIONS
    coding: str = _PLAIN  # what is offered in Accept-Encoding


@dataclass(frozen=True, slots=True)
class WebMeasurement:
    """One load on one server."""

    load: Load
    server_cpu_s: float
    peak_memory_bytes: int

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return len(self.load.latencies_s) / self.load.elapsed_s

    @property
    def megabytes_per_s(self) -> float:
        """Content received, in 10**6 bytes a second."""
        return self.load.received_bytes / 1e6 / self.load.elapsed_s

    @property
    def latency_ms(self) -> float:
        """Median time of an answer."""
        return 1000 * median(self.load.latencies_s)

    def cpu_ms(self) -> float:
        """CPU time of the server for an answer."""
        return 1000 * self.server_cpu_s / len(self.load.latencies_s)

    def client_cpu_ms(self) -> float:
        """CPU time of the client for an answer."""
        return 1000 * self.load.client_cpu_s / len(self.load.latencies_s)


WebResults = dict[tuple[str, str], list[WebMeasurement]]  # by names of load and server


def _series_path(kind: Kind) -> str:
    study, series, _ = series_uids(_STUDY[kind], 0)
    return f"/dicom-web/studies/{study}/series/{series}"


def _instance_paths(kind: Kind, suffix: str = "") -> list[str]:
    _, _, instances = series_uids(_STUDY[kind], _SLICES[kind])
    return [f"{_series_path(kind)}/instances/{uid}{suffix}" for uid in instances]


def _frame_paths(kind: Kind) -> list[str]:
    return _instance_paths(kind, "/frames/1")


def _metadata_path(kind: Kind) -> list[str]:
    return [f"{_series_path(kind)}/metadata"]


WEB_LOADS = (
    WebLoad("frames", "frame of a CT", CT, _FRAMES, _frame_paths),
    WebLoad("framesgzip", "frame of a CT, gzip offered", CT, _FRAMES, _frame_paths, coding=BROWSER),
    WebLoad("instance", "CT instance", CT, _INSTANCES, _instance_paths),
    WebLoad("instancegzip", "CT instance, gzip offered", CT, _INSTANCES, _instance_paths, coding=BROWSER),
    WebLoad("series", "series of 300 CT", CT, _INSTANCES, lambda kind: [_series_path(kind)]),
    WebLoad("metadata", "metadata of 300 CT", CT, _JSON, _metadata_path, coding="gzip"),
    WebLoad("metadata1", "the same, alone", CT, _JSON, _metadata_path, 1, "gzip"),
    WebLoad("metadata2000", "metadata of 2000 MR, alone", SMALL, _JSON, _metadata_path, 1, "gzip"),
)
STOW_KEY, STOW_NAME = "stow", "STOW of 300 CT"
FIRST_NAME = "metadata of 300 CT, first of all"


def measure_web(
    contenders: Sequence[Contender],
    keys: Sequence[str],
    repetitions: int,
    seconds: float,
    tell: Callable[[str], None],
) -> WebResults:
    """Put every load on every server in turn, several times; all have the same studies.

    Parameters
    ----------
    keys
        Which loads; all without one.
    seconds
        How long each load lasts, but for STOW.
    """
    results: WebResults = {}
    with ExitStack() as running:
        servers = [running.enter_context(contender.running()) for contender in contenders]
        kinds = {CT} | {one.kind for one in WEB_LOADS if not keys or one.key in keys}
        for server in servers:
            tell(f"filling {server.name}")
            _fill(server, kinds)
        time.sleep(_SETTLED_AFTER_S)
        for server in servers:
            requests = _gets(server, _metadata_path(CT), _JSON, "gzip")
            results[FIRST_NAME, server.name] = [measure_load(server, requests, 1, 0)]
        for repetition in range(repetitions):
            tell(f"web, repetition {repetition + 1} of {repetitions}")
            for name, server, measured in _repeat(servers, keys, repetition, seconds):
                results.setdefault((name, server), []).append(measured)
    return results


def _repeat(
    servers: Sequence[RunningServer], keys: Sequence[str], repetition: int, seconds: float
) -> Iterator[tuple[str, str, WebMeasurement]]:
    for number, one in enumerate(WEB_LOADS):
        if keys and one.key not in keys:
            continue
        for server in servers if (number + repetition) % 2 else reversed(servers):
            requests = _gets(server, one.paths(one.kind), one.accept, one.coding)
            measure_load(server, requests, one.connections, _WARM_UP_S)
            yield one.name, server.name, measure_load(server, requests, one.connections, seconds)
    if not keys or STOW_KEY in keys:
        for server in servers if repetition % 2 else reversed(servers):
            yield STOW_NAME, server.name, measure_load(server, _posts(server, repetition), CONNECTIONS, 0)


def _fill(server: RunningServer, kinds: Iterable[Kind]) -> None:
    for kind in kinds:
        with OpenSender(server.peer, kind) as sender:
            for instance in Corpus().study(kind, _STUDY[kind], _SLICES[kind]):
                sender.send(instance)


def _gets(server: RunningServer, paths: Sequence[str], accept: str, coding: str) -> list[Request]:
    requests = [get(path, f"127.0.0.1:{server.http_port}", accept, coding) for path in paths]
    random.Random(1).shuffle(requests)
    return requests


def _posts(server: RunningServer, repetition: int) -> list[Request]:
    """Make as many requests as there are connections, each with its share of a study's instances."""
    instances = list(Corpus().study(CT, _STORED_STUDIES + repetition, _SLICES[CT]))
    head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    requests = []
    for number in range(CONNECTIONS):
        body: list[bytes | memoryview] = []
        for instance in instances[number::CONNECTIONS]:
            meta = encode_file_meta(CT.sop_class_uid, instance.sop_instance_uid, ExplicitVRLittleEndian)
            body += [head + meta + instance.pieces[0], instance.pieces[1], b"\r\n"]
        body.append(f"--{_BOUNDARY}--\r\n".encode())
        content_type = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
        requests.append(post("/dicom-web/studies", f"127.0.0.1:{server.http_port}", content_type, body))
    return requests


def measure_load(
    server: RunningServer, requests: Sequence[Request], connections: int, seconds: float
) -> WebMeasurement:
    assert server.http_port is not None, f"{server.name} has no web server"
    os.sync()
    cpu_s = cpu_seconds(server.parts)
    with MemorySampler(server.parts) as memory:
        measured = load(server.http_port, requests, connections, seconds)
    used_s = sum(now_s - cpu_s[part] for part, now_s in cpu_seconds(server.parts).items())
    return WebMeasurement(measured, used_s, memory.peak_bytes)
