from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs.dicom.deflated import inflate, scan_deflated_header
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import UnreadableInstance
from tests.datasets import encode, make_dataset

DEFLATED = TRANSFER_SYNTAXES["1.2.840.10008.1.2.1.99"]
PATIENT_ID = 0x00100020
NONE: frozenset[int] = frozenset()
NOISE = random.Random(1).randbytes(3_000_000)


def deflate(encoded: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(encoded) + deflater.flush()


def test_a_deflated_data_set_is_inflated() -> None:
    encoded = encode(make_dataset())
    assert inflate(deflate(encoded)) == encoded


@pytest.mark.parametrize("pixels", [512, 3_000_000])
def test_the_header_is_scanned_and_the_pixel_data_located(pixels: int) -> None:
    encoded = encode(make_dataset(PatientID="BN0007", PixelData=NOISE[:pixels]))
    header = scan_deflated_header(deflate(encoded), DEFLATED, frozenset({PATIENT_ID}), NONE)
    assert header.elements.values == {PATIENT_ID: b"BN0007"}
    assert header.pixel_data is not None
    assert header.pixel_data.offset + (header.pixel_data.size_bytes or 0) == len(encoded)


def test_pixel_data_that_the_stream_does_not_hold_is_refused() -> None:
    encoded = encode(make_dataset(PixelData=NOISE))
    with pytest.raises(UnreadableInstance, match="cut short"):
        scan_deflated_header(deflate(encoded[:-10_000]), DEFLATED, NONE, NONE)


BOMB = deflate(bytes(300_000_000))


@pytest.mark.parametrize(
    "wreck", [BOMB, BOMB[:50], b"\xff" * 100, b""], ids=["bomb", "cut", "noise", "empty"]
)
def test_a_bomb_or_a_wreck_is_refused_and_never_held(wreck: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableInstance):
            scan_deflated_header(wreck, DEFLATED, NONE, NONE)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(UnreadableInstance):
        inflate(wreck)


@given(st.binary(max_size=300))
def test_any_bytes_are_scanned_or_refused(stream: bytes) -> None:
    try:
        header = scan_deflated_header(stream, DEFLATED, NONE, NONE)
    except UnreadableInstance:
        return
    assert header.pixel_data is None or header.pixel_data.offset > 0
