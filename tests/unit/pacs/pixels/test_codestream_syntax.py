from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from pacs.errors import UnsupportedTransferSyntax
from pacs.pixels.codestream_syntax import find_transfer_syntax, has_component_transform

GRAY = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
COLOR = np.dstack([GRAY, GRAY.T, GRAY])
LOSSLESS_JPEG = bytes(imagecodecs.ljpeg_encode(GRAY))  # of selection value 6
SCAN, FIRST_ORDER_SCAN = bytes.fromhex("ffda0008010000060000"), bytes.fromhex("ffda0008010000010000")
PREFIX = "1.2.840.10008.1.2."


@pytest.mark.parametrize(
    ("media_type", "codestream", "expected"),
    [
        ("image/jpeg", imagecodecs.jpeg8_encode(GRAY), "4.50"),
        ("image/jpeg", LOSSLESS_JPEG, "4.57"),
        ("image/jpeg", LOSSLESS_JPEG.replace(SCAN, FIRST_ORDER_SCAN), "4.70"),
        ("image/jls", imagecodecs.jpegls_encode(GRAY), "4.80"),
        ("image/jls", imagecodecs.jpegls_encode(GRAY, level=3), "4.81"),
        ("image/jp2", imagecodecs.jpeg2k_encode(GRAY, codecformat="j2k", reversible=True, level=0), "4.90"),
        ("image/jp2", imagecodecs.jpeg2k_encode(GRAY, codecformat="j2k", level=40), "4.91"),
        ("image/jp2", imagecodecs.jpeg2k_encode(GRAY, codecformat="jp2", reversible=True, level=0), "4.90"),
        ("image/jphc", imagecodecs.htj2k_encode(GRAY), "4.201"),
        ("image/dicom-rle", b"", "5"),
        ("video/mp4", b"", "4.102"),
    ],
)
def test_a_codestream_tells_its_transfer_syntax(media_type: str, codestream: bytes, expected: str) -> None:
    assert find_transfer_syntax(media_type, bytes(codestream)) == PREFIX + expected


@pytest.mark.parametrize(
    ("media_type", "codestream"),
    [
        ("image/png", b"\x89PNG"),
        ("image/jpeg", b""),
        ("image/jpeg", b"\xff\xd8\xff\xd9"),
        ("image/jpeg", bytes(imagecodecs.jpeg8_encode(GRAY))[:20]),
        ("image/jls", bytes(imagecodecs.jpeg8_encode(GRAY))),
        ("image/jp2", b"\xff\x4f\xff\x51"),
        ("image/jp2", bytes(imagecodecs.jpeg8_encode(GRAY))),
        ("image/jxl", b"\xff\x0a"),
    ],
)
def test_one_that_does_not_is_refused(media_type: str, codestream: bytes) -> None:
    with pytest.raises(UnsupportedTransferSyntax):
        find_transfer_syntax(media_type, codestream)


def test_a_transform_of_components_is_told() -> None:
    assert has_component_transform(bytes(imagecodecs.jpeg2k_encode(COLOR, codecformat="j2k", mct=True)))
    assert not has_component_transform(bytes(imagecodecs.jpeg2k_encode(GRAY, codecformat="j2k")))
