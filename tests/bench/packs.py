"""``python -m tests.bench.packs``: small objects in packs beside files of their own."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from storage.filesystem import FilesystemStore

_SIZES = {"22 KB": 22_000, "CT 530 KB": 530_000}
_THREADS = (1, 4)


def measure(
    folder: Path, size_bytes: int, threads: int, objects: int, *, packed: bool
) -> tuple[float, float]:
    """Commit objects from several threads at once; return objects a second and CPU ms of each."""
    store = FilesystemStore(folder)
    content = bytes(range(256)) * (size_bytes // 256 + 1)

    def commit(thread: int) -> None:
        for number in range(objects):
            with store.stage(packed=packed) as staged:
                staged.write(memoryview(content)[:size_bytes])
                staged.commit(f"5f/1.2.{thread}/1.2.{thread}.1/1.2.{thread}.1.{number}.dcm")

    workers = [threading.Thread(target=commit, args=(thread,)) for thread in range(threads)]
    begin, cpu_begin = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu_begin
    store.close()
    return objects * threads / elapsed_s, 1000 * cpu_s / (objects * threads)


def main(
    objects: Annotated[int, typer.Option(min=1, help="Objects of each thread.")] = 300,
    repetitions: Annotated[int, typer.Option(min=1, help="Odd numbers have a median.")] = 5,
) -> None:
    """Print medians of interleaved runs, of the store alone, in temporary folders."""
    for name, size_bytes in _SIZES.items():
        for threads in _THREADS:
            found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
            for _ in range(repetitions):
                for packed, results in found.items():
                    with tempfile.TemporaryDirectory() as folder:
                        results.append(measure(Path(folder), size_bytes, threads, objects, packed=packed))
            files_rate, files_ms = _medians(found[False])
            packs_rate, packs_ms = _medians(found[True])
            typer.echo(
                f"{name}, {threads} threads: files {files_rate:.0f}/s, {files_ms:.2f} ms of CPU; "
                f"packs {packs_rate:.0f}/s, {packs_ms:.2f} ms; "
                f"ratios {packs_rate / files_rate:.2f}, {packs_ms / files_ms:.2f}"
            )


def _medians(results: list[tuple[float, float]]) -> tuple[float, float]:
    rates, costs = zip(*results, strict=True)
    return statistics.median(rates), statistics.median(costs)


if __name__ == "__main__":
    typer.run(main)
