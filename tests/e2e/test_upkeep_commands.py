"""``filmless verify`` and ``filmless sweep`` as an operator runs them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs.archive import Archive
from pacs.index.objects import ObjectCursor
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs.verify import MAX_BATCH_OBJECTS
from tests.backends import fresh_archive
from tests.datasets import encode_file, make_dataset
from tests.e2e.operator_commands import finished, start

OBJECTS = 3 * MAX_BATCH_OBJECTS


def filled(archive: Archive, objects: int) -> list[str]:
    """Store instances; give the keys of their objects in the order of the index."""
    for _ in range(objects):
        store_instance(archive, open_part10([encode_file(make_dataset())]), Origin("dimse"))
    keys: list[str] = []
    while batch := archive.index.list_objects(ObjectCursor(0, len(keys)), 1000):
        keys += [one.key for one in batch]
    return keys


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with fresh_archive("sqlite-folder", tmp_path) as opened:
        yield opened


def test_a_verification_that_is_killed_goes_on_behind_its_last_batch(archive: Archive) -> None:
    keys = filled(archive, OBJECTS)
    archive.store.delete(keys[3])
    state = archive.settings.data_dir / "verify.state"
    process = start("verify", "--rate=0.15")  # some 100 objects a second
    while not state.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert finished(process)[0] == -signal.SIGKILL
    verified = json.loads(state.read_text())["report"]["objects"]
    assert 0 < verified < OBJECTS
    code, output = finished(start("verify"))
    assert code == 1, output
    assert f"went on behind {verified} objects of an earlier run" in output
    assert f"{OBJECTS}  objects verified" in output
    assert f"missing: {keys[3]}" in output  # which the killed run had found
    assert not state.exists()


def test_exit_codes_and_reports_tell_what_is_wrong(tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    with fresh_archive("sqlite-folder", tmp_path) as archive:
        key, other = filled(archive, 2)
        assert [finished(start(command))[0] for command in ("sweep", "verify")] == [0, 0]
        archive.store.delete(key)
        code, output = finished(start("sweep", "--report", str(report)))
        assert code == 1, output
        assert "1  missing" in output
        assert "Traceback" not in output
        assert json.loads(report.read_text()) == {"key": key, "fault": "missing"}
        archive.store.delete(other)
        for command in ("sweep", "verify"):
            code, output = finished(start(command))
            assert (code, "is it the right store" in output) == (2, True), output
