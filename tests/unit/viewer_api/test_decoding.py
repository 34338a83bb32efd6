"""A codec that fails costs its request and nothing else."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.errors import DecodingInterrupted, DecodingUnavailable, IndexUnavailable
from pacs.pixels.decoding_processes import DecodingProcesses
from storage.errors import StoreUnavailable
from tests.datasets import make_dataset
from tests.unit.pacs.pixels.test_decoding_processes import children
from tests.unit.viewer_api.conftest import empty_archive, make_client, split_multipart, store_dataset

# Each makes another first frame, and none may stay in a cache.
WAYS = {
    "rendered": ("/rendered", "image/png"),
    "frame": ("/frames/1", "application/octet-stream"),
    "pixel data": ("/bulkdata/7FE00010", "application/octet-stream"),
}
ALL_PICTURES = 'multipart/related; type="image/jpeg"'
STUDY, SERIES = "1.2.826.0.1.3680043.8.498.9", "1.2.826.0.1.3680043.8.498.9.0"
EXPLICIT = 'application/dicom; transfer-syntax="1.2.840.10008.1.2.1"'


@pytest.fixture
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("archive")
    with empty_archive(folder, decode_processes=1, decode_timeout_s=2.0) as opened:
        yield opened


def store_compressed(archive: Archive, seed: int) -> str:
    image = np.random.default_rng(seed).integers(0, 256, (16, 16), np.uint8)
    dataset = make_dataset(BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, SERIES
    dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.9.1.{seed}"
    dataset.PixelData = encapsulate([bytes(imagecodecs.jpegls_encode(image))])
    return store_dataset(archive, dataset, JPEGLSLossless)


def stop_the_codecs(client: TestClient, archive: Archive) -> int:
    """Let the archive start its process, and stop that in whatever it does; return its id."""
    before = set(children())
    assert client.get(store_compressed(archive, 0) + "/rendered").status_code == 200
    (process,) = set(children()) - before
    os.kill(process, signal.SIGSTOP)
    return process


@pytest.mark.parametrize("way", WAYS)
def test_a_codec_that_is_killed_costs_one_422(archive: Archive, way: str) -> None:
    client, path = make_client(archive), store_compressed(archive, 1)
    suffix, accept = WAYS[way]
    process = stop_the_codecs(client, archive)
    timer = threading.Timer(0.3, os.kill, (process, signal.SIGKILL))
    timer.start()
    answer = client.get(path + suffix, headers={"accept": accept})
    timer.join()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(path + suffix, headers={"accept": accept}).status_code == 200


def test_a_codec_that_spins_costs_one_422_at_the_deadline(archive: Archive) -> None:
    client, path = make_client(archive), store_compressed(archive, 1)
    process = stop_the_codecs(client, archive)
    answer = client.get(path + "/rendered")
    assert answer.status_code == 422 and "longer than 2 s" in answer.json()["detail"]
    assert process not in children()
    assert client.get(path + "/rendered").status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DecodingUnavailable, 503),
        (IndexUnavailable, 503),
        (StoreUnavailable, 503),
        (DecodingInterrupted, 422),
    ],
)
@pytest.mark.parametrize("resource", ["previews", "rendered"])
def test_no_part_is_left_out_of_an_answer_for_what_passes(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int, resource: str
) -> None:
    client = make_client(archive)
    path, _ = store_compressed(archive, 1), store_compressed(archive, 2)
    address, accept = f"{path.partition('/instances/')[0]}/{resource}", {"accept": ALL_PICTURES}
    with monkeypatch.context() as patch:
        patch.setattr(DecodingProcesses, "decode", fail_on_the_second(error))
        assert client.get(address, headers=accept).status_code == status
    assert len(split_multipart(client.get(address, headers=accept))) == 2


def fail_on_the_second(error: type[Exception]) -> Callable[..., Any]:
    decode, calls = DecodingProcesses.decode, count(1)

    def fail(*arguments: Any) -> Any:
        if next(calls) == 2:
            raise error
        return decode(*arguments)

    return fail


def test_previews_without_the_image_whose_codec_was_killed_are_not_told_as_whole(archive: Archive) -> None:
    client, path = make_client(archive), store_compressed(archive, 1)
    series, accept = path.partition("/instances/")[0], {"accept": ALL_PICTURES}
    process = stop_the_codecs(client, archive)
    timer = threading.Timer(0.3, os.kill, (process, signal.SIGKILL))
    timer.start()
    answer = client.get(f"{series}/previews", headers=accept)
    timer.join()
    assert (answer.status_code, "etag" in answer.headers) == (422, False)
    assert len(split_multipart(client.get(f"{series}/previews", headers=accept))) == 2


def test_an_instance_whose_codec_dies_goes_out_as_it_is_stored(archive: Archive) -> None:
    client, path = make_client(archive), store_compressed(archive, 1)
    process = stop_the_codecs(client, archive)
    timer = threading.Timer(0.3, os.kill, (process, signal.SIGKILL))
    timer.start()
    answer = client.get(path, headers={"accept": EXPLICIT})
    timer.join()
    assert answer.status_code == 200 and str(JPEGLSLossless) in answer.headers["content-type"]
    again = client.get(path, headers={"accept": EXPLICIT})
    assert "1.2.840.10008.1.2.1" in again.headers["content-type"]


def test_what_needs_no_codec_is_answered_while_all_codecs_hang(tmp_path: Path) -> None:
    with empty_archive(tmp_path, decode_processes=1, decode_timeout_s=120.0) as archive:
        compressed = [store_compressed(archive, seed) for seed in range(1, 50)]
        with make_client(archive) as client, ThreadPoolExecutor(len(compressed)) as threads:
            process = stop_the_codecs(client, archive)
            asked = [threads.submit(client.get, path, headers={"accept": EXPLICIT}) for path in compressed]
            # More of them wait for a codec than the server has threads, and this one needs a thread.
            stored = client.get(compressed[0], headers={"accept": "application/dicom; transfer-syntax=*"})
            assert stored.status_code == 200
            assert not any(one.done() for one in asked)
            os.kill(process, signal.SIGKILL)
            assert {one.result().status_code for one in asked} == {200}
