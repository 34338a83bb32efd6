"""dcmtk's programs find, get and move a study over TLS. They speak none: a tunnel does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pacs.dimse.secure_transport import Credentials, requestor_context
from pacs.peers import KEPT_FOR_S
from tests.certificates import Authority
from tests.data import program
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.e2e.operator_commands import finished, start
from tests.servers import free_ports
from tests.tls_tunnel import tls_tunnel

STUDY_UID, SERIES_UID = generate_uid(), generate_uid()
KEYS = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY_UID}"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("hospital") / "authority")


@pytest.fixture(scope="module")
def study() -> list[Dataset]:
    """Three images, each longer than a PDU and than any record of TLS."""
    return [
        make_dataset(
            StudyInstanceUID=STUDY_UID, SeriesInstanceUID=SERIES_UID, PatientName="LÊ^THỊ BÌNH",
            InstanceNumber=number, Rows=400, Columns=400, PixelData=bytes([number]) * 320_000,
        )
        for number in (1, 2, 3)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, study: list[Dataset]
) -> Iterator[ArchiveProcess]:
    """An archive with the study, and a port with TLS."""
    folder, ours = tmp_path_factory.mktemp("archive"), authority.issue("pacs")
    settings = {
        "FILMLESS_DATA_DIR": str(folder / "data"),
        "FILMLESS_DICOM_TLS_PORT": "0",
        "FILMLESS_DICOM_TLS_CERTIFICATE": str(ours.certificate),
        "FILMLESS_DICOM_TLS_KEY": str(ours.key),
        "FILMLESS_DICOM_TLS_AUTHORITIES": str(ours.authorities),
    }
    with running_up(folder, settings) as archive, pytest.MonkeyPatch.context() as patched:
        patched.setenv("FILMLESS_DATA_DIR", str(folder / "data"))
        for dataset in study:
            httpx.post(
                f"{archive.http_url}/dicom-web/studies",
                content=encode_file(dataset),
                headers={"Content-Type": "application/dicom"},
            ).raise_for_status()
        yield archive


@pytest.fixture(scope="module")
def door(archive: ArchiveProcess, authority: Authority) -> Iterator[list[str]]:
    """Where dcmtk's programs connect."""
    with tls_tunnel(archive.tls_port, requestor_context(authority.issue("ws"))) as port:
        yield ["127.0.0.1", str(port)]


@contextmanager
def storescp(shown: Credentials, folder: Path) -> Iterator[int]:
    (port,) = free_ports(1)
    tls = ["+tls", str(shown.key), str(shown.certificate), "+cf", str(shown.authorities)]
    with ExitStack() as running:
        process = running.enter_context(
            subprocess.Popen([program("storescp"), *tls, "-od", str(folder), str(port)])
        )
        running.callback(process.terminate)
        yield port


def pixels_of(folder: Path) -> list[bytes]:
    return sorted(dcmread(file).PixelData for file in folder.iterdir())


def test_findscu_finds(door: list[str]) -> None:
    command = [program("findscu"), "-S", "-v", "-aec", "FILMLESS", *KEYS, "-k", "PatientID", *door]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert done.stdout.count(b"(0010,0020)") + done.stderr.count(b"(0010,0020)") == 2  # asked, answered


def test_getscu_gets(door: list[str], study: list[Dataset], tmp_path: Path) -> None:
    command = [program("getscu"), "-S", "-aec", "FILMLESS", "-od", str(tmp_path), *KEYS, *door]
    subprocess.run(command, check=True, timeout=60)
    assert pixels_of(tmp_path) == [dataset.PixelData for dataset in study]


def test_movescu_has_it_moved_over_tls_too(
    archive: ArchiveProcess, door: list[str], authority: Authority, study: list[Dataset], tmp_path: Path
) -> None:
    with storescp(authority.issue("destination"), tmp_path) as port:
        assert finished(start("peers", "add", "DEST", f"127.0.0.1:{port}", "--tls"))[0] == 0
        time.sleep(KEPT_FOR_S + 0.5)
        command = [program("movescu"), "-S", "-aec", "FILMLESS", "-aem", "DEST", *KEYS, *door]
        subprocess.run(command, check=True, timeout=60)
    assert pixels_of(tmp_path) == [dataset.PixelData for dataset in study]
    assert archive.process.poll() is None
