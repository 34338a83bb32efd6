"""Orthanc as a workstation: it asks for studies by C-MOVE, and takes them in."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydicom import dcmread

from pacs.dicom.part10 import split_part10
from pacs.dimse.scu import send_instances
from pacs.peers import KEPT_FOR_S
from tests.data import shared_data
from tests.e2e import operator_commands
from tests.e2e.archive_process import running_up
from tests.orthanc import running_orthanc

HOST = "127.0.0.1"


def test_orthanc_has_studies_moved_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted(shared_data("ct_series_philips_phantom_54").rglob("*.dcm"))
    study_uid = str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID)
    environment = {"FILMLESS_DATA_DIR": str(tmp_path / "data"), "FILMLESS_LAN_OPEN": "false"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    with (
        running_up(tmp_path, environment) as archive,
        running_orthanc(tmp_path, {"filmless": ["FILMLESS", HOST, archive.dicom_port]}) as orthanc,
    ):
        for peer in (["CT1"], ["ORTHANC", f"{HOST}:{orthanc.dicom_port}", "--may", "find,move,get"]):
            assert operator_commands.finished(operator_commands.start("peers", "add", *peer))[0] == 0
        time.sleep(KEPT_FOR_S + 1)  # until each listener has read the table again
        sent = send_instances(HOST, archive.dicom_port, "FILMLESS", paths, calling_ae_title="CT1")
        assert {status for _, status in sent} == {0x0000}
        wanted = {"Level": "Study", "Resources": [{"StudyInstanceUID": study_uid}], "TargetAet": "ORTHANC"}
        orthanc.ask("POST", "/modalities/filmless/move", wanted)
        found = orthanc.ask("GET", "/instances")
        assert len(found) == len(paths)
        datasets = {b"".join(split_part10([path.read_bytes()])[1]) for path in paths}
        for one in found[::10]:
            assert b"".join(split_part10([orthanc.download(f"/instances/{one}/file")])[1]) in datasets
