"""How fast, and at what cost, servers take in instances by C-STORE: all of them in one run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench.corpus import CT, DX, SMALL, Kind
from tests.bench.measure import MemorySampler, cpu_seconds, machine_busy_seconds
from tests.bench.senders import Order, Sender
from tests.bench.servers import Contender, RunningServer

_ASSOCIATIONS = (1, 4)
_SETTLE_S = 0.25  # what a server does at once after its last answer counts too


@dataclass(frozen=True, slots=True)
class Workload:
    """What is sent in one go: instances of one kind, the same number over each association."""

    number: int
    kind: Kind
    associations: int
    instances: int

    @property
    def key(self) -> str:
        """Name for the command line, e.g. ``ct4``."""
        return f"{self.kind.modality.lower()}{self.associations}"

    @property
    def instances_each(self) -> int:
        """Instances of each association's study, at least one."""
        return max(1, self.instances // self.associations)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One workload sent to one server."""

    instances: int
    size_bytes: int
    elapsed_s: float  # from the first request to the last response
    cpu_s_by_part: dict[str, float]  # of the server: its listener, its database ...
    peak_memory_bytes: int
    sender_cpu_s: float
    other_cpu_s: float  # of the rest of the machine: the kernel's own threads, and other users

    @property
    def instances_per_s(self) -> float:
        """Throughput."""
        return self.instances / self.elapsed_s

    @property
    def megabytes_per_s(self) -> float:
        """Throughput in 10**6 bytes a second."""
        return self.size_bytes / 1e6 / self.elapsed_s

    @property
    def server_cpu_ms(self) -> float:
        """The server's CPU time per instance."""
        return 1000 * sum(self.cpu_s_by_part.values()) / self.instances

    def part_cpu_ms(self, part: str) -> float:
        """CPU time per instance of a part of the server."""
        return 1000 * self.cpu_s_by_part[part] / self.instances

    @property
    def sender_cpu_ms(self) -> float:
        """The sender's CPU time per instance."""
        return 1000 * self.sender_cpu_s / self.instances


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured, by name of the server, one entry for each repetition."""

    measurements: dict[tuple[Workload, str], list[Measurement]]
    versions: dict[str, str]


def workloads(*, quick: bool) -> list[Workload]:
    """List what is sent: enough to trust the figures, or, with ``quick``, to see differences."""
    counts = {CT: 300, SMALL: 500, DX: 8} if quick else {CT: 1200, SMALL: 2000, DX: 10}
    combinations = [(kind, count, n) for kind, count in counts.items() for n in _ASSOCIATIONS]
    return [Workload(number, kind, n, count) for number, (kind, count, n) in enumerate(combinations, 1)]


def measure_ingest(
    contenders: Sequence[Contender],
    to_do: Sequence[Workload],
    repetitions: int,
    tell: Callable[[str], None],
) -> Results:
    """Send every workload to every server, several times.

    In a repetition all servers are there, fresh, and each workload goes to one after the other, so that they
    meet the same machine; the order changes with every workload and repetition. The others wait meanwhile,
    which costs next to nothing.
    """
    results = Results({}, {})
    with ExitStack() as running:
        senders = [running.enter_context(Sender()) for _ in range(max(_ASSOCIATIONS))]
        for repetition in range(repetitions):
            tell(f"repetition {repetition + 1} of {repetitions}")
            _repeat(contenders, to_do, repetition, senders, results)
    return results


def _repeat(
    contenders: Sequence[Contender],
    to_do: Sequence[Workload],
    repetition: int,
    senders: Sequence[Sender],
    results: Results,
) -> None:
    with ExitStack() as running:
        servers = [running.enter_context(contender.running()) for contender in contenders]
        for server in servers:
            results.versions[server.name] = server.version
            _send(server, Workload(0, SMALL, len(senders), 20), senders)  # warms it up
        for workload in to_do:
            for server in _in_turn(servers, workload.number + repetition):
                measurement = _send(server, workload, senders)
                results.measurements.setdefault((workload, server.name), []).append(measurement)


def _in_turn(servers: Sequence[RunningServer], turn: int) -> Iterator[RunningServer]:
    """Go round from another server at every turn, forwards and backwards."""
    first = turn // 2 % len(servers)
    ring = [*servers[first:], *servers[:first]]
    yield from ring if turn % 2 else reversed(ring)


def _send(server: RunningServer, workload: Workload, senders: Sequence[Sender]) -> Measurement:
    """Send a workload; the same studies to every server."""
    os.sync()  # what others have written so far is not to be paid for by this one
    at_work = senders[: workload.associations]
    for number, sender in enumerate(at_work, workload.number * max(_ASSOCIATIONS)):
        sender.prepare(Order(server.peer, workload.kind, number, workload.instances_each))
    for sender in at_work:
        sender.wait_until_ready()
    cpu_s, busy_s = cpu_seconds(server.parts), machine_busy_seconds()
    with MemorySampler(server.parts) as memory:
        for sender in at_work:
            sender.go()
        sent = [sender.result() for sender in at_work]
        time.sleep(_SETTLE_S)
    cpu_s_by_part = {part: now_s - cpu_s[part] for part, now_s in cpu_seconds(server.parts).items()}
    busy_s = machine_busy_seconds() - busy_s
    sender_cpu_s = sum(one.cpu_s for one in sent)
    return Measurement(
        instances=workload.instances_each * workload.associations,
        size_bytes=sum(one.size_bytes for one in sent),
        elapsed_s=max(one.end_s for one in sent) - min(one.begin_s for one in sent),
        cpu_s_by_part=cpu_s_by_part,
        peak_memory_bytes=memory.peak_bytes,
        sender_cpu_s=sender_cpu_s,
        other_cpu_s=max(0.0, busy_s - sum(cpu_s_by_part.values()) - sender_cpu_s),
    )
