"""The whole shared data, the first and the last frame of each file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.pixels.decoding_child import DecodingLimits
from pacs.pixels.decoding_processes import DecodingProcesses
from tests.data import shared_data
from tests.fidelity.__main__ import report
from tests.fidelity.comparison import AGREEMENT, FAILURES, Comparison, Result, Verdict
from tests.fidelity.image_files import open_image

VIDEOS = {syntax.name for syntax in TRANSFER_SYNTAXES.values() if syntax.video}
CT_SLICE = ("seg_ct_source", "01.dcm")


@pytest.fixture(scope="module")
def comparison() -> Iterator[Comparison]:
    decoding = DecodingProcesses(1, DecodingLimits(timeout_s=120.0, memory_bytes=4 << 30))
    opened = Comparison(decoding, is_short=True)
    yield opened
    opened.close()
    decoding.close()


@pytest.fixture(scope="module")
def verdicts(comparison: Comparison) -> list[Verdict]:
    root = shared_data()
    return list(comparison.compare(sorted(root.rglob("*.dcm")), root))


@pytest.fixture(scope="module")
def sound(verdicts: list[Verdict]) -> list[Verdict]:
    """Of the files that are not broken on purpose."""
    return [one for one in verdicts if not one.file.startswith("malformed")]


def test_no_other_decoder_contradicts_the_archive(verdicts: list[Verdict]) -> None:
    assert [one for one in verdicts if one.result in FAILURES] == []


def test_every_sound_file_but_videos_is_read_as_another_decoder_reads_it(sound: list[Verdict]) -> None:
    allowed = {*AGREEMENT, Result.NO_IMAGE}
    assert [one for one in sound if one.result not in allowed and one.transfer_syntax not in VIDEOS] == []


def test_only_lossy_jpeg_is_allowed_to_differ_by_a_level(sound: list[Verdict]) -> None:
    close = {one.transfer_syntax for one in sound if one.result is Result.CLOSE}
    assert close and all(name.startswith("JPEG ") for name in close)


def test_each_transfer_syntax_of_the_data_is_among_what_was_compared(sound: list[Verdict]) -> None:
    compared = Counter(one.transfer_syntax for one in sound if one.result in AGREEMENT)
    assert compared.total() > 470 and len(compared) >= 19, compared


def test_the_report_names_every_file_that_was_not_compared(verdicts: list[Verdict]) -> None:
    written = "\n".join(report(verdicts))
    for one in verdicts:
        if one.result is Result.UNDECODABLE:
            assert one.file in written and one.reason in written


def test_a_difference_is_found(comparison: Comparison, tmp_path: Path) -> None:
    dataset = dcmread(shared_data(*CT_SLICE))
    values = np.frombuffer(dataset.PixelData, "<i2").copy()
    values[1234] += 1
    dataset.PixelData = values.tobytes()
    dataset.save_as(tmp_path / "other.dcm")
    image = open_image(shared_data(*CT_SLICE))
    assert image is not None
    result, reason, _ = comparison.compare_image(tmp_path / "other.dcm", image)
    assert result is Result.DIFFERENT and "by 1" in reason
    assert comparison.compare_image(shared_data(*CT_SLICE), image)[0] is Result.EQUAL


def test_what_only_others_read_is_found(comparison: Comparison, tmp_path: Path) -> None:
    dataset = dcmread(shared_data(*CT_SLICE))
    dataset.PixelData = dataset.PixelData[:-2000]
    dataset.save_as(tmp_path / "cut.dcm")
    image = open_image(tmp_path / "cut.dcm")
    assert image is not None
    assert comparison.compare_image(tmp_path / "cut.dcm", image)[0] is Result.UNDECODABLE
    assert comparison.compare_image(shared_data(*CT_SLICE), image)[0] is Result.ONLY_OTHERS
