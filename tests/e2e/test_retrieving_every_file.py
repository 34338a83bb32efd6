"""Every real file goes in by one peer, and comes back by C-MOVE and C-GET as it was."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as StudyRootGet

from pacs.dicom.part10 import split_part10
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.dimse.scu import send_instances
from tests.data import program, read_manifest, shared_data
from tests.e2e import operator_commands
from tests.e2e.archive_process import running_up

HOST = "127.0.0.1"
ACCEPTED = (0x0000, 0xB000)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def storescp(folder: Path, port: int, *options: str) -> Iterator[Path]:
    """dcmtk's storescp, which writes what it gets, bit for bit, into a folder."""
    folder.mkdir()
    command = [program("storescp"), "-aet", "DEST", "-od", str(folder), "+B", *options, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    break
            time.sleep(0.05)
        yield folder
    finally:
        process.kill()
        process.wait()


def dataset_of(content: bytes) -> bytes:
    return b"".join(split_part10([content])[1])


def names_of(content: bytes) -> tuple[str, str]:
    """Transfer syntax and SOP Instance UID of a file."""
    meta, _ = split_part10([content])
    return meta.transfer_syntax_uid, meta.sop_instance_uid


class Originals:
    """The files that the archive has taken in, the first of each SOP Instance UID; and their studies."""

    def __init__(self, port: int) -> None:
        self.contents: dict[str, bytes] = {}
        self.studies: set[str] = set()
        paths = [shared_data(*Path(row["file"]).parts) for row in read_manifest() if row["sop"]]
        for path in paths:
            if path.stat().st_size < 20_000_000:
                self._send(path, port)

    def _send(self, path: Path, port: int) -> None:
        try:
            content = path.read_bytes()
            _, uid = names_of(content)
            header = dcmread(io.BytesIO(content), stop_before_pixels=True, force=True)
            ((_, status),) = list(send_instances(HOST, port, "FILMLESS", [path]))
        except Exception:  # no DICOM file, or one that no peer can send
            return
        if status in ACCEPTED and uid not in self.contents:
            self.contents[uid] = content
            self.studies.add(str(header.StudyInstanceUID))


@pytest.fixture(scope="module")
def moved_and_got(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Originals, int, int, Path]]:
    """An archive with every file: what went in, its port, that of the destination, a folder."""
    folder = tmp_path_factory.mktemp("archive")
    destination_port = free_port()
    environment = {"FILMLESS_DATA_DIR": str(folder / "data")}
    with pytest.MonkeyPatch.context() as monkeypatch, running_up(folder, environment) as archive:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        peer = ["peers", "add", "DEST", f"{HOST}:{destination_port}"]
        assert operator_commands.finished(operator_commands.start(*peer))[0] == 0
        yield Originals(archive.dicom_port), archive.dicom_port, destination_port, folder


def movescu(port: int, study_uids: list[str]) -> str:
    """Have dcmtk's movescu move studies; give what it printed of the answers."""
    command = [program("movescu"), "-v", "-S", "-aec", "FILMLESS", "-aem", "DEST", HOST, str(port)]
    command += ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=" + "\\".join(study_uids)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=300)
    return done.stderr.decode("latin-1") + done.stdout.decode("latin-1")


def received(folder: Path) -> dict[str, bytes]:
    contents = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
    return {names_of(content)[1]: content for content in contents}


def test_every_file_is_moved_and_comes_back_as_it_was(
    moved_and_got: tuple[Originals, int, int, Path],
) -> None:
    originals, port, destination_port, folder = moved_and_got
    with storescp(folder / "all", destination_port, "+xa") as got:
        studies = sorted(originals.studies)
        for start in range(0, len(studies), 40):
            movescu(port, studies[start : start + 40])
        found = received(got)
    assert len(originals.contents) > 400
    byte_identical = other = 0
    for uid, content in originals.contents.items():
        if uid not in found:
            other += 1  # storescp knows no SOP class or transfer syntax of it
        elif names_of(found[uid])[0] == names_of(content)[0]:
            assert dataset_of(found[uid]) == dataset_of(content), uid
            byte_identical += 1
    assert byte_identical > 0.9 * len(originals.contents)
    assert other < 0.1 * len(originals.contents)


def test_what_a_plain_peer_cannot_take_comes_with_the_same_pixels(
    moved_and_got: tuple[Originals, int, int, Path],
) -> None:
    originals, port, destination_port, folder = moved_and_got
    with storescp(folder / "plain", destination_port, "+xi") as got:  # Implicit VR Little Endian alone
        studies = sorted(originals.studies)
        for start in range(0, len(studies), 40):
            movescu(port, studies[start : start + 40])
        found = received(got)
    compared = 0
    for uid, content in found.items():
        if uid not in originals.contents:
            continue
        before = dcmread(io.BytesIO(originals.contents[uid]), force=True)
        after = dcmread(io.BytesIO(content))
        assert names_of(content)[0] == "1.2.840.10008.1.2"
        if "PixelData" not in before or before.file_meta.TransferSyntaxUID.is_compressed:
            continue
        try:
            pixels = before.pixel_array
        except (AttributeError, ValueError):  # damaged as it came
            continue
        assert np.array_equal(pixels, after.pixel_array), uid
        compared += 1
    assert compared > 100
    assert len(found) > 0.6 * len(originals.contents)


def test_every_file_comes_by_get_as_it_is_stored(
    moved_and_got: tuple[Originals, int, int, Path],
) -> None:
    originals, port, _, _ = moved_and_got
    wanted: dict[str, set[str]] = {}
    for content in originals.contents.values():
        meta, _rest = split_part10([content])
        wanted.setdefault(meta.sop_class_uid, set()).add(meta.transfer_syntax_uid)
    offers = [(uid, syntax) for uid, syntaxes in sorted(wanted.items()) for syntax in sorted(syntaxes)]
    got: dict[str, bytes] = {}
    for start in range(0, len(offers), 100):
        _get(port, offers[start : start + 100], sorted(originals.studies), got)
    different = [
        uid
        for uid, content in originals.contents.items()
        if got.get(uid) != (names_of(content)[0], dataset_of(content))
    ]
    assert different == []


def _get(
    port: int, offers: list[tuple[str, str]], studies: list[str], got: dict[str, tuple[str, bytes]]
) -> None:
    """Get all studies by pynetdicom, a context for each transfer syntax of each SOP class."""

    def keep(event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        got[uid] = str(event.context.transfer_syntax), event.request.DataSet.getvalue()
        return 0x0000

    entity = AE("WS1")
    entity.add_requested_context(StudyRootGet)
    for sop_class_uid, syntax in offers:
        entity.add_requested_context(sop_class_uid, syntax)
    roles = [build_role(uid, scp_role=True) for uid in dict.fromkeys(uid for uid, _ in offers)]
    association = entity.associate(
        HOST, port, ae_title="FILMLESS", ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, keep)]
    )
    assert association.is_established
    for start in range(0, len(studies), 40):
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "STUDY"
        identifier.StudyInstanceUID = studies[start : start + 40]
        *_, (last, _) = list(association.send_c_get(identifier, StudyRootGet))
        assert last.Status in (0x0000, 0xB000, 0xA702)
    association.release()


def test_dcmtk_and_pynetdicom_get_and_move_a_study(
    moved_and_got: tuple[Originals, int, int, Path],
) -> None:
    originals, port, destination_port, folder = moved_and_got
    series = [
        path.read_bytes() for path in sorted(shared_data("ct_series_philips_phantom_54").rglob("*.dcm"))
    ]
    expected = {names_of(content)[1]: dataset_of(content) for content in series}
    assert expected.keys() <= originals.contents.keys()
    study_uid = str(dcmread(io.BytesIO(series[0]), stop_before_pixels=True).StudyInstanceUID)
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}"]
    with storescp(folder / "study", destination_port) as got:
        assert "Received Final Move Response (Success)" in movescu(port, [study_uid])
        assert {uid: dataset_of(content) for uid, content in received(got).items()} == expected
    there = folder / "got"
    there.mkdir()
    command = [program("getscu"), "-S", "+B", "-aec", "FILMLESS", "-od", str(there), *keys, HOST, str(port)]
    assert subprocess.run(command, check=False, timeout=120).returncode == 0
    assert {uid: dataset_of(content) for uid, content in received(there).items()} == expected
    for app in ("getscu", "movescu"):
        _run_app(app, port, destination_port, keys, folder, set(expected))


def _run_app(
    app: str, port: int, destination_port: int, keys: list[str], folder: Path, expected: set[str]
) -> None:
    """Have one of pynetdicom's programs get a study, or move it to itself."""
    there = folder / f"app-{app}"
    there.mkdir()
    command = [sys.executable, "-m", "pynetdicom", app, HOST, str(port), "-aec", "FILMLESS", "-S", *keys]
    command += ["-od", str(there)]
    if app == "movescu":
        command += ["--store", "--store-port", str(destination_port), "--store-aet", "DEST", "-aem", "DEST"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, env=dict(os.environ))
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in there.iterdir()}
    assert found == expected


def test_transfer_syntaxes_of_the_files_are_many() -> None:
    syntaxes = {row["ts"] for row in read_manifest()} & TRANSFER_SYNTAXES.keys()
    assert EXPLICIT_VR_LITTLE_ENDIAN in syntaxes
    assert len(syntaxes) > 10
