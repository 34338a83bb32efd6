"""``filmless import`` as an operator runs it: killed in the middle, and run again."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import random

import pytest

from pacs.archive import Archive
from pacs.retrieve import find_instances, read_chunks
from tests.backends import BACKENDS, fresh_archive
from tests.datasets import encode, encode_file, make_dataset
from tests.e2e.operator_commands import finished, start

FILES, WORKERS = 240, 4


@pytest.fixture(params=BACKENDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """An archive whose settings are in this process's environment, for children to find."""
    with fresh_archive(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def embedded_archive(tmp_path: Path) -> Iterator[Archive]:
    """The same on SQLite and a folder, where the back end is not what matters."""
    with fresh_archive("sqlite-folder", tmp_path) as opened:
        yield opened


def start_import(*arguments: str) -> subprocess.Popen[str]:
    return start("import", f"--workers={WORKERS}", *arguments)


def count_stored(archive: Archive) -> int:
    return archive.index.count_objects().objects


@pytest.mark.parametrize(
    "kills", [pytest.param(2, id="short"), pytest.param(40, id="long", marks=pytest.mark.soak)]
)
def test_an_import_that_is_killed_goes_on_and_loses_nothing(
    archive: Archive, tmp_path: Path, kills: int
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    files = (kills + 1) * FILES // 3
    datasets = [make_dataset(InstanceNumber=number) for number in range(files)]
    for number, dataset in enumerate(datasets):
        (source / f"NGUYEN VAN {number}.dcm").write_bytes(encode_file(dataset))
    for killed in range(kills):
        process, goal = start_import(str(source)), (killed + random()) * files / (kills + 1)
        while count_stored(archive) < goal and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert finished(process)[0] == -signal.SIGKILL
    before = count_stored(archive)
    report = tmp_path / "report.jsonl"
    code, output = finished(start_import(str(source), "--report", str(report)))
    assert code == 0, output
    outcomes = Counter(json.loads(line)["outcome"] for line in report.read_text().splitlines())
    # What was on its way into index and journal at a kill is read once more, and nothing else.
    assert outcomes["stored"] + outcomes["already stored"] == outcomes.total()
    assert files - before <= outcomes.total() <= files - before + kills * WORKERS
    assert count_stored(archive) == files
    for dataset in datasets:
        (found,) = find_instances(archive, dataset.StudyInstanceUID)
        assert b"".join(read_chunks(archive, found))[found.location.dataset_offset :] == encode(dataset)


def test_exit_codes_tell_how_an_import_went(embedded_archive: Archive, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.dcm", tmp_path / "bad.dcm"
    good.write_bytes(encode_file(make_dataset()))
    bad.write_bytes(good.read_bytes()[:-10])
    assert finished(start_import(str(good)))[0] == 0
    code, output = finished(start_import(str(good), str(bad)))
    assert code == 1
    assert "1  finished in an earlier run" in output
    assert "1  the pixel data is cut short" in output
    assert finished(start_import(str(tmp_path / "absent")))[0] == 2
    code, output = finished(start_import(str(good), "--journal", "/dev/null/x"))
    assert (code, "Traceback" in output) == (2, False)


def test_an_import_that_is_stopped_says_how_it_goes_on(embedded_archive: Archive, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(FILES):
        (source / str(number)).write_bytes(encode_file(make_dataset()))
    process = start_import(str(source))
    while count_stored(embedded_archive) < 20 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    code, output = finished(process)
    assert code == 2
    assert "stopped; run the same command again" in output
    assert "Traceback" not in output
    assert finished(start_import(str(source)))[0] == 0
    assert count_stored(embedded_archive) == FILES
