"""Killed at the k-th sync of a thread, for every k: between object, folder and index, nothing is lost."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from tests.data import find_program
from tests.e2e.archive_process import clean_environment, running_up
from tests.soak.archives import SETUPS, Setup, judge_twice, shortened
from tests.soak.conftest import Tell
from tests.soak.modality import SUCCESS, Image, Ledger, OpenAssociation, make_images

pytestmark = pytest.mark.skipif(find_program("strace") is None, reason="strace is not here")

_TIMEOUT_S = 10.0
_IMAGES_AT_MOST = 200  # by then a thread has long come to its k-th sync


_SYNCS = range(1, 1 + shortened("SOAK_ROUNDS", 60))


@pytest.mark.parametrize(
    ("setup_name", "syncs"),
    [
        pytest.param("sqlite-folder", (13,), id="short"),
        *(pytest.param(name, _SYNCS, id=f"long-{name}", marks=pytest.mark.soak) for name in SETUPS),
    ],
)
def test_a_listener_killed_at_a_sync_leaves_nothing_acknowledged_missing(
    setup_name: str, syncs: range, tmp_path: Path, tell: Tell
) -> None:
    images, ledger, kills = list(itertools.islice(make_images(), _IMAGES_AT_MOST)), Ledger(), 0
    with SETUPS[setup_name](tmp_path) as setup:
        migrate = [sys.executable, "-m", "pacs.cli", "migrate"]
        subprocess.run(migrate, cwd=tmp_path, env=clean_environment(setup.environment), check=True)
        for number in syncs:
            with _listener_killed_at_sync(number, setup, tmp_path) as (listener, port):
                _send_until_it_dies(listener, port, images, ledger)
                kills += listener.poll() is not None
            if len(images) < _IMAGES_AT_MOST // 2:
                images += itertools.islice(make_images(), _IMAGES_AT_MOST)
        with running_up(tmp_path, setup.environment) as archive:
            tell(judge_twice(archive, setup, tmp_path, ledger), kills=kills)
    assert kills, "no listener was killed"


@contextmanager
def _listener_killed_at_sync(
    number: int, setup: Setup, folder: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    inject = f"inject=fsync,fdatasync:signal=KILL:when={number}"
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(folder / "strace.log"), "-e", inject]
    listener = subprocess.Popen(
        [*command, sys.executable, "-m", "pacs.cli", "listen"],
        cwd=folder,
        env=clean_environment({**setup.environment, "FILMLESS_DICOM_PORT": str(port)}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield listener, port
    finally:
        with suppress(ProcessLookupError):
            os.killpg(listener.pid, signal.SIGKILL)  # of strace and of what it traces
        listener.wait()


def _send_until_it_dies(
    listener: subprocess.Popen[bytes], port: int, images: list[Image], ledger: Ledger
) -> None:
    """Send the first of the images until there is none; what dies in the middle is sent again next time."""
    deadline = time.monotonic() + 3 * _TIMEOUT_S
    while listener.poll() is None and time.monotonic() < deadline:
        try:
            with OpenAssociation(port, ledger, _TIMEOUT_S) as association:
                while images:
                    assert association.send(images[0]) == SUCCESS
                    del images[0]
        except (PeerUnreachable, PeerRejected):
            time.sleep(0.05)
