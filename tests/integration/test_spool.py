"""What is stored on the spool reaches the S3 server and stays there, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from pacs.archive import Archive, open_archive
from pacs.dicom.object_keys import ObjectName
from pacs.ingest import IncomingInstance, Origin, StoreOutcome, store_instance
from pacs.jobs import spool as spool_jobs
from pacs.jobs import upload
from pacs.jobs.spool import evict, note_spooled
from pacs.jobs.upload import Uploader
from pacs.retrieve import find_instances, read_chunks
from storage import s3_requests
from storage.errors import ObjectNotFound, StoreFull, StoreUnavailable
from storage.identity import IDENTITY_KEY
from storage.packed_keys import own_key
from storage.spooled import SpooledStore
from storage.store import ObjectStat, ObjectStore
from tests.backends import SPOOLING_BACKENDS, fresh_archive
from tests.damage import damage
from tests.datasets import CT_IMAGE_STORAGE, encode, make_dataset
from tests.servers import S3Server, seaweedfs, shared_seaweedfs
from tests.tcp_gate import TcpGate, gate_before

EXPLICIT = "1.2.840.10008.1.2.1"
WITHIN_S = 30.0
AT_ONCE = timedelta()
NO_STAY = {"FILMLESS_SPOOL_KEEP_HOURS": "0", "FILMLESS_SPOOL_KEEP_AT_LEAST_HOURS": "0"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for hundredths of a second where the worker waits for seconds."""
    monkeypatch.setattr(upload, "_IDLE_S", 0.02)
    monkeypatch.setattr(upload, "_PAUSE", upload._Backoff(longest_s=0.2, first_s=0.05))
    monkeypatch.setattr(upload, "_WAIT", upload._Backoff(longest_s=0.2, first_s=0.01))


@pytest.fixture
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """An archive that spools, and keeps nothing in the spool that was uploaded."""
    with fresh_archive(getattr(request, "param", "sqlite-spool"), tmp_path, NO_STAY) as opened:
        spool_of(opened).remote.check()  # makes the bucket
        yield opened


on_both_databases = pytest.mark.parametrize("archive", SPOOLING_BACKENDS, indirect=True)


@pytest.fixture
def gate() -> Iterator[TcpGate]:
    """A gate before the S3 server."""
    address = urlsplit(shared_seaweedfs().endpoint_url)
    with gate_before(str(address.hostname), int(address.port or 0)) as opened:
        yield opened


@contextmanager
def gated_archive(folder: Path, gate: TcpGate, settings: Mapping[str, str] = NO_STAY) -> Iterator[Archive]:
    """An archive whose S3 server is behind a gate."""
    bucket = f"gated-{time.time_ns()}"
    url = f"s3://{bucket}?endpoint_url=http://127.0.0.1:{gate.port}&create_bucket=true"
    with fresh_archive("sqlite-spool", folder, {**settings, "FILMLESS_STORE_URL": url}) as opened:
        yield opened


def spool_of(archive: Archive) -> SpooledStore:
    assert archive.spool is not None
    return archive.spool


def store(archive: Archive, **attributes: object) -> StoreOutcome:
    dataset = make_dataset(**attributes)
    incoming = IncomingInstance(EXPLICIT, CT_IMAGE_STORAGE, dataset.SOPInstanceUID, [encode(dataset)])
    return store_instance(archive, incoming, Origin("dimse"))


def keys(store: ObjectStore) -> set[str]:
    """List what the archive keeps in a store; its identity is the store's own."""
    return {stat.key for stat in store.list()} - {IDENTITY_KEY}


def read_all(archive: Archive, outcomes: list[StoreOutcome]) -> None:
    for outcome in outcomes:
        (found,) = find_instances(
            archive, outcome.study_instance_uid, sop_instance_uid=outcome.sop_instance_uid
        )
        assert len(b"".join(read_chunks(archive, found))) == found.location.size_bytes


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@contextmanager
def uploading(archive: Archive) -> Iterator[None]:
    """Run an uploader beside the block."""
    stop = Event()
    thread = Thread(target=Uploader(archive, spool_of(archive), stop).run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def waiting(archive: Archive) -> int:
    return archive.index.spooled.report().waiting_objects


def upload_all(archive: Archive) -> None:
    with uploading(archive):
        wait_until(lambda: waiting(archive) == 0)


def evict_all(archive: Archive) -> int:
    return evict(archive, spool_of(archive), Event())


@on_both_databases
def test_what_is_stored_is_uploaded_and_then_leaves_the_spool(archive: Archive) -> None:
    outcomes = [store(archive) for _ in range(20)]
    spool = spool_of(archive)
    report = archive.index.spooled.report()
    assert (report.objects, report.waiting_objects) == (20, 20)
    assert report.size_bytes == report.waiting_size_bytes == sum(s.size_bytes for s in spool.spool.list())
    assert report.oldest_waiting is not None
    upload_all(archive)
    assert keys(spool.remote) == {own_key(key) for key in keys(spool.spool)}
    assert archive.index.spooled.report().waiting_objects == 0
    assert archive.index.spooled.report().oldest_waiting is None
    assert evict_all(archive) == 20
    assert keys(spool.spool) == set()
    assert archive.index.spooled.report().objects == 0
    assert len(keys(spool)) == 20
    read_all(archive, outcomes)


def test_what_was_uploaded_stays_in_the_spool_for_its_time(archive: Archive) -> None:
    store(archive)
    upload_all(archive)
    stays = replace(archive, settings=archive.settings.model_copy(update={"spool_keep_hours": 1.0}))
    assert evict_all(stays) == 0
    assert len(keys(spool_of(archive).spool)) == 1


def test_in_a_full_spool_it_stays_for_a_shorter_time(tmp_path: Path) -> None:
    settings = {"FILMLESS_SPOOL_KEEP_AT_LEAST_HOURS": "0", "FILMLESS_SPOOL_QUOTA_BYTES": "3000"}
    with fresh_archive("sqlite-spool", tmp_path, settings) as archive:
        outcomes = []
        room = spool_of(archive).room
        for _ in range(3):
            outcomes.append(store(archive))
            room._measure()
        with pytest.raises(StoreFull):
            store(archive)
        assert waiting(archive) == 3
        assert evict_all(archive) == 0  # full or not: what was not uploaded stays
        upload_all(archive)
        assert evict_all(archive) == 3
        room._measure()
        read_all(archive, [*outcomes, store(archive)])


@on_both_databases
def test_a_conflict_is_uploaded_too(archive: Archive) -> None:
    first = store(archive, SOPInstanceUID="1.2.3", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1")
    store(archive, SOPInstanceUID="1.2.3", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", Rows=8)
    store(archive)
    upload_all(archive)
    assert len(keys(spool_of(archive).remote)) == 3
    read_all(archive, [first])


@on_both_databases
def test_what_comes_again_after_it_has_left_the_spool_leaves_it_again(archive: Archive) -> None:
    dataset = make_dataset()
    incoming = IncomingInstance(EXPLICIT, CT_IMAGE_STORAGE, dataset.SOPInstanceUID, [encode(dataset)])
    for _ in range(2):
        store_instance(archive, incoming, Origin("dimse"))
        upload_all(archive)
        evict_all(archive)
        assert keys(spool_of(archive).spool) == set()
    assert len(keys(spool_of(archive))) == 1


def test_while_the_server_is_away_objects_are_taken_in_and_read(tmp_path: Path, gate: TcpGate) -> None:
    gate.close()
    with gated_archive(tmp_path, gate) as archive:
        outcomes = [store(archive) for _ in range(5)]
        with uploading(archive):
            read_all(archive, outcomes)
            assert waiting(archive) == 5
            gate.open()
            wait_until(lambda: waiting(archive) == 0)
            gate.close()
            more = [store(archive) for _ in range(5)]
            time.sleep(0.3)
            assert waiting(archive) == 5
            with pytest.raises(StoreUnavailable):
                evict_all(archive)
            gate.open()
            wait_until(lambda: waiting(archive) == 0)
        assert evict_all(archive) == 10
        read_all(archive, outcomes + more)


def test_connections_that_break_again_and_again_delay_and_lose_nothing(tmp_path: Path, gate: TcpGate) -> None:
    with gated_archive(tmp_path, gate) as archive, uploading(archive):
        outcomes = []
        for _ in range(15):
            outcomes += [store(archive) for _ in range(3)]
            gate.close()
            time.sleep(0.01)
            gate.open()
            time.sleep(0.05)
        wait_until(lambda: waiting(archive) == 0)
        assert evict_all(archive) == len(outcomes)
        read_all(archive, outcomes)


def test_what_the_server_has_lost_is_uploaded_again(archive: Archive) -> None:
    outcomes = [store(archive) for _ in range(5)]
    upload_all(archive)
    remote = spool_of(archive).remote
    for key in list(keys(remote))[:3]:
        remote.delete(key)
    assert evict_all(archive) == 2
    assert waiting(archive) == 3
    assert archive.index.spooled.report().failed_objects == 3
    upload_all(archive)
    assert evict_all(archive) == 3
    read_all(archive, outcomes)


def test_what_the_server_gives_back_damaged_is_replaced(archive: Archive) -> None:
    outcome = store(archive)
    upload_all(archive)
    (key,) = keys(spool_of(archive).spool)
    address = urlsplit(archive.settings.resolved_store_url)
    client = boto3.client("s3", endpoint_url=shared_seaweedfs().endpoint_url, region_name="us-east-1")
    name = f"{address.path.strip('/')}/{own_key(key)}"
    assert client.head_object(Bucket=address.netloc, Key=name)["ContentLength"] > 0
    client.put_object(Bucket=address.netloc, Key=name, Body=b"x" * 1000)
    assert evict_all(archive) == 0
    upload_all(archive)
    assert evict_all(archive) == 1
    read_all(archive, [outcome])


def test_what_is_damaged_in_the_spool_is_not_uploaded_and_not_removed(archive: Archive) -> None:
    store(archive)
    spool = spool_of(archive)
    (key,) = keys(spool.spool)
    damage(archive, key, spool.spool.read_range(key, 0, 10**6)[:-1] + b"?")
    with uploading(archive):
        wait_until(lambda: archive.index.spooled.report().failed_objects == 1)
    assert keys(spool.remote) == set()
    assert evict_all(archive) == 0
    assert keys(spool.spool) == {key}


@on_both_databases
def test_what_others_put_into_the_spool_is_noted_and_uploaded(archive: Archive) -> None:
    spool = spool_of(archive)
    archive.store.put("ledger/2026/1.jsonl", b"{}\n")
    assert note_spooled(archive, spool, Event()) == 0  # it may just be on its way
    assert note_spooled(archive, spool, Event(), settled_after=AT_ONCE) == 1
    assert note_spooled(archive, spool, Event(), settled_after=AT_ONCE) == 0
    upload_all(archive)
    assert keys(spool.remote) == {"ledger/2026/1.jsonl"}
    assert evict_all(archive) == 1
    assert archive.store.read_range("ledger/2026/1.jsonl", 0, 10) == b"{}\n"


def test_what_was_deleted_is_forgotten_and_what_is_lost_is_not(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    store(archive)
    (lost,) = keys(archive.store)
    spool_of(archive).spool.delete(lost)
    archive.store.put("deleted/object", b"x")
    archive.index.spooled.add({"deleted/object": 1}, datetime.now(UTC))
    archive.store.delete("deleted/object")
    with uploading(archive):
        wait_until(lambda: archive.index.spooled.report().objects == 1)
        wait_until(lambda: archive.index.spooled.report().failed_objects == 1)
    assert archive.index.spooled.known([lost, "deleted/object"]) == {lost}
    assert "neither in the spool nor in the remote store" in caplog.text
    with pytest.raises(ObjectNotFound):
        archive.store.stat(lost)


def test_what_is_deleted_while_it_is_uploaded_does_not_come_back(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = spool_of(archive)
    put_file = spool.remote.put_file
    key = ObjectName("1.2", "1.2.1", "1.2.3", hashlib.sha256(b"x").hexdigest()).key()

    def put_file_and_delete(*arguments: Any) -> ObjectStat:
        stat = put_file(*arguments)
        spool.spool.delete(key)
        return stat

    monkeypatch.setattr(spool.remote, "put_file", put_file_and_delete)
    archive.store.put(key, b"x")
    archive.index.spooled.add({key: 1}, datetime.now(UTC))
    upload_all(archive)
    assert keys(archive.store) == set()


@on_both_databases
def test_several_workers_share_the_work(archive: Archive) -> None:
    outcomes = [store(archive) for _ in range(40)]
    first, second = (archive.index.spooled.claim(15, datetime.now(UTC), upload.LEASE) for _ in range(2))
    claimed = [one.key for one in first + second]
    assert len(set(claimed)) == 30
    archive.index.spooled.extend(claimed, datetime.now(UTC))
    with uploading(archive), uploading(archive):
        wait_until(lambda: waiting(archive) == 0)
    assert evict_all(archive) == 40
    read_all(archive, outcomes)


@on_both_databases
def test_a_claim_ends_with_its_lease(archive: Archive) -> None:
    store(archive)
    spooled, now = archive.index.spooled, datetime.now(UTC)
    (one,) = spooled.claim(10, now, upload.LEASE)
    assert one.attempts == 1
    assert spooled.claim(10, now + upload.LEASE / 2, upload.LEASE) == []
    spooled.extend([one.key], now + 2 * upload.LEASE)
    assert spooled.claim(10, now + 1.5 * upload.LEASE, upload.LEASE) == []
    (again,) = spooled.claim(10, now + 2.5 * upload.LEASE, upload.LEASE)
    assert (again.key, again.attempts) == (one.key, 2)


@on_both_databases
def test_a_clock_that_is_set_back_stops_no_upload(archive: Archive) -> None:
    store(archive)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert len(archive.index.spooled.claim(10, yesterday, upload.LEASE)) == 1
    assert archive.index.spooled.claim(10, yesterday + upload.LEASE / 2, upload.LEASE) == []


def test_the_keeper_tells_of_what_waits(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    store(archive)
    caplog.set_level("INFO")
    spool_jobs.SpoolKeeper(archive, spool_of(archive), Event())._go_round()
    assert "1 objects (0 MB) wait to be uploaded" in caplog.text


def test_a_durable_server_needs_no_spool(tmp_path: Path) -> None:
    with fresh_archive("postgresql-s3", tmp_path) as archive:
        outcome = store(archive)
        assert archive.spool is None
        assert archive.index.spooled.report().objects == 0
        read_all(archive, [outcome])


def test_what_was_spooled_before_the_server_was_said_to_be_durable_is_still_read_and_uploaded(
    archive: Archive,
) -> None:
    outcome = store(archive)
    durable = open_archive(archive.settings.model_copy(update={"store_durable": True}))
    more = store(durable)
    assert waiting(durable) == 1
    upload_all(durable)
    assert evict_all(durable) == 1
    read_all(durable, [outcome, more])
    durable.close()


def lose_contents(server: S3Server) -> None:
    """Leave of every volume what a power cut may leave: its name. The lists of objects stay."""
    volumes = list((server.folder / "data").glob("*.dat"))
    assert sum(path.stat().st_size for path in volumes) > 1000
    for path in volumes:
        with path.open("r+b") as volume:
            volume.truncate(8)  # the superblock
        path.with_suffix(".idx").write_bytes(b"")


def test_what_a_server_lost_with_its_volumes_is_uploaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_requests, "READ_TIMEOUT_S", 2.0)  # it looks for lost bytes for half a minute
    monkeypatch.setattr(s3_requests, "DEADLINE_S", 8.0)
    with seaweedfs() as server:
        url = {"FILMLESS_STORE_URL": server.store_url("bucket"), **NO_STAY}
        with fresh_archive("sqlite-spool", tmp_path, url) as archive:
            outcomes = [store(archive) for _ in range(5)]
            upload_all(archive)
            server.kill()
            lose_contents(server)
            server.start()
            assert len(keys(spool_of(archive).remote)) == 5  # it says so
            assert evict_all(archive) == 0
            upload_all(archive)
            assert evict_all(archive) == 5
            assert keys(spool_of(archive).spool) == set()
            read_all(archive, outcomes)
