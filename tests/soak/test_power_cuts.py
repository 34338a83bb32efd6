"""The power is cut at any moment of a real ingest, and what the disk may be left with is opened again."""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest

from pacs.archive import Archive, open_archive
from pacs.dicom.part10 import split_part10
from pacs.dimse.command import RESPONSE, CommandField, Element, decode_command_set
from pacs.index.objects import ObjectCursor
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs.sweep import sweep
from pacs.own_stores import require_own_stores
from pacs.settings import KNOWN_VARIABLES, Settings
from tests.data import find_program
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import running_up
from tests.servers import shared_seaweedfs
from tests.soak.archives import shortened
from tests.soak.modality import Image, OpenAssociation, make_images
from tests.soak.recorded_disk import RecordedDisk
from tests.soak.system_calls import SystemCall, read_calls, tracing

_STRACE = find_program("strace")
pytestmark = [  # every file that Python opens is traced: too slow for the suite on a busy machine
    pytest.mark.soak,
    pytest.mark.skipif(_STRACE is None, reason="strace is not here"),
]

_ASSOCIATIONS = 3
_READY_WITHIN_S = 180.0
_KEPT = (0x0000, 0xB000)  # both say that the archive has it (PS3.4 B.2.3)
_LARGE_SIDE = 800  # more than 1 MiB: a file of its own
_PAGE = 1000
_NOBODY_THERE = "http://127.0.0.1:9"
_WRONG_COUNTS = """
    SELECT count(*) FROM study WHERE number_of_instances <>
        (SELECT count(*) FROM instance JOIN series ON series.id = series_ref WHERE study_ref = study.id)
"""

Tell = Callable[[str, object], None]
Content = tuple[str, str]  # SOP Instance UID, and SHA-256 of the data set


@dataclass(slots=True)
class Senders:
    """What was sent: the digests of the data sets of an instance, in their order."""

    port: int
    sent: dict[str, list[str]] = field(default_factory=dict)

    def send(self, images: int, side: int) -> None:
        """Send over several associations at a time."""
        threads = [Thread(target=self._send, args=(images, side)) for _ in range(_ASSOCIATIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, images: int, side: int) -> None:
        """Send new images; of each tenth one again what is known, and other content under its UID."""
        with OpenAssociation(self.port, {}) as association:
            for number, image in enumerate(islice(make_images(side), images)):
                self._send_one(association, image)
                if number % 10 == 3:
                    self._send_one(association, image)
                    self._send_one(association, replace(image, dataset=image.dataset[:-1] + b"!"))
            self._send_one(association, next(make_images(_LARGE_SIDE)))

    def _send_one(self, association: OpenAssociation, image: Image) -> None:
        self.sent.setdefault(image.sop_instance_uid, []).append(_sha256(image.dataset))
        assert association.send(image) in _KEPT


@dataclass(frozen=True, slots=True)
class Recording:
    """What an archive did to its disk, and when it answered that it has what was sent."""

    disk: RecordedDisk
    acknowledged: list[tuple[int, Content]]  # when the answer began to be sent
    sent: set[Content]

    def cuts(self, number: int, rng: random.Random) -> list[int]:
        """Choose moments: answers that have just left, flushes that begin or end, and anything else."""
        answers = [moment for moment, _ in self.acknowledged]
        flushes = [moment for call in self.disk.syncs for moment in (call.begun, call.ended)]
        others = range(self.disk.syncs[0].begun, self.disk.syncs[-1].ended + 2)
        thirds = (answers, flushes, others)
        return sorted(rng.choice(thirds[each % 3]) for each in range(number))


def record(folder: Path, environment: Mapping[str, str], images: int, side: int) -> Recording:
    """Run an archive twice, from nothing, and send to it; each time it is stopped in order."""
    log, root, sent = folder / "strace.log", folder / "disk", dict[str, list[str]]()
    root.mkdir()
    traced = {**environment, "FILMLESS_DATA_DIR": str(root / "data"), "FILMLESS_DICOM_PROCESSES": "2"}
    for _ in range(2):
        with running_up(
            folder, traced, tracer=tracing(str(_STRACE), log), ready_within_s=_READY_WITHIN_S
        ) as archive:
            senders = Senders(archive.dicom_port, sent)
            senders.send(images, side)
    calls = list(read_calls(log))
    contents = {(uid, sha256) for uid, digests in sent.items() for sha256 in digests}
    return Recording(RecordedDisk(root, calls), _acknowledged(calls, sent), contents)


def _acknowledged(calls: list[SystemCall], sent: Mapping[str, list[str]]) -> list[tuple[int, Content]]:
    answers: Counter[str] = Counter()
    found = []
    for call in sorted((call for call in calls if call.name == "sendto"), key=lambda call: call.begun):
        if answer := _store_response(call.contents[0]):
            sop_instance_uid, status = answer
            assert status in _KEPT
            found.append((call.begun, (sop_instance_uid, sent[sop_instance_uid][answers[sop_instance_uid]])))
            answers[sop_instance_uid] += 1
    return found


def _store_response(data: bytes) -> tuple[str, int] | None:
    """Read instance and status of a C-STORE-RSP that fills a P-DATA-TF (PS3.8 9.3.5); None of other PDUs."""
    if data[:1] != b"\4":
        return None
    command = decode_command_set(data[12:])
    if command.number(Element.COMMAND_FIELD) != CommandField.C_STORE_RQ | RESPONSE:
        return None
    return command.text(Element.AFFECTED_SOP_INSTANCE_UID) or "", command.required_number(Element.STATUS)


@contextmanager
def opened(folder: Path, environment: Mapping[str, str]) -> Iterator[Archive]:
    """Open what is left of an archive as its own start does."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        for variable in KNOWN_VARIABLES:
            monkeypatch.delenv(variable, raising=False)
        for variable, value in {**environment, "FILMLESS_DATA_DIR": str(folder / "data")}.items():
            monkeypatch.setenv(variable, value)
        archive = open_archive(Settings())
        try:
            archive.index.migrate()
            require_own_stores(archive)
            if archive.spool is not None:
                archive.spool.remote.check()  # which makes the bucket, as the worker does
            yield archive
        finally:
            archive.close()


def require_sound(
    folder: Path, environment: Mapping[str, str], recording: Recording, cut: int
) -> Counter[str]:
    """Start what a cut has left, sweep, and compare with what was acknowledged before the cut."""
    promised = {content for moment, content in recording.acknowledged if moment < cut}
    with opened(folder, environment) as archive:
        before = _contents(archive)
        assert promised <= before, "acknowledged, and lost"
        report = sweep(archive, Event(), timedelta(0))
        assert not (report.missing or report.postponed)
        after = _contents(archive)
        assert before <= after <= recording.sent, "something is there that was never sent"
        assert not sweep(archive, Event(), timedelta(0)).adopted
        _require_that_it_goes_on(archive)
    with closing(sqlite3.connect(folder / "data" / "index.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute(_WRONG_COUNTS).fetchone() == (0,)
    return Counter(
        acknowledged=len(promised), found=len(before), adopted=report.adopted, torn=report.unreadable
    )


def _contents(archive: Archive) -> set[Content]:
    """Read every object that the index knows, whole; each has the bytes that its row says."""
    found, cursor = set[Content](), ObjectCursor()
    while rows := archive.index.list_objects(cursor, _PAGE):
        cursor = rows[-1].cursor
        for row in rows:
            with archive.store.open(row.key) as stored:
                content = stored.read()
            assert (len(content), _sha256(content)) == (row.size_bytes, row.sha256), "half visible"
            found.add((row.sop_instance_uid, _sha256(b"".join(split_part10([content])[1]))))
    return found


def _require_that_it_goes_on(archive: Archive) -> None:
    dataset = make_dataset()
    store_instance(archive, open_part10([encode_file(dataset)]), Origin("dimse"))
    (found,) = archive.index.find_instances(dataset.StudyInstanceUID)
    assert archive.store.stat(found.location.key).size_bytes == found.location.size_bytes


def _sha256(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


def _folder_alone() -> Mapping[str, str]:
    return {}


def _spool_of_an_s3_server() -> Mapping[str, str]:
    """An S3 server that has nothing: all that was sent must be in the spool."""
    s3 = shared_seaweedfs()
    return {"FILMLESS_STORE_URL": s3.store_url("power-cuts", uuid4().hex), **s3.environment}


_S3_AWAY = {
    "FILMLESS_STORE_URL": f"s3://power-cuts?endpoint_url={_NOBODY_THERE}",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
}
_STORES: dict[str, tuple[Mapping[str, str], Callable[[], Mapping[str, str]]]] = {
    "folder": ({}, _folder_alone),
    "spool": (_S3_AWAY, _spool_of_an_s3_server),
}


@pytest.mark.parametrize("store", _STORES)
@pytest.mark.parametrize(
    ("images", "side", "cuts"),
    [
        pytest.param(8, 104, 12, id="short"),
        pytest.param(40, 104, shortened("SOAK_ROUNDS", 600), id="long"),
        pytest.param(500, 16, shortened("SOAK_ROUNDS", 200), id="long-checkpoints"),
    ],
)
def test_whatever_a_power_cut_leaves_nothing_acknowledged_is_missing(
    store: str, images: int, side: int, cuts: int, tmp_path: Path, record_property: Tell
) -> None:
    while_recorded, afterwards = _STORES[store]
    recording = record(tmp_path, while_recorded, images, side)
    counts: Counter[str] = Counter()
    seed = random.randrange(1 << 32)
    for number, cut in enumerate(recording.cuts(cuts, random.Random(seed))):
        left = tmp_path / "left"
        recording.disk.after_cut(cut, left, random.Random(f"{seed} {number}"))
        try:
            counts += require_sound(left, afterwards(), recording, cut)
        except Exception as error:
            raise AssertionError(f"cut at {cut}, number {number} of seed {seed}") from error
        shutil.rmtree(left)
    for name, value in {"cuts": cuts, **counts}.items():
        record_property(name, value)
    assert counts["acknowledged"], "nothing was promised, and nothing is proved"
