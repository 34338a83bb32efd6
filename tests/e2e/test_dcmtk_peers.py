"""dcmtk's own archive (dcmqrscp) as another archive, and its wish that we end (termscu)."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.uid import generate_uid

from pacs.dimse.requestor import Peer, PeerUnreachable
from pacs.dimse.scu import send_instances, verify_peer
from tests.data import program
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import ArchiveProcess
from tests.e2e.operator_commands import command
from tests.e2e.test_fetching import number_here, wait_until_done

HOST = "127.0.0.1"
TITLE = "DCMQR"


@contextmanager
def running_dcmqrscp(folder: Path, filmless_port: int) -> Iterator[int]:
    """Run dcmtk's archive, which knows ours; give its port."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
    (folder / "objects").mkdir()
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nfilmless = (FILMLESS, {HOST}, {filmless_port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{TITLE} {folder / 'objects'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with (folder / "dcmqrscp.log").open("wb") as log:
        process = subprocess.Popen([program("dcmqrscp"), "-c", str(configuration)], stdout=log, stderr=log)
        try:
            _wait_until_it_answers(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def _wait_until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            verify_peer(Peer(HOST, port, TITLE), calling_ae_title="FILMLESS")
        except PeerUnreachable:
            assert time.monotonic() < deadline, "dcmqrscp does not answer"
            time.sleep(0.1)
        else:
            return


def write_study(folder: Path, count: int) -> tuple[str, list[Path]]:
    """Write the files of a study of several images; give its UID and the files."""
    folder.mkdir()
    study, series = generate_uid(), generate_uid()
    for number in range(count):
        dataset = make_dataset(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=number)
        (folder / f"{number}.dcm").write_bytes(encode_file(dataset))
    return study, sorted(folder.iterdir())


def test_studies_go_to_dcmqrscp_and_come_from_it_by_get_and_by_move(
    operated_archive: ArchiveProcess, tmp_path: Path
) -> None:
    with running_dcmqrscp(tmp_path, operated_archive.dicom_port) as port:
        command("peers", "add", TITLE, f"{HOST}:{port}", "--may", "all")
        theirs = [write_study(tmp_path / name, 3) for name in ("got", "moved")]
        for _, files in theirs:
            assert {status for _, status in send_instances(HOST, port, TITLE, files)} == {0}
        for (study, _), by in zip(theirs, ("get", "move"), strict=True):
            assert "3 instances fetched" in command("fetch", TITLE, "--study", study, "--by", by)
            assert number_here(operated_archive, study) == 3
        ours, files = write_study(tmp_path / "ours", 3)
        sent = send_instances(HOST, operated_archive.dicom_port, "FILMLESS", files)
        assert {status for _, status in sent} == {0}
        command("send", ours, "--to", TITLE)
        wait_until_done(operated_archive, ours)
        stored = [one for one in (tmp_path / "objects").iterdir() if one.name != "index.dat"]
        assert len(stored) == 9


def test_nobody_ends_us_from_afar(operated_archive: ArchiveProcess) -> None:
    """Termscu proposes dcmtk's private SOP class that has a server end itself."""
    listeners = operated_archive.children("listen")
    command_line = [program("termscu"), "-v", "-aec", "FILMLESS", HOST, str(operated_archive.dicom_port)]
    ended = subprocess.run(command_line, capture_output=True, timeout=30, check=False)
    assert b"Association" in ended.stdout + ended.stderr  # there was one, or it was rejected
    verify_peer(Peer(HOST, operated_archive.dicom_port, "FILMLESS"), calling_ae_title="ANY")
    assert operated_archive.children("listen") == listeners
