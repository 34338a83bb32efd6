"""``python -m tests.bench.door``: what the DICOM door alone costs, behind which bytes are only counted.

What an archive costs beyond this is ingest: store, header and index.
"""

from __future__ import annotations

import multiprocessing
import signal
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Annotated

import typer

from pacs import __version__
from pacs.dimse.application_entity import ApplicationEntity
from pacs.dimse.c_echo import C_ECHO
from pacs.dimse.c_store import c_store_operation
from pacs.dimse.listener import Listener, open_port
from pacs.dimse.requestor import Peer
from pacs.ingest import Disposition, IncomingInstance, Origin, StoreOutcome
from tests.bench.ingest import measure_ingest, workloads
from tests.bench.servers import CONTENDERS, Contender, RunningServer

_NAME = "Filmless's door"
_PATIENCE_S = 30.0


def count_bytes(incoming: IncomingInstance, _: Origin) -> StoreOutcome:
    """Take an instance in and forget it."""
    size_bytes = sum(map(len, incoming.chunks))
    assert size_bytes > 0
    return StoreOutcome(Disposition.STORED, incoming.sop_class_uid, incoming.sop_instance_uid, "1.1", "1.2")


def _serve(link: Connection) -> None:
    operations = (C_ECHO, c_store_operation(count_bytes, accept_unknown_sop_classes=True))
    listener = Listener(ApplicationEntity("DOOR", operations), open_port("127.0.0.1", 0))
    signal.signal(signal.SIGTERM, lambda *_: listener.stop())
    link.send(listener.port)
    listener.serve_forever()


@contextmanager
def door() -> Iterator[RunningServer]:
    """Run the listener in a process of its own."""
    context = multiprocessing.get_context("spawn")
    link, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        if not link.poll(_PATIENCE_S):
            raise TimeoutError("the door does not open")
        peer = Peer("127.0.0.1", link.recv(), "DOOR")
        assert process.pid is not None
        yield RunningServer(_NAME, f"Filmless {__version__}", peer, {"door": (process.pid,)})
    finally:
        process.terminate()
        process.join(_PATIENCE_S)


def main(
    quick: Annotated[bool, typer.Option(help="Send less.")] = False,
    repetitions: Annotated[int, typer.Option(min=1, help="Odd numbers have a median.")] = 3,
) -> None:
    """Print rate and CPU per instance of the door, beside storescp where it is installed."""
    bound = [one for one in CONTENDERS if one.key == "storescp" and not one.missing]
    contenders = [*bound, Contender("door", _NAME, _NAME, "bytes are received and counted", None, door)]
    results = measure_ingest(contenders, workloads(quick=quick), repetitions, lambda _: None)
    for (workload, server), measured in results.measurements.items():
        rate = statistics.median(one.instances_per_s for one in measured)
        cpu_ms = statistics.median(one.server_cpu_ms for one in measured)
        typer.echo(
            f"{workload.kind.name} x {workload.instances}, {workload.associations} associations, "
            f"{server}: {rate:.0f}/s, {cpu_ms:.3f} ms of CPU each"
        )


if __name__ == "__main__":
    typer.run(main)
