"""The clock of the machine jumps, and nothing is lost for it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.archive_process import running_up
from tests.soak.archives import judge_twice, sqlite_and_folder, wait_until
from tests.soak.conftest import Tell
from tests.soak.modality import Ledger, Modality, acknowledged, stop

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))  # of the Debian package faketime
_NOTICED_WITHIN_S = 1
_FAKED = {
    "FAKETIME_NO_CACHE": "0",
    "FAKETIME_CACHE_DURATION": str(_NOTICED_WITHIN_S),
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # no step of the clock moves it
}

pytestmark = [pytest.mark.soak, pytest.mark.skipif(not _LIBRARIES, reason="faketime is not here")]


@pytest.mark.parametrize(
    "jumps_in_days",
    [pytest.param((-1,), id="short"), pytest.param((-1, 1, -30, 0), id="long")],
)
def test_a_clock_that_jumps_loses_nothing(jumps_in_days: tuple[int, ...], tmp_path: Path, tell: Tell) -> None:
    offset = tmp_path / "offset"
    offset.write_text("+0\n")
    faked = {**_FAKED, "LD_PRELOAD": str(_LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(offset)}
    ledger: Ledger = {}
    with sqlite_and_folder(tmp_path) as setup:
        for (
            days
        ) in jumps_in_days:  # the worker sweeps when it starts, and meets what earlier clocks have left
            with running_up(tmp_path, {**setup.environment, **faked}) as archive:
                modalities = [Modality(archive.dicom_port) for _ in range(2)]
                _wait_for_some(modalities)
                offset.write_text(f"{days:+}d\n")
                time.sleep(2 * _NOTICED_WITHIN_S)
                _wait_for_some(modalities)
                ledger |= stop(modalities)
                living = [pid for command in ("listen", "web", "work") for pid in archive.children(command)]
            for pid in living:  # under faketime, some sleeps fail and some never end
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            there = datetime.now() + timedelta(days=days)
            assert f"{there:%Y-%m-%d}" in archive.printed(), "the clock did not jump"
        with running_up(tmp_path, setup.environment) as archive:
            tell(judge_twice(archive, setup, tmp_path, ledger), jumps=len(jumps_in_days))


def _wait_for_some(modalities: list[Modality]) -> None:
    """Send long enough for a jump to be noticed in the middle."""
    before = acknowledged(modalities)
    wait_until(lambda: acknowledged(modalities) >= before + 50, "images to be acknowledged")
