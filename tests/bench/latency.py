"""How long a C-STORE takes when the index is nearly empty, and when it holds a million instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from statistics import median, quantiles
from time import perf_counter

from tests.bench.corpus import SMALL, Corpus, Instance
from tests.bench.full_index import fill_index
from tests.bench.senders import OpenSender
from tests.bench.servers import Listener, listener

SIZES = (10_000, 1_000_000)
_INSTANCES_OF_A_STUDY = 25
_WARM_UP = 50


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long each C-STORE took on one database, in ms, with each size of the index in turn."""

    database: str
    by_size: tuple[list[float], list[float]]

    def p50_ms(self, which: int) -> float:
        """Return the median with one of the sizes."""
        return median(self.by_size[which])

    def p99_ms(self, which: int) -> float:
        """Return what 99 of 100 stay below."""
        return quantiles(self.by_size[which], n=100)[-1]


def measure_latency(databases: Sequence[str], requests: int, tell: Callable[[str], None]) -> list[Latencies]:
    """Send to a listener with a small index and to one with a large one, instance by instance in turn.

    So both meet the same machine, moment by moment. Every twenty-fifth instance begins a new study.
    """
    results = []
    for database in databases:
        with ExitStack() as running:
            listeners = [running.enter_context(listener(database)) for _ in SIZES]
            for number, (one, size) in enumerate(zip(listeners, SIZES, strict=True)):
                tell(f"making an index of {size:,} instances on {database}")
                _store_first(one, 900 + number)
                fill_index(one.database_url, size)
            results.append(Latencies(database, _measure_in_turn(listeners, requests)))
    return results


def _store_first(one: Listener, study_number: int) -> None:
    with OpenSender(one.peer, SMALL) as sender:
        for instance in Corpus().study(SMALL, study_number, 1):
            sender.send(instance)


def _measure_in_turn(listeners: Sequence[Listener], requests: int) -> tuple[list[float], list[float]]:
    instances = _instances(_WARM_UP + requests)
    taken: tuple[list[float], list[float]] = ([], [])
    with ExitStack() as running:
        senders = [running.enter_context(OpenSender(one.peer, SMALL)) for one in listeners]
        for number, instance in enumerate(instances):
            for which in (0, 1) if number % 2 else (1, 0):
                begin_s = perf_counter()
                senders[which].send(instance)
                taken[which].append(1000 * (perf_counter() - begin_s))
    return taken[0][_WARM_UP:], taken[1][_WARM_UP:]


def _instances(count: int) -> list[Instance]:
    corpus = Corpus()
    studies = range(1000, 1001 + count // _INSTANCES_OF_A_STUDY)
    return list(
        islice((one for study in studies for one in corpus.study(SMALL, study, _INSTANCES_OF_A_STUDY)), count)
    )
