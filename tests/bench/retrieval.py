"""How fast servers give a study away by C-GET and C-MOVE, to dcmtk's programs, which throw it away.

Nagle's algorithm is off for dcmtk, in its programs and in Orthanc: as they come, each of its messages waits
40 ms for an acknowledgement, and Orthanc gives a study away at a thirtieth of what it can.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter

from pacs.dimse.requestor import Peer
from tests.bench.corpus import CT, Corpus, series_uids
from tests.bench.measure import cpu_seconds
from tests.bench.senders import OpenSender
from tests.bench.servers import (
    Contender,
    RunningServer,
    filmless_with_peer,
    ignoring_storescp,
    orthanc_with_peer,
    without_nagle,
)
from tests.data import find_program, program

SLICES = 300
_STUDY = 3201
_LONGEST_PDU = "131072"
_MISSING = None if find_program("getscu") else "the Debian package dcmtk"
_NO_ORTHANC = None if find_program("Orthanc") else "the Debian package orthanc"


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One retrieval of the whole study, the client's start and its associations included."""

    size_bytes: int
    elapsed_s: float
    server_cpu_s: float

    @property
    def megabytes_per_s(self) -> float:
        """10**6 bytes of data sets a second."""
        return self.size_bytes / 1e6 / self.elapsed_s


RetrievalResults = dict[tuple[str, str], list[Retrieval]]  # by names of operation and server


def retrieval_contenders(destination: Peer) -> list[Contender]:
    """Make the servers that know a destination."""
    return [
        Contender(
            "orthanc",
            "Orthanc",
            "Orthanc",
            "Debian's package with its defaults, no plugin; without Nagle's algorithm",
            _MISSING or _NO_ORTHANC,
            lambda: orthanc_with_peer(destination),
        ),
        Contender(
            "filmless",
            "Filmless",
            "Orthanc",
            "`filmless up` with its defaults: one association for a C-MOVE",
            _MISSING,
            lambda: filmless_with_peer("Filmless", destination, {}),
        ),
        Contender(
            "filmless-3",
            "Filmless, 3 associations",
            "Orthanc",
            "the same with MOVE_ASSOCIATIONS=3",
            _MISSING,
            lambda: filmless_with_peer(
                "Filmless, 3 associations", destination, {"FILMLESS_MOVE_ASSOCIATIONS": "3"}
            ),
        ),
    ]


@contextmanager
def destination() -> Iterator[Peer]:
    """Run the program that instances are moved to."""
    with ignoring_storescp() as peer:
        yield peer


def measure_retrieval(
    contenders: Sequence[Contender], repetitions: int, tell: Callable[[str], None]
) -> RetrievalResults:
    """Have the same study fetched from every server in turn, several times, and once before it counts."""
    results: RetrievalResults = {}
    with ExitStack() as running:
        servers = [running.enter_context(contender.running()) for contender in contenders]
        sizes = [_fill(server) for server in servers]
        for repetition in range(repetitions + 1):
            tell(f"retrieval, repetition {repetition} of {repetitions}")
            for server, size_bytes in zip(servers, sizes, strict=True):
                for name, command in _commands(server.peer).items():
                    measured = _measure(server, command, size_bytes)
                    if repetition:
                        results.setdefault((name, server.name), []).append(measured)
    return results


def _fill(server: RunningServer) -> int:
    size_bytes = 0
    with OpenSender(server.peer, CT) as sender:
        for instance in Corpus().study(CT, _STUDY, SLICES):
            sender.send(instance)
            size_bytes += instance.size_bytes
    return size_bytes


def _commands(peer: Peer) -> dict[str, list[str]]:
    study_uid, _, _ = series_uids(_STUDY, 0)
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}"]
    there = ["-S", "-aec", peer.ae_title, *keys, peer.host, str(peer.port)]
    return {
        "C-GET, PDUs of 16 KB": [program("getscu"), "--ignore", *there],
        "C-GET, PDUs of 128 KB": [program("getscu"), "--ignore", "-pdu", _LONGEST_PDU, *there],
        "C-MOVE, PDUs of 128 KB": [program("movescu"), "-aem", "DEST", *there],
    }


def _measure(server: RunningServer, command: list[str], size_bytes: int) -> Retrieval:
    before = sum(cpu_seconds(server.parts).values())
    begin_s = perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=without_nagle())
    elapsed_s = perf_counter() - begin_s
    return Retrieval(size_bytes, elapsed_s, sum(cpu_seconds(server.parts).values()) - before)
