"""A store of 64 MB runs full: it refuses, loses nothing, and goes on when space returns."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.archive_process import running_up
from tests.soak.archives import Setup, judge_twice, wait_until
from tests.soak.conftest import Tell
from tests.soak.judge import judge
from tests.soak.modality import SUCCESS, Image, Ledger, OpenAssociation, make_images

OUT_OF_RESOURCES = range(0xA700, 0xA800)  # PS3.4 B.2.3
_STORE_BYTES = 64 * 1024**2
_BALLAST_BYTES = 16 * 1024**2  # somebody else's file, which goes away later
_REFUSALS = 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_STORE_BYTES}", "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small file system cannot be mounted here; root may")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(
    "where_the_index_is",
    ["on the same disk", pytest.param("on another disk", marks=pytest.mark.soak)],
)
def test_a_full_store_refuses_and_goes_on_when_space_returns(
    where_the_index_is: str, small_disk: Path, tmp_path: Path, tell: Tell
) -> None:
    data = tmp_path / "data" if where_the_index_is == "on another disk" else small_disk / "data"
    store = small_disk / "objects"
    setup = Setup({"FILMLESS_DATA_DIR": str(data), "FILMLESS_STORE_URL": store.as_uri()})
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(_BALLAST_BYTES))
    ledger: Ledger = {}
    images, small_images = make_images(side=512), make_images(side=16)
    with running_up(tmp_path, setup.environment) as archive:
        refused = _fill(archive.dicom_port, images, ledger)
        before = _acknowledged(ledger)
        ballast.unlink()
        wait_until(lambda: _is_taken(archive.dicom_port, refused, ledger), "the store to take images again")
        _fill(archive.dicom_port, images, ledger)
        assert _acknowledged(ledger) > before + 10, "space came back, and was not used"
        refused = _fill(archive.dicom_port, small_images, ledger)  # down to the last pages
    with running_up(tmp_path, setup.environment) as archive:  # a full disk does not keep it from starting
        judge(archive.http_url, ledger).require_clean()
        assert not _is_taken(archive.dicom_port, next(images), ledger)
    remount = ["mount", "-o", f"remount,size={2 * _STORE_BYTES}", str(small_disk)]
    subprocess.run(remount, check=True, capture_output=True)
    with running_up(tmp_path, setup.environment) as archive:
        assert _is_taken(archive.dicom_port, refused, ledger)
        tell(judge_twice(archive, setup, tmp_path, ledger), acknowledged_before_full=before)


def _fill(port: int, images: Iterator[Image], ledger: Ledger) -> Image:
    """Send until the store is full and stays so; every answer is Success or Out of Resources."""
    refused = next(images)
    with OpenAssociation(port, ledger) as association:
        while (status := association.send(refused)) == SUCCESS:
            refused = next(images)
        for _ in range(_REFUSALS):
            assert status in OUT_OF_RESOURCES, f"{status:04X}"
            status = association.send(next(images))
    return refused


def _is_taken(port: int, image: Image, ledger: Ledger) -> bool:
    with OpenAssociation(port, ledger) as association:
        return association.send(image) == SUCCESS


def _acknowledged(ledger: Ledger) -> int:
    return sum(entry.is_acknowledged for entry in ledger.values())
