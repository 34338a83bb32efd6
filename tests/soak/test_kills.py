"""Killed at any point and under load, the archive comes back, and nothing that it acknowledged is missing."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.servers import PostgresqlServer
from tests.soak.archives import SETUPS, Setup, judge_twice, postgresql_and_s3, shortened, wait_until
from tests.soak.conftest import Tell
from tests.soak.modality import Ledger, Modality, acknowledged, stop

_LISTENERS = 2
_MODALITIES = 3
_BETWEEN_KILLS = 10  # acknowledged at least
_REST_S = 0.03


def rounds(short_setup: str, short: int, long: int) -> pytest.MarkDecorator:
    """A short form on one set of servers, and long ones on all of them."""
    rounds = shortened("SOAK_ROUNDS", long)
    return pytest.mark.parametrize(
        ("setup", "rounds"),
        [
            pytest.param(short_setup, short, id="short"),
            *(pytest.param(name, rounds, id=f"long-{name}", marks=pytest.mark.soak) for name in SETUPS),
        ],
        indirect=["setup"],
    )


@pytest.fixture
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    with SETUPS[request.param](tmp_path) as setup:
        yield setup


@rounds("sqlite-folder", short=2, long=300)
def test_a_killed_listener_comes_back_and_nothing_acknowledged_is_missing(
    setup: Setup, tmp_path: Path, rounds: int, tell: Tell
) -> None:
    environment = {**setup.environment, "FILMLESS_DICOM_PROCESSES": str(_LISTENERS)}
    with running_up(tmp_path, environment) as archive:
        modalities = [Modality(archive.dicom_port, rests_up_to_s=_REST_S) for _ in range(_MODALITIES)]
        for _ in range(rounds):
            _kill_under_load(modalities, lambda: _kill_listener(archive))
        ledger = stop(modalities)
        assert "signal 9" in archive.printed()
        tell(judge_twice(archive, setup, tmp_path, ledger), kills=rounds)


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(1, id="short"),
        pytest.param(shortened("SOAK_ROUNDS", 300), id="long", marks=pytest.mark.soak),
    ],
)
def test_a_killed_database_comes_back_and_nothing_acknowledged_is_missing(
    tmp_path: Path, rounds: int, tell: Tell
) -> None:
    with postgresql_and_s3(tmp_path) as setup, running_up(tmp_path, setup.environment) as archive:
        assert setup.database is not None
        database = setup.database
        modalities = [Modality(archive.dicom_port, rests_up_to_s=_REST_S) for _ in range(_MODALITIES)]
        for _ in range(rounds):
            _kill_under_load(modalities, lambda: _kill_database(database))
        ledger = stop(modalities)
        tell(judge_twice(archive, setup, tmp_path, ledger), kills=rounds)


@rounds("postgresql-s3", short=1, long=100)
def test_an_archive_killed_whole_comes_back_and_nothing_acknowledged_is_missing(
    setup: Setup, tmp_path: Path, rounds: int, tell: Tell
) -> None:
    ledger: Ledger = {}
    for _ in range(rounds):
        with running_up(tmp_path, setup.environment) as archive:
            modalities = [
                Modality(archive.dicom_port, timeout_s=5, rests_up_to_s=_REST_S) for _ in range(_MODALITIES)
            ]
            _kill_under_load(modalities, lambda: _kill_whole(archive))
            ledger |= stop(modalities)
    with running_up(tmp_path, setup.environment) as archive:
        tell(judge_twice(archive, setup, tmp_path, ledger), kills=rounds)


def _kill_under_load(modalities: list[Modality], kill: Callable[[], None]) -> None:
    before = acknowledged(modalities)
    wait_until(lambda: acknowledged(modalities) >= before + _BETWEEN_KILLS, "images to be acknowledged")
    time.sleep(random.uniform(0, 0.05))
    kill()


def _kill_listener(archive: ArchiveProcess) -> None:
    victim = random.choice(archive.children("listen"))
    os.kill(victim, signal.SIGKILL)
    wait_until(
        lambda: len(living := archive.children("listen")) == _LISTENERS and victim not in living,
        "the supervisor to start another listener",
    )


def _kill_database(database: PostgresqlServer) -> None:
    database.kill()
    database.start()


def _kill_whole(archive: ArchiveProcess) -> None:
    """Kill the supervisor first, so that it starts nothing again."""
    children = [pid for command in ("listen", "web", "work") for pid in archive.children(command)]
    for pid in (archive.process.pid, *children):
        os.kill(pid, signal.SIGKILL)
    archive.process.wait()
