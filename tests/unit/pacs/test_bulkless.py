"""What is left of a data set without its bulk (PS3.4 Z.1.3)."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from pacs.bulkless import remove_bulk

BULK = (
    0x00287FE0, 0x00420011, 0x50003000, 0x5002200C, 0x501E3000, 0x56000020, 0x60003000, 0x601E3000,
    0x7FE00008, 0x7FE00009, 0x7FE00010,
)  # fmt: skip
KEPT = (0x00100010, 0x00420010, 0x50000005, 0x50013000, 0x60000010, 0x60013000, 0x60003001, 0x7FE10010)


@pytest.mark.parametrize("tag", BULK, ids=hex)
def test_bulk_is_removed(tag: int) -> None:
    dataset = Dataset()
    dataset.add_new(tag, "OB", b"12")
    dataset.PatientID = "BN1"
    remove_bulk(dataset)
    assert list(dataset.keys()) == [0x00100020]


@pytest.mark.parametrize("tag", KEPT, ids=hex)
def test_what_is_near_it_stays(tag: int) -> None:
    dataset = Dataset()
    dataset.add_new(tag, "OB", b"12")
    remove_bulk(dataset)
    assert list(dataset.keys()) == [tag]


def test_waveforms_lose_their_samples_and_icons_keep_their_pixels() -> None:
    dataset, waveform, icon = Dataset(), Dataset(), Dataset()
    waveform.NumberOfWaveformSamples, waveform.WaveformData = 1, b"12"
    icon.Rows, icon.PixelData = 1, b"12"
    dataset.WaveformSequence, dataset.IconImageSequence = [waveform], [icon]
    remove_bulk(dataset)
    assert [element.keyword for element in dataset.WaveformSequence[0]] == ["NumberOfWaveformSamples"]
    assert dataset.IconImageSequence[0].PixelData == b"12"
