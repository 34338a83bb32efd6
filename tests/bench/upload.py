"""How fast the spool is emptied to S3, beside bare PUTs, and what it costs to take instances into a spool."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from pydicom.uid import ExplicitVRLittleEndian

from pacs.archive import Archive, open_archive
from pacs.ingest import IncomingInstance, Origin, store_instance
from pacs.jobs.upload import Uploader
from pacs.settings import Settings
from tests.bench.corpus import CT, SMALL, Corpus, Instance, Kind
from tests.bench.measure import cpu_seconds
from tests.e2e.archive_process import clean_environment
from tests.servers import S3Server, seaweedfs

BARE_PUTS = "boto3 put_object, nothing else"
PUTS_READ_BACK = "boto3 put_object, then get_object"
UPLOADER = "Filmless uploader: SHA-256, If-None-Match, read back, noted"
FOLDER = "into a folder"
SPOOL = "into a spool"
SPOOL_EMPTIED = "into a spool that is emptied meanwhile"
_NAMES = (BARE_PUTS, PUTS_READ_BACK, UPLOADER, FOLDER, SPOOL, SPOOL_EMPTIED)

_COUNTS = {CT: 400, SMALL: 800}
_ASSOCIATIONS = 4
_BUCKET = "bench"


@dataclass(frozen=True, slots=True)
class Timing:
    """So many objects, in this time, at this cost to our process and to the S3 server."""

    objects: int
    elapsed_s: float
    cpu_s: float
    server_cpu_s: float

    @property
    def objects_per_s(self) -> float:
        """Throughput."""
        return self.objects / self.elapsed_s

    @property
    def cpu_ms(self) -> float:
        """CPU time of an object; the S3 server's is not in it."""
        return 1000 * self.cpu_s / self.objects

    @property
    def server_cpu_ms(self) -> float:
        """The S3 server's CPU time for an object."""
        return 1000 * self.server_cpu_s / self.objects


UploadResults = dict[tuple[Kind, str], list[Timing]]


def measure_upload(concurrency: int, repetitions: int, tell: Callable[[str], None]) -> UploadResults:
    """Send the same instances by bare PUTs and through the spool, one after the other, several times."""
    results: UploadResults = {}
    corpus = Corpus()
    with seaweedfs() as server:
        os.environ.update(server.environment)
        client = _client(server, concurrency)
        client.create_bucket(Bucket=_BUCKET)
        _put(client, list(corpus.study(SMALL, 9999, 50)), concurrency)  # makes the volumes
        for repetition in range(repetitions):
            tell(f"repetition {repetition + 1} of {repetitions}")
            for number, (kind, count) in enumerate(_COUNTS.items()):
                instances = list(corpus.study(kind, 10 * repetition + number, count))
                timings = _measure_kind(server, client, instances, kind, concurrency, bool(repetition % 2))
                for name in _NAMES:
                    results.setdefault((kind, name), []).append(timings[name])
    return results


def _measure_kind(
    server: S3Server, client: Any, instances: Sequence[Instance], kind: Kind, concurrency: int, turned: bool
) -> dict[str, Timing]:
    """Measure in one order or, ``turned``, in another, so that nothing gains from its place."""

    def timed(work: Callable[[], None]) -> Timing:
        return _timed(server, len(instances), work)

    with ExitStack() as opened:
        folder, spooled, emptied = (
            opened.enter_context(_archive(url, concurrency))
            for url in (None, server.store_url(_BUCKET, uuid4().hex), server.store_url(_BUCKET, uuid4().hex))
        )
        steps: dict[str, Callable[[], None]] = {
            BARE_PUTS: lambda: _put(client, instances, concurrency),
            PUTS_READ_BACK: lambda: _put(client, instances, concurrency, read_back=True),
            FOLDER: lambda: _store(folder, instances, kind),
            SPOOL: lambda: _store(spooled, instances, kind),
            UPLOADER: lambda: _upload(spooled),
        }
        order = (SPOOL, FOLDER, UPLOADER, PUTS_READ_BACK, BARE_PUTS) if turned else tuple(steps)
        timings = {name: timed(steps[name]) for name in order}
        first, rest = instances[:1], instances[1:]
        _store(emptied, first, kind)
        with _worker(emptied):
            _wait_until_uploaded(emptied)
            timings[SPOOL_EMPTIED] = _timed(server, len(rest), lambda: _store(emptied, rest, kind))
            _wait_until_uploaded(emptied)
    return timings


@contextmanager
def _archive(store_url: str | None, concurrency: int) -> Iterator[Archive]:
    """An archive of its own on SQLite: a folder, or S3 behind a spool."""
    with tempfile.TemporaryDirectory(prefix="filmless-bench-", ignore_cleanup_errors=True) as folder:
        settings = Settings(data_dir=Path(folder), store_url=store_url, upload_concurrency=concurrency)
        archive = open_archive(settings)
        archive.index.migrate()
        yield archive
        archive.close()


def _timed(server: S3Server, objects: int, work: Callable[[], None]) -> Timing:
    os.sync()  # what was written so far is not to be paid for by this
    begin, cpu_begin_s, server_begin_s = time.monotonic(), time.process_time(), _cpu_s(server)
    work()
    return Timing(
        objects, time.monotonic() - begin, time.process_time() - cpu_begin_s, _cpu_s(server) - server_begin_s
    )


def _cpu_s(server: S3Server) -> float:
    return cpu_seconds({"S3": (server.process_id,)})["S3"]


def _put(client: Any, instances: Sequence[Instance], concurrency: int, *, read_back: bool = False) -> None:
    prefix = uuid4().hex

    def put(instance: Instance) -> None:
        key = f"{prefix}/{instance.sop_instance_uid}"
        client.put_object(Bucket=_BUCKET, Key=key, Body=b"".join(instance.pieces))
        if read_back:
            client.get_object(Bucket=_BUCKET, Key=key)["Body"].read()

    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(put, instances))


def _store(archive: Archive, instances: Sequence[Instance], kind: Kind) -> None:
    def store(instance: Instance) -> None:
        incoming = IncomingInstance(
            ExplicitVRLittleEndian, kind.sop_class_uid, instance.sop_instance_uid, instance.pieces
        )
        store_instance(archive, incoming, Origin("bench"))

    with ThreadPoolExecutor(_ASSOCIATIONS) as pool:
        list(pool.map(store, instances))


def _upload(archive: Archive) -> None:
    """Run the uploader until nothing waits."""
    assert archive.spool is not None
    stop = Event()
    thread = Thread(target=Uploader(archive, archive.spool, stop).run)
    thread.start()
    try:
        _wait_until_uploaded(archive)
    finally:
        stop.set()
        thread.join()


@contextmanager
def _worker(archive: Archive) -> Iterator[None]:
    """Run the worker of an archive in a process of its own, as a hospital does."""
    settings = archive.settings
    environment = clean_environment(
        {
            "FILMLESS_DATA_DIR": str(settings.data_dir),
            "FILMLESS_STORE_URL": settings.resolved_store_url,
            "FILMLESS_UPLOAD_CONCURRENCY": str(settings.upload_concurrency),
        }
    )
    command = [sys.executable, "-m", "pacs.cli", "work"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_until_uploaded(archive: Archive) -> None:
    while archive.index.spooled.report().waiting_objects:
        time.sleep(0.1)


def _client(server: S3Server, concurrency: int) -> Any:
    config = Config(s3={"addressing_style": "path"}, max_pool_connections=concurrency)
    return boto3.client("s3", endpoint_url=server.endpoint_url, region_name="us-east-1", config=config)
