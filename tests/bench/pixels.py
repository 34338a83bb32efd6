"""How fast servers make pictures, and at what cost: no two requests alike, so that no cache answers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from tests.bench.corpus import CT, DX, BodyCorpus, Corpus, Kind, series_uids
from tests.bench.http_client import Request, get
from tests.bench.measure import MemorySampler
from tests.bench.senders import OpenSender
from tests.bench.servers import Contender, RunningServer
from tests.bench.web import BROWSER, CONNECTIONS, WebMeasurement, measure_load

ORTHANC: Final = "Orthanc"  # the contender that is the baseline
_REQUESTS: Final = 20_000  # prepared; more than a load takes
_WARM_UP_S: Final = 0.5
_SETTLED_AFTER_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class PictureStudy:
    """A study of one series, and the window about which its pictures are asked for."""

    number: int
    kind: Kind
    slices: int
    corpus: Callable[[], Corpus]
    window: tuple[float, float]


_BODY_CT: Final = PictureStudy(3201, CT, 60, BodyCorpus, (40, 400))
_NOISE_CT: Final = PictureStudy(3203, CT, 60, Corpus, (40, 400))
_BODY_DX: Final = PictureStudy(3202, DX, 6, BodyCorpus, (0, 1800))


@dataclass(frozen=True, slots=True)
class PictureLoad:
    """Pictures that are asked for over and over.

    ``resource`` is the last part of the address. ``size`` is the side of the square that a picture is to fit
    into, None for all pixels. Each request has another window, unless they are ``repeated``. What does not
    depend on the window may be kept between them; nothing is, where Filmless is asked for a ``part``: all
    rows of the image but the last. ``coding`` is what Accept-Encoding offers.
    """

    key: str
    name: str
    study: PictureStudy
    goal: str
    resource: str = "rendered"
    size: int | None = None
    connections: int = CONNECTIONS
    repeated: bool = False
    part: bool = False
    coding: str = "identity"
    peers: bool = True  # whether Orthanc has such a thing


PICTURE_LOADS: Final = (
    PictureLoad("ct", "CT 512x512", _BODY_CT, "5 x, aim 10 x"),
    PictureLoad("ctgzip", "CT 512x512, gzip offered", _BODY_CT, "5 x, aim 10 x", coding=BROWSER),
    PictureLoad("noise", "CT 512x512 of noise", _NOISE_CT, "5 x, aim 10 x"),
    PictureLoad("dx", "DX 2500x3000", _BODY_DX, "1.5 x, aim 3 x; web process < 600 MB"),
    PictureLoad("dx1024", "DX into 1024x1024, nothing kept", _BODY_DX, "5 x", size=1024, part=True),
    PictureLoad("dx1024kept", "DX into 1024x1024, averages kept", _BODY_DX, "5 x", size=1024),
    PictureLoad("thumbnail", "thumbnail of a DX, alone", _BODY_DX, "20 ms", "thumbnail", 160, 1),
    PictureLoad(
        "kept", "thumbnail of a DX, again", _BODY_DX, "3000/s", "thumbnail", repeated=True, peers=False
    ),
    PictureLoad(
        "previews", "60 previews of a CT, alone", _BODY_CT, "150 ms", "previews", 256, 1, peers=False
    ),
)


@dataclass(frozen=True, slots=True)
class PictureMeasurement:
    """A load on one server, and the most memory that one of its web processes took."""

    web: WebMeasurement
    web_process_bytes: int


@dataclass(frozen=True, slots=True)
class Door:
    """A way into a server: its name, and the address of a picture of an instance."""

    name: str
    contender: str
    address: Callable[[PictureLoad, str, str], str]  # of the load, the instance, the window


PictureResults = dict[tuple[str, str], list[PictureMeasurement]]  # by keys of load and names of doors


def _dicomweb(load: PictureLoad, sop_instance_uid: str, window: str) -> str:
    study, series, _ = series_uids(load.study.number, 0)
    path = f"/dicom-web/studies/{study}/series/{series}"
    if load.resource == "previews":
        return f"{path}/previews?viewport={load.size},{load.size}&{window}"
    part = f",0,0,{load.study.kind.columns},{load.study.kind.rows - 1}" if load.part else ""
    viewport = f"viewport={load.size},{load.size}{part}&" if load.size else ""
    return f"{path}/instances/{sop_instance_uid}/{load.resource}?{viewport}{window}"


def _plain_dicomweb(load: PictureLoad, sop_instance_uid: str, window: str) -> str:
    """Have a picture where there are no thumbnails by that name."""
    return _dicomweb(replace(load, resource="rendered", part=False), sop_instance_uid, window)


def _dicomweb_window(load: PictureLoad, center: float, width: float) -> str:
    return "" if load.repeated else f"window={center:.4f},{width:.4f},linear"


def _rest(load: PictureLoad, sop_instance_uid: str, window: str) -> str:
    """Name an instance as Orthanc does by itself: by a digest of its identifiers."""
    study, series, _ = series_uids(load.study.number, 0)
    names = "|".join((f"BENCH{load.study.number:04}", study, series, sop_instance_uid))
    digest = hashlib.sha1(names.encode()).hexdigest()
    identifier = "-".join(digest[start : start + 8] for start in range(0, 40, 8))
    center, width, _ = window.removeprefix("window=").split(",")
    size = f"&width={load.size}&height={load.size}" if load.size else ""
    return f"/instances/{identifier}/rendered?window-center={center}&window-width={width}{size}"


DOORS: Final = (
    Door("Orthanc, DICOMweb", ORTHANC, _plain_dicomweb),
    Door("Orthanc, REST", ORTHANC, _rest),
    Door("Filmless", "Filmless", _dicomweb),
)


def measure_pixels(
    contenders: Sequence[Contender],
    keys: Sequence[str],
    repetitions: int,
    seconds: float,
    tell: Callable[[str], None],
) -> PictureResults:
    """Put every load on every server in turn, several times; all have the same studies.

    Parameters
    ----------
    keys
        Which loads; all without one.
    seconds
        How long each load lasts.
    """
    loads = [load for load in PICTURE_LOADS if not keys or load.key in keys]
    results: PictureResults = {}
    with ExitStack() as running:
        servers = {one.name: running.enter_context(one.running()) for one in contenders}
        for server in servers.values():
            tell(f"filling {server.name}")
            _fill(server)
        time.sleep(_SETTLED_AFTER_S)
        windows = _windows()
        for repetition in range(repetitions):
            tell(f"pictures, repetition {repetition + 1} of {repetitions}")
            for load in loads:
                for door in DOORS if repetition % 2 else reversed(DOORS):
                    if door.contender in servers and (load.peers or door.contender != ORTHANC):
                        server = servers[door.contender]
                        measured = _measure(server, door, load, windows, seconds)
                        results.setdefault((load.key, door.name), []).append(measured)
    return results


def _fill(server: RunningServer) -> None:
    for study in (_BODY_CT, _NOISE_CT, _BODY_DX):
        with OpenSender(server.peer, study.kind) as sender:
            for instance in study.corpus().study(study.kind, study.number, study.slices):
                sender.send(instance)


def _windows() -> Iterator[tuple[float, float]]:
    """Give offsets of a window and factors of its width, of which no two are alike."""
    number = 0
    while True:
        yield number % 83 / 4, 1 + number / 1e6
        number += 1


def _measure(
    server: RunningServer,
    door: Door,
    load: PictureLoad,
    windows: Iterator[tuple[float, float]],
    seconds: float,
) -> PictureMeasurement:
    requests = _requests(server, door, load, windows)
    half = len(requests) // 2
    measure_load(server, requests[:half], load.connections, _WARM_UP_S)
    samplers = [MemorySampler({"web": (pid,)}) for pid in server.parts.get("web", ())]
    with ExitStack() as watching:
        for sampler in samplers:
            watching.enter_context(sampler)
        measured = measure_load(server, requests[half:] or requests, load.connections, seconds)
    return PictureMeasurement(measured, max((one.peak_bytes for one in samplers), default=0))


def _requests(
    server: RunningServer, door: Door, load: PictureLoad, windows: Iterator[tuple[float, float]]
) -> list[Request]:
    host = f"127.0.0.1:{server.http_port}"
    _, _, instances = series_uids(load.study.number, load.study.slices)
    accept = 'multipart/related; type="image/jpeg"' if load.resource == "previews" else "image/jpeg"
    requests = []
    for number in range(len(instances) if load.repeated else _REQUESTS):
        (middle, full), (offset, factor) = load.study.window, next(windows)
        window = _dicomweb_window(load, middle + offset, full * factor)
        address = door.address(load, instances[number % len(instances)], window)
        requests.append(get(address, host, accept, load.coding))
    return requests
