from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacs.errors import UndecodablePixels
from pacs.pixels.codestreams import read_jpeg_2000_header, read_jpeg_header, read_jpeg_xl_size
from tests.unit.pacs.pixels.images import gradient

GRAY = gradient(highest=255).astype(np.uint8)
RGB = np.stack([GRAY, GRAY[::-1], 255 - GRAY], axis=-1)


@pytest.mark.parametrize(
    ("data", "precision", "samples_per_pixel"),
    [
        (imagecodecs.jpeg8_encode(GRAY), 8, 1),
        (imagecodecs.jpeg8_encode(gradient(), bitspersample=12), 12, 1),
        (imagecodecs.jpeg8_encode(gradient(), lossless=True, bitspersample=16), 16, 1),
        (imagecodecs.jpegls_encode(gradient()), 16, 1),
        (imagecodecs.jpeg8_encode(RGB), 8, 3),
    ],
)
def test_the_frame_header_of_a_jpeg_is_read(data: bytes, precision: int, samples_per_pixel: int) -> None:
    header = read_jpeg_header(data)
    assert (header.rows, header.columns, header.precision) == (32, 40, precision)
    assert header.samples_per_pixel == samples_per_pixel


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def small_jpeg(component_ids: bytes, *applications: bytes) -> bytes:
    components = b"".join(bytes([each, 0x11, 0]) for each in component_ids)
    frame = segment(0xC0, struct.pack(">BHHB", 8, 1, 1, len(component_ids)) + components)
    return b"\xff\xd8" + b"".join(applications) + b"\xff" + frame + segment(0xDA, b"") + b"data\xff\xd9"


JFIF = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


@pytest.mark.parametrize(
    ("data", "color_space"),
    [
        (small_jpeg(b"\1\2\3"), None),
        (small_jpeg(b"RGB"), "RGB"),
        (small_jpeg(b"\1\2\3", JFIF), "YBR"),
        (small_jpeg(b"RGB", JFIF), "RGB"),
        (small_jpeg(b"\1\2\3", adobe(0)), "RGB"),
        (small_jpeg(b"\1\2\3", adobe(1)), "YBR"),
        (small_jpeg(b"\1\2\3", adobe(2)), None),
        (small_jpeg(b"\1\2\3", segment(0xEE, b"Adobe\0\0\0\0\0")), None),
    ],
)
def test_the_declared_colour_space_is_told(data: bytes, color_space: str | None) -> None:
    assert read_jpeg_header(data).color_space == color_space


@pytest.mark.parametrize(
    ("image", "precision"), [(GRAY, 8), (gradient(), 16), (gradient().astype(np.int16) - 900, 16), (RGB, 8)]
)
@pytest.mark.parametrize("container", ["j2k", "jp2"])
def test_the_main_header_of_a_jpeg_2000_is_read(image: np.ndarray, precision: int, container: str) -> None:
    data = imagecodecs.jpeg2k_encode(image, codecformat=container, level=0, reversible=True)
    header = read_jpeg_2000_header(data)
    assert (header.rows, header.columns, header.precision) == (32, 40, precision)
    assert header.samples_per_pixel == (3 if image.ndim == 3 else 1)
    assert header.signed == (image.dtype.kind == "i")
    assert data[header.start : header.start + 2] == b"\xff\x4f"


def test_a_jpeg_2000_with_subsampled_components_is_refused() -> None:
    data = bytearray(imagecodecs.jpeg2k_encode(RGB, codecformat="j2k", level=0))
    data[46] = 2  # the horizontal separation of the second component
    with pytest.raises(UndecodablePixels):
        read_jpeg_2000_header(bytes(data))


@pytest.mark.parametrize("in_boxes", [False, True])
@pytest.mark.parametrize(
    "shape", [(32, 40), (8, 8), (256, 256), (300, 200), (1027, 513), (1, 3000), (40, 60)]
)
def test_the_size_of_a_jpeg_xl_is_read(shape: tuple[int, int], in_boxes: bool) -> None:
    data = imagecodecs.jpegxl_encode(np.zeros(shape, np.uint8), lossless=True, usecontainer=in_boxes)
    assert read_jpeg_xl_size(data) == shape


def test_fill_bytes_and_markers_without_length_are_passed_over() -> None:
    data = small_jpeg(b"\1")
    assert read_jpeg_header(data[:2] + b"\xff\xff\xff\x01" + data[2:]).samples_per_pixel == 1


def test_a_codestream_in_a_box_of_extended_size_is_found() -> None:
    bare = imagecodecs.jpegxl_encode(GRAY, lossless=True, usecontainer=False)
    signature = b"\0\0\0\x0cJXL \r\n\x87\n"
    extended = struct.pack(">I4sQ", 1, b"jxlc", 16 + len(bare)) + bare
    partial = struct.pack(">I4sI", 12 + len(bare), b"jxlp", 1 << 31) + bare
    assert read_jpeg_xl_size(signature + extended) == read_jpeg_xl_size(signature + partial) == (32, 40)


@pytest.mark.parametrize(
    "boxes", [b"", struct.pack(">I4s", 0, b"free") + bytes(30), struct.pack(">I4s", 8, b"free") * 9]
)
def test_boxes_without_a_codestream_are_refused(boxes: bytes) -> None:
    with pytest.raises(UndecodablePixels):
        read_jpeg_xl_size(b"\0\0\0\x0cJXL \r\n\x87\n" + boxes)


_starts = st.sampled_from(
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xc0\0\x0b",
        b"\xff\x4f\xff\x51",
        b"\x00\x00\x00\x0cjP  \r\n\x87\n",
        b"\xff\x0a",
        b"\x00\x00\x00\x0cJXL \r\n\x87\n",
    ]
)


@settings(max_examples=150)
@given(_starts, st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(start: bytes, rest: bytes) -> None:
    for read in (read_jpeg_header, read_jpeg_2000_header, read_jpeg_xl_size):
        try:
            read(start + rest)
        except UndecodablePixels:
            continue
