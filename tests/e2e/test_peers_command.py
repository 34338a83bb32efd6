"""A hospital's IT person lets devices in, one after the other."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data import program
from tests.e2e import operator_commands
from tests.e2e.archive_process import running_up


def peers(*arguments: str) -> tuple[int, str]:
    return operator_commands.finished(operator_commands.start("peers", *arguments))


def echo(port: int, calling_ae_title: str, called_ae_title: str = "FILMLESS") -> bool:
    command = [program("echoscu"), "-aet", calling_ae_title, "-aec", called_ae_title]
    return subprocess.run([*command, "127.0.0.1", str(port)], check=False).returncode == 0


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 15
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True


def test_peers_are_let_in_and_out_while_the_archive_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {
        "FILMLESS_DATA_DIR": str(tmp_path / "data"),
        "FILMLESS_LAN_OPEN": "false",
        "FILMLESS_DICOM_PROCESSES": "1",  # each heeds a change in its own time
        "FILMLESS_OTHER_AE_TITLES": '["OLD_PACS"]',
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with running_up(tmp_path, environment) as archive:
        port = archive.dicom_port
        assert not echo(port, "CT1")
        assert peers("list") == (0, "there are no peers; 'filmless peers add' adds one\n")
        code, told = peers("add", "CT1", f"127.0.0.1:{port}", "--may", "store,find")
        assert (code, told.split()) == (0, ["CT1", f"127.0.0.1:{port}", "find,store"])
        assert soon(lambda: echo(port, "CT1"))
        assert echo(port, "CT1", "OLD_PACS")
        assert not echo(port, "CT2")
        code, told = peers("add", "CT1")
        assert (code, told) == (2, "filmless: there is a peer CT1 already\n")
        code, told = peers("change", "CT1", "--may", "none", "--unaccented", "--only-from-host")
        assert told.split() == [
            "CT1",
            f"127.0.0.1:{port}",
            "none",
            "only",
            "from",
            "its",
            "host",
            "unaccented",
        ]
        assert peers("list")[1] == told
        assert peers("add", "FILMLESS", f"127.0.0.1:{port}")[0] == 0
        code, told = peers("test", "FILMLESS")
        assert code == 0
        assert f"FILMLESS at 127.0.0.1:{port} answered in" in told
        assert peers("remove", "CT1") == (0, "CT1 is no peer any more\n")
        assert soon(lambda: not echo(port, "CT1"))
        assert peers("remove", "CT1") == (2, "filmless: there is no peer CT1\n")
        assert peers("test", "CT1")[0] == 2
        assert peers("add", "X", "here:port")[0] == 2
        assert peers("add", "X", "--may", "everything")[0] == 2
