"""Answers that are far larger than memory: they leave while they are read, whatever their form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, generate_uid

from pacs.archive import open_archive
from pacs.ingest import Origin, open_part10, store_instance
from pacs.settings import Settings
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import ArchiveProcess, running_up
from tests.empty_index import open_empty_archive

MIB = 1024**2
ALLOWED_GROWTH_BYTES = 100 * MIB
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAME = np.add.outer(np.arange(512), np.arange(512)).astype("<u2")


def store_large_study(data_dir: Path, number_of_objects: int, object_size_bytes: int) -> str:
    """Store a study of large native objects; return its UID."""
    uid, series_uid = generate_uid(), generate_uid()
    archive = open_empty_archive(Settings(data_dir=data_dir))
    frames = object_size_bytes // FRAME.nbytes
    dataset = make_dataset(Rows=512, Columns=512, NumberOfFrames=frames, PixelData=FRAME.tobytes() * frames)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, series_uid
    for _ in range(number_of_objects):
        dataset.SOPInstanceUID = generate_uid()
        store_instance(archive, open_part10([encode_file(dataset)]), Origin("stow"))
    archive.close()
    return uid


def store_compressed_film(data_dir: Path, number_of_frames: int) -> str:
    """Store an instance of many JPEG-LS frames; return its study's UID."""
    archive = open_archive(Settings(data_dir=data_dir))
    frames = [bytes(imagecodecs.jpegls_encode(FRAME))] * number_of_frames
    dataset = make_dataset(
        Rows=512, Columns=512, NumberOfFrames=number_of_frames, PixelData=encapsulate(frames), BitsStored=16
    )
    dataset.HighBit = 15
    store_instance(archive, open_part10([encode_file(dataset, JPEGLSLossless)]), Origin("stow"))
    archive.close()
    return str(dataset.StudyInstanceUID)


@contextmanager
def bounded_memory(process: ArchiveProcess) -> Iterator[None]:
    """Fail where the web process has grown by more than it may."""
    (web,) = process.children("web")
    before = memory_bytes(web, "VmRSS")
    yield
    assert memory_bytes(web, "VmHWM") - before < ALLOWED_GROWTH_BYTES


def memory_bytes(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def download(process: ArchiveProcess, study_uid: str, accept: str) -> int:
    """Read an answer to its end; return its size."""
    url = f"{process.http_url}/dicom-web/studies/{study_uid}"
    with httpx.stream("GET", url, headers={"accept": accept}, timeout=600) as response:
        assert response.status_code == 200
        return sum(len(chunk) for chunk in response.iter_raw(MIB))


def check_study(folder: Path, number_of_objects: int, object_size_bytes: int, number_of_frames: int) -> None:
    whole = number_of_objects * object_size_bytes
    study = store_large_study(folder / "data", number_of_objects, object_size_bytes)
    film = store_compressed_film(folder / "data", number_of_frames)
    with running_up(folder, {"FILMLESS_DATA_DIR": str(folder / "data")}) as process:
        # What a process needs once, for any answer, is not counted: codecs, threads.
        download(process, film, PARTS)
        with bounded_memory(process):
            assert download(process, study, PARTS) >= whole
            assert download(process, study, "application/zip; transfer-syntax=*") >= whole
            native = f"application/zip; transfer-syntax={ExplicitVRLittleEndian}"
            assert download(process, film, native) >= number_of_frames * FRAME.nbytes


@pytest.mark.soak
def test_a_study_of_four_gigabytes_leaves_in_a_hundred_megabytes_of_memory(tmp_path: Path) -> None:
    check_study(tmp_path, number_of_objects=32, object_size_bytes=128 * MIB, number_of_frames=4000)


def test_a_study_larger_than_what_memory_may_grow_by_leaves_in_pieces(tmp_path: Path) -> None:
    check_study(tmp_path, number_of_objects=2, object_size_bytes=80 * MIB, number_of_frames=250)
