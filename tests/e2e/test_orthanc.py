"""Orthanc as a workstation: it asks for studies by C-MOVE, and takes them in."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from pydicom import dcmread

from pacs.dicom.part10 import split_part10
from pacs.dimse.scu import send_instances
from tests.data import program, shared_data
from tests.e2e import operator_commands
from tests.e2e.archive_process import running_up

HOST = "127.0.0.1"


def free_ports() -> tuple[int, int]:
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@contextmanager
def orthanc(folder: Path, filmless_port: int) -> Iterator[tuple[int, str]]:
    """Run Orthanc, which knows the archive as the modality ``filmless``; give its DICOM port and its URL."""
    port, http_port = free_ports()
    configuration = folder / "orthanc.json"
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpPort": http_port,
        "AuthenticationEnabled": False,
        "DicomModalities": {"filmless": ["FILMLESS", HOST, filmless_port]},
    }
    configuration.write_text(json.dumps(settings))
    process = subprocess.Popen(
        [program("Orthanc"), str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield port, f"http://{HOST}:{http_port}"
    finally:
        process.terminate()
        process.wait(20)


def ask(url: str, body: dict[str, Any] | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data), timeout=60) as answer:
        return bytes(answer.read())


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            ask(f"{url}/system")
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return


def test_orthanc_has_studies_moved_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted(shared_data("ct_series_philips_phantom_54").rglob("*.dcm"))
    study_uid = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
    environment = {"FILMLESS_DATA_DIR": str(tmp_path / "data"), "FILMLESS_LAN_OPEN": "false"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with (
        running_up(tmp_path, environment) as archive,
        orthanc(tmp_path, archive.dicom_port) as (port, url),
    ):
        for peer in (["CT1"], ["ORTHANC", f"{HOST}:{port}", "--may", "find,move,get"]):
            assert operator_commands.finished(operator_commands.start("peers", "add", *peer))[0] == 0
        time.sleep(6)  # until each listener has read the table again
        sent = send_instances(HOST, archive.dicom_port, "FILMLESS", paths, calling_ae_title="CT1")
        assert {status for _, status in sent} == {0x0000}
        wait_for(url)
        wanted = {"Level": "Study", "Resources": [{"StudyInstanceUID": study_uid}], "TargetAet": "ORTHANC"}
        ask(f"{url}/modalities/filmless/move", wanted)
        found = json.loads(ask(f"{url}/instances"))
        assert len(found) == len(paths)
        datasets = {b"".join(split_part10([path.read_bytes()])[1]) for path in paths}
        for one in found[::10]:
            assert b"".join(split_part10([ask(f"{url}/instances/{one}/file")])[1]) in datasets
