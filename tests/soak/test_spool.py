"""With S3 behind a spool: S3 goes away, the worker is killed, the spool fills, and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from pacs.errors import IndexUnavailable
from pacs.index.index import open_index
from pacs.index.spooled import SpoolReport
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.servers import postgresql_server, shared_seaweedfs
from tests.soak.archives import Setup, judge_twice, wait_until
from tests.soak.conftest import Tell
from tests.soak.judge import judge
from tests.soak.modality import SUCCESS, Ledger, Modality, OpenAssociation, acknowledged, make_images, stop
from tests.tcp_gate import TcpGate, gate_before

_MODALITIES = 3
_REST_S = 0.3  # uploads keep up with that: it is the kills that are to be many
_OUT_OF_RESOURCES = 0xA700
_QUOTA_BYTES = 1_000_000
_LESS_WITHIN_S = 120.0


@contextmanager
def behind_gate(folder: Path, settings: Mapping[str, str]) -> Iterator[tuple[Setup, TcpGate]]:
    """SQLite, a spool that keeps nothing that was uploaded, and a real S3 server behind a gate."""
    s3 = shared_seaweedfs()
    address = urlsplit(s3.endpoint_url)
    with gate_before(str(address.hostname), int(address.port or 0)) as gate:
        environment = {
            "FILMLESS_DATA_DIR": str(folder / "data"),
            "FILMLESS_STORE_URL": s3.store_url(f"spool-{uuid4().hex}").replace(
                str(address.port), str(gate.port)
            ),
            "FILMLESS_SPOOL_KEEP_HOURS": "0",
            "FILMLESS_SPOOL_KEEP_AT_LEAST_HOURS": "0",
            **s3.environment,
            **settings,
        }
        yield Setup(environment), gate


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)])
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    """A spool that keeps nothing that was uploaded, on either database."""
    with behind_gate(tmp_path, {}) as (setup, _):
        if request.param == "sqlite":
            yield setup
            return
        with postgresql_server(durable=True) as database:
            yield Setup({**setup.environment, "FILMLESS_DATABASE_URL": database.url}, database)


def spool_report(setup: Setup) -> SpoolReport:
    data = Path(setup.environment["FILMLESS_DATA_DIR"])
    index = open_index(setup.environment.get("FILMLESS_DATABASE_URL", f"sqlite:///{data}/index.sqlite"))
    try:
        return index.spooled.report()
    finally:
        index.close()


def wait_until_spool_is_empty(setup: Setup) -> None:
    """Wait as long as it becomes less: a loaded machine uploads slowly."""
    objects = sys.maxsize

    def is_less() -> bool:
        nonlocal objects
        before = objects
        with suppress(IndexUnavailable):
            objects = min(spool_report(setup).objects, before)
        return objects < before

    while objects:
        wait_until(is_less, f"the spool to be uploaded and removed; {objects} left", _LESS_WITHIN_S)
    spool = Path(setup.environment["FILMLESS_DATA_DIR"]) / "spool"
    assert list(spool.glob("*/*/*/*.dcm")) == []


def test_while_s3_is_away_images_are_taken_in_and_seen(tmp_path: Path, tell: Tell) -> None:
    with behind_gate(tmp_path, {}) as (setup, gate):
        gate.close()
        with running_up(tmp_path, setup.environment) as archive:
            modalities = [Modality(archive.dicom_port) for _ in range(_MODALITIES)]
            wait_until(lambda: acknowledged(modalities) >= 30, "images to be acknowledged")
            ledger = stop(modalities)
            judge(archive.http_url, ledger).require_clean()
            waiting = spool_report(setup).waiting_objects
            assert waiting >= 30
            gate.open()
            wait_until_spool_is_empty(setup)
            tell(judge_twice(archive, setup, tmp_path, ledger), waited=waiting)


@pytest.mark.parametrize(
    "rounds", [pytest.param(2, id="short"), pytest.param(100, id="long", marks=pytest.mark.soak)]
)
def test_a_killed_worker_comes_back_and_everything_is_uploaded(
    setup: Setup, tmp_path: Path, rounds: int, tell: Tell
) -> None:
    with running_up(tmp_path, setup.environment) as archive:
        modalities = [Modality(archive.dicom_port, rests_up_to_s=_REST_S) for _ in range(_MODALITIES)]

        def uploaded() -> int:
            return acknowledged(modalities) - spool_report(setup).waiting_objects

        for _ in range(rounds):
            before = uploaded()
            wait_until(lambda before=before: uploaded() > before + 10, "images to be uploaded")
            time.sleep(random.uniform(0, 0.2))
            _kill_worker(archive)
        ledger = stop(modalities)
        wait_until_spool_is_empty(setup)
        tell(judge_twice(archive, setup, tmp_path, ledger), kills=rounds)


def test_a_full_spool_refuses_and_goes_on_when_it_was_uploaded(tmp_path: Path, tell: Tell) -> None:
    with behind_gate(tmp_path, {"FILMLESS_SPOOL_QUOTA_BYTES": str(_QUOTA_BYTES)}) as (setup, gate):
        gate.close()
        ledger, images = Ledger(), make_images()
        with running_up(tmp_path, setup.environment) as archive:
            with OpenAssociation(archive.dicom_port, ledger) as association:
                wait_until(
                    lambda: association.send(next(images)) == _OUT_OF_RESOURCES, "the spool to be full"
                )
                full_at = spool_report(setup).size_bytes
                gate.open()
                wait_until(lambda: association.send(next(images)) == SUCCESS, "room", within_s=_LESS_WITHIN_S)
            wait_until_spool_is_empty(setup)
            tell(judge_twice(archive, setup, tmp_path, ledger), full_at_bytes=full_at)
        assert full_at >= _QUOTA_BYTES


def _kill_worker(archive: ArchiveProcess) -> None:
    (victim,) = archive.children("work")
    os.kill(victim, signal.SIGKILL)
    wait_until(
        lambda: len(living := archive.children("work")) == 1 and victim not in living,
        "the supervisor to start another worker",
    )
