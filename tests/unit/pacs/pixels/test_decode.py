from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.decode import decode_frame
from pacs.pixels.description import PixelDescription
from pacs.pixels.frames import read_encoded_frame
from tests.unit.pacs.pixels.images import (
    BIG_ENDIAN,
    EXPLICIT,
    HTJ2K,
    IMPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LS,
    JPEG_XL,
    RLE,
    describe,
    describe_rgb,
    gradient,
)

DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
JPEG_LOSSLESS_ANY = "1.2.840.10008.1.2.4.57"
GRAY_16 = gradient()
GRAY_8 = gradient(highest=255).astype(np.uint8)
SIGNED = gradient().astype(np.int16) - 1024
RGB = np.stack([GRAY_8, GRAY_8[::-1], 255 - GRAY_8], axis=-1)


def describe_gray(transfer_syntax_uid: str = EXPLICIT, **changes: Any) -> PixelDescription:
    return describe(transfer_syntax_uid, **{"Rows": 32, "Columns": 40, **changes})


def describe_color(transfer_syntax_uid: str = EXPLICIT, **changes: Any) -> PixelDescription:
    return describe_rgb(transfer_syntax_uid, **{"Rows": 32, "Columns": 40, **changes})


def encode_rle(planes: list[bytes]) -> bytes:
    """Encode byte planes as literal runs of up to 128 bytes (PS3.5 G.3)."""
    segments = []
    for plane in planes:
        runs = [plane[start : start + 128] for start in range(0, len(plane), 128)]
        segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(segment + b"\x80" * (len(segment) % 2))
    offsets = [64 + sum(len(segment) for segment in segments[:index]) for index in range(len(segments))]
    header = struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments)))
    return header + b"".join(segments)


# Native


@pytest.mark.parametrize(
    ("transfer_syntax_uid", "order"), [(IMPLICIT, "<"), (EXPLICIT, "<"), (BIG_ENDIAN, ">")]
)
@pytest.mark.parametrize(("bits", "sign"), [(8, 0), (8, 1), (16, 0), (16, 1), (32, 0), (32, 1)])
def test_native_integers_of_each_order_and_size(
    transfer_syntax_uid: str, order: str, bits: int, sign: int
) -> None:
    kind = f"{'ui'[sign]}{bits // 8}"
    limits = np.iinfo(kind)
    values = np.array([[limits.min, limits.max, 0], [1, 2, 3]], kind)
    description = describe(
        transfer_syntax_uid, Rows=2, Columns=3, BitsAllocated=bits, BitsStored=bits, PixelRepresentation=sign
    )
    decoded = decode_frame(values.astype(f"{order}{kind}").tobytes(), description)
    assert decoded.dtype == np.dtype(kind) and decoded.tolist() == values.tolist()
    assert decoded.flags.writeable and decoded.flags.c_contiguous


@pytest.mark.parametrize(("bits", "kind"), [(32, "f4"), (64, "f8")])
@pytest.mark.parametrize(("transfer_syntax_uid", "order"), [(EXPLICIT, "<"), (BIG_ENDIAN, ">")])
def test_native_floats(bits: int, kind: str, transfer_syntax_uid: str, order: str) -> None:
    values = np.array([[1.5, -np.inf, np.nan]], kind)
    description = describe(
        transfer_syntax_uid, Rows=1, Columns=3, BitsAllocated=bits, BitsStored=None, PixelRepresentation=None
    )
    decoded = decode_frame(values.astype(order + kind).tobytes(), description)
    assert decoded.dtype == np.dtype(kind) and np.array_equal(decoded, values, equal_nan=True)


def test_unused_high_bits_are_cleared() -> None:
    cells = np.array([[0xF123, 0x0FFF, 0xF000]], "<u2")
    description = describe(Rows=1, Columns=3, BitsStored=12)
    assert decode_frame(cells.tobytes(), description).tolist() == [[0x123, 0xFFF, 0]]


def test_unused_high_bits_are_filled_with_the_sign() -> None:
    cells = np.array([[0x0FFF, 0xF7FF, 0x0800]], "<u2")
    description = describe(Rows=1, Columns=3, BitsStored=12, PixelRepresentation=1)
    assert decode_frame(cells.tobytes(), description).tolist() == [[-1, 2047, -2048]]


def test_stored_bits_at_the_top_of_the_cell_are_moved_down() -> None:
    cells = np.array([[0xFFF5, 0x8001, 0x7FF0]], "<u2")
    unsigned = describe(Rows=1, Columns=3, BitsStored=12, HighBit=15)
    signed = describe(Rows=1, Columns=3, BitsStored=12, HighBit=15, PixelRepresentation=1)
    assert decode_frame(cells.tobytes(), unsigned).tolist() == [[0xFFF, 0x800, 0x7FF]]
    assert decode_frame(cells.tobytes(), signed).tolist() == [[-1, -2048, 2047]]


def test_stored_bits_in_the_middle_of_the_cell_lose_both_neighbours() -> None:
    description = describe(Rows=1, Columns=1, BitsStored=8, HighBit=11)
    assert decode_frame(struct.pack("<H", 0b1010_11001010_0101), description).tolist() == [[0b11001010]]


def test_single_bits_are_unpacked_lowest_first() -> None:
    description = describe(Rows=3, Columns=3, BitsAllocated=1, BitsStored=1)
    decoded = decode_frame(bytes([0b00000101, 0b00000001]), description)
    assert decoded.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]


def pack_cells(values: list[int], bits: int) -> bytes:
    """Write each value into the next bits of one large number."""
    number = sum((value & ((1 << bits) - 1)) << (place * bits) for place, value in enumerate(values))
    return number.to_bytes(-(-len(values) * bits // 16) * 2, "little")


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(2, 32),
    signed=st.booleans(),
    rows=st.integers(1, 5),
    columns=st.integers(1, 9),
    data=st.data(),
)
def test_packed_cells_of_any_number_of_bits(
    bits: int, signed: bool, rows: int, columns: int, data: st.DataObject
) -> None:
    lowest = -(1 << bits - 1) if signed else 0
    values = st.integers(lowest, lowest + (1 << bits) - 1)
    frames = data.draw(
        st.lists(st.lists(values, min_size=rows * columns, max_size=rows * columns), max_size=3, min_size=1)
    )
    stored = pack_cells([value for frame in frames for value in frame], bits)
    description = describe(
        Rows=rows,
        Columns=columns,
        BitsAllocated=bits,
        BitsStored=bits,
        PixelRepresentation=int(signed),
        NumberOfFrames=len(frames),
    )
    for index, frame in enumerate(frames):
        encoded = read_encoded_frame(io.BytesIO(stored), 0, len(stored), description, index, Dataset())
        assert decode_frame(encoded, description).reshape(-1).tolist() == frame


def test_many_packed_cells_are_unpacked_in_parts() -> None:
    values = np.arange(1100 * 1000) % 4096
    pairs = values.reshape(-1, 2)
    three = np.stack(
        [pairs[:, 0] & 255, pairs[:, 0] >> 8 | (pairs[:, 1] & 15) << 4, pairs[:, 1] >> 4], axis=1
    )
    description = describe(Rows=1100, Columns=1000, BitsAllocated=12, BitsStored=12)
    decoded = decode_frame(three.astype(np.uint8).tobytes(), description)
    assert np.array_equal(decoded.reshape(-1), values)


def test_packed_cells_that_end_early_are_refused() -> None:
    with pytest.raises(UndecodablePixels):
        decode_frame(bytes(35), describe(BitsAllocated=12, BitsStored=12))


def test_planes_are_interleaved() -> None:
    planes = np.ascontiguousarray(RGB.transpose(2, 0, 1))
    decoded = decode_frame(planes.tobytes(), describe_color(PlanarConfiguration=1))
    assert np.array_equal(decoded, RGB)
    assert np.array_equal(decode_frame(RGB.tobytes(), describe_color()), RGB)


def test_shared_chroma_is_given_to_both_pixels() -> None:
    description = describe_rgb(Rows=1, Columns=4, PhotometricInterpretation="YBR_FULL_422")
    decoded = decode_frame(bytes([10, 20, 100, 200, 30, 40, 101, 201]), description)
    assert decoded.tolist() == [[[10, 100, 200], [20, 100, 200], [30, 101, 201], [40, 101, 201]]]


def test_shared_chroma_needs_pairs_of_columns() -> None:
    with pytest.raises(UndecodablePixels):
        decode_frame(bytes(6), describe_rgb(Rows=1, Columns=3, PhotometricInterpretation="YBR_FULL_422"))


def test_full_chroma_under_the_name_of_shared_chroma_is_kept() -> None:
    description = describe_color(PhotometricInterpretation="YBR_FULL_422")
    assert np.array_equal(decode_frame(RGB.tobytes(), description), RGB)


@pytest.mark.parametrize("size", [0, 1, 47])
def test_a_frame_that_is_too_short_is_refused(size: int) -> None:
    with pytest.raises(UndecodablePixels):
        decode_frame(bytes(size), describe())


# RLE and deflate


def test_rle_joins_byte_planes() -> None:
    planes = [(GRAY_16 >> 8).astype(np.uint8).tobytes(), GRAY_16.astype(np.uint8).tobytes()]
    assert np.array_equal(decode_frame(encode_rle(planes), describe_gray(RLE)), GRAY_16)


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [8, 32])
def test_rle_of_one_and_four_byte_planes(bits: int, signed: int) -> None:
    kind = f"{'ui'[signed]}{bits // 8}"
    values = np.random.default_rng(bits).integers(0, 256, (32, 40, bits // 8), np.uint8).view(kind)[..., 0]
    planes = [
        (values.view(f"u{bits // 8}") >> shift).astype(np.uint8).tobytes()
        for shift in range(bits - 8, -1, -8)
    ]
    description = describe_gray(RLE, BitsAllocated=bits, BitsStored=bits, PixelRepresentation=signed)
    assert np.array_equal(decode_frame(encode_rle(planes), description), values)


def test_rle_colour_is_interleaved_whatever_its_planar_configuration() -> None:
    data = encode_rle([RGB[..., sample].tobytes() for sample in range(3)])
    for planar_configuration in (0, 1):
        description = describe_color(RLE, PlanarConfiguration=planar_configuration)
        assert np.array_equal(decode_frame(data, description), RGB)


def test_rle_of_signed_values_keeps_the_sign() -> None:
    cells = SIGNED.view(np.uint16) & 0xFFF
    planes = [(cells >> 8).astype(np.uint8).tobytes(), cells.astype(np.uint8).tobytes()]
    description = describe_gray(RLE, BitsStored=12, PixelRepresentation=1)
    expected = (SIGNED << 4) >> 4
    assert np.array_equal(decode_frame(encode_rle(planes), description), expected)


@pytest.mark.parametrize(("transfer_syntax_uid", "pack"), [(RLE, encode_rle), (DEFLATED_FRAME, None)])
def test_compressed_single_bits(transfer_syntax_uid: str, pack: Any) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (32, 41), dtype=np.uint8)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    data = pack([packed]) if pack else deflate(packed)
    description = describe_gray(transfer_syntax_uid, Columns=41, BitsAllocated=1, BitsStored=1)
    assert np.array_equal(decode_frame(data, description), bits)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(64),
        struct.pack("<16I", 16, *[64] * 15),
        struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x00\x01\x00\x02",
        struct.pack("<16I", 2, 64, 10**6, *[0] * 13) + bytes(2000),
        encode_rle([bytes(1280)]),
        encode_rle([bytes(1280), bytes(1279)]),
        encode_rle([bytes(1280), bytes(1280)])[:-20],
    ],
)
def test_damaged_rle_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodablePixels):
        decode_frame(data, describe_gray(RLE))


def deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def test_deflated_frames_are_inflated() -> None:
    description = describe_gray(DEFLATED_FRAME)
    assert np.array_equal(decode_frame(deflate(GRAY_16.tobytes()), description), GRAY_16)


@pytest.mark.parametrize("data", [b"", b"\xff" * 9, deflate(bytes(2559)), deflate(GRAY_16.tobytes())[:-90]])
def test_damaged_deflate_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodablePixels):
        decode_frame(data, describe_gray(DEFLATED_FRAME))


def test_a_deflate_bomb_is_inflated_no_further_than_the_frame() -> None:
    decoded = decode_frame(deflate(bytes(50_000_000)), describe_gray(DEFLATED_FRAME))
    assert decoded.shape == (32, 40) and not decoded.any()


# Codestreams

REVERSIBLE = {"codecformat": "j2k", "level": 0, "reversible": True}
LOSSLESS_GRAY = [
    (JPEG_LOSSLESS, imagecodecs.jpeg8_encode(GRAY_16, lossless=True, bitspersample=12), 12),
    (JPEG_LS, imagecodecs.jpegls_encode(GRAY_16), 16),
    (JPEG_2000, imagecodecs.jpeg2k_encode(GRAY_16, **REVERSIBLE), 16),
    (JPEG_2000, imagecodecs.jpeg2k_encode(GRAY_16, codecformat="jp2", level=0, reversible=True), 16),
    (HTJ2K, imagecodecs.htj2k_encode(GRAY_16), 16),
    (JPEG_XL, imagecodecs.jpegxl_encode(GRAY_16, lossless=True), 16),
    (JPEG_XL, imagecodecs.jpegxl_encode(GRAY_16, lossless=True, bitspersample=12), 12),
]


@pytest.mark.parametrize(("transfer_syntax_uid", "data", "bits_stored"), LOSSLESS_GRAY)
def test_lossless_grayscale_is_exact(transfer_syntax_uid: str, data: bytes, bits_stored: int) -> None:
    decoded = decode_frame(data, describe_gray(transfer_syntax_uid, BitsStored=bits_stored))
    assert decoded.dtype == np.uint16 and np.array_equal(decoded, GRAY_16)


@pytest.mark.parametrize(
    ("transfer_syntax_uid", "data", "name"),
    [
        (JPEG_LOSSLESS, imagecodecs.jpeg8_encode(RGB, lossless=True), "RGB"),
        (JPEG_LS, imagecodecs.jpegls_encode(RGB), "RGB"),
        (JPEG_2000, imagecodecs.jpeg2k_encode(RGB, **REVERSIBLE), "YBR_RCT"),
        (
            JPEG_2000,
            imagecodecs.jpeg2k_encode(RGB, **REVERSIBLE, mct=False),
            "RGB",
        ),
        (HTJ2K, imagecodecs.htj2k_encode(RGB), "YBR_RCT"),
        (JPEG_XL, imagecodecs.jpegxl_encode(RGB, lossless=True), "RGB"),
    ],
)
def test_lossless_colour_is_exact(transfer_syntax_uid: str, data: bytes, name: str) -> None:
    decoded = decode_frame(data, describe_color(transfer_syntax_uid, PhotometricInterpretation=name))
    assert np.array_equal(decoded, RGB)


@pytest.mark.parametrize(
    ("transfer_syntax_uid", "data"),
    [
        (JPEG_LOSSLESS, imagecodecs.jpeg8_encode(SIGNED.view(np.uint16), lossless=True, bitspersample=16)),
        (JPEG_LS, imagecodecs.jpegls_encode(SIGNED.view(np.uint16))),
        (JPEG_2000, imagecodecs.jpeg2k_encode(SIGNED, **REVERSIBLE)),
        (
            JPEG_2000,  # of the data set's bits and not of its sign, as some devices do
            imagecodecs.jpeg2k_encode(SIGNED.view(np.uint16), **REVERSIBLE),
        ),
        (HTJ2K, imagecodecs.htj2k_encode(SIGNED)),
    ],
)
def test_signed_values_keep_their_sign_in_every_codestream(transfer_syntax_uid: str, data: bytes) -> None:
    decoded = decode_frame(data, describe_gray(transfer_syntax_uid, PixelRepresentation=1))
    assert decoded.dtype == np.int16 and np.array_equal(decoded, SIGNED)


def test_a_signed_codestream_of_unsigned_pixels_gives_the_bits() -> None:
    data = imagecodecs.jpeg2k_encode(SIGNED, **REVERSIBLE)
    assert np.array_equal(decode_frame(data, describe_gray(JPEG_2000)), SIGNED.view(np.uint16))


def test_signed_jpeg_ls_of_fewer_bits_is_filled_with_the_sign() -> None:
    data = imagecodecs.jpegls_encode((SIGNED & 0xFF).astype(np.uint8))
    description = describe_gray(JPEG_LS, BitsStored=16, PixelRepresentation=1)
    assert np.array_equal(decode_frame(data, description), (SIGNED & 0xFF).astype(np.uint8).view(np.int8))


@pytest.mark.parametrize("bits", [2, 8, 12, 16])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_every_predictor_of_lossless_jpeg(predictor: int, bits: int) -> None:
    image = np.random.default_rng(bits).integers(0, 1 << bits, (32, 40)).astype("u1" if bits <= 8 else "u2")
    data = bytes(imagecodecs.jpeg8_encode(image, lossless=True, predictor=predictor, bitspersample=bits))
    description = describe_gray(JPEG_LOSSLESS_ANY, BitsStored=bits)
    assert np.array_equal(decode_frame(data, description), image)


@pytest.mark.parametrize("bits", [17, 20, 24])
def test_jpeg_2000_of_more_than_sixteen_bits(bits: int) -> None:
    image = np.random.default_rng(bits).integers(0, 1 << bits, (32, 40)).astype("u4")
    data = bytes(imagecodecs.jpeg2k_encode(image, **REVERSIBLE, bitspersample=bits))
    description = describe_gray(JPEG_2000, BitsAllocated=32, BitsStored=bits)
    assert np.array_equal(decode_frame(data, description), image)


def test_jpeg_2000_of_more_bits_than_openjpeg_gets_right_is_refused() -> None:
    image = np.random.default_rng(25).integers(0, 1 << 25, (32, 40)).astype("u4")
    data = bytes(imagecodecs.jpeg2k_encode(image, **REVERSIBLE, bitspersample=25))
    with pytest.raises(UndecodablePixels, match="25 bits"):
        decode_frame(data, describe_gray(JPEG_2000, BitsAllocated=32, BitsStored=25))


def test_eight_bits_in_a_cell_of_sixteen() -> None:
    data = imagecodecs.jpegls_encode(GRAY_8)
    decoded = decode_frame(data, describe_gray(JPEG_LS, BitsStored=8))
    assert decoded.dtype == np.uint16 and np.array_equal(decoded, GRAY_8)


def test_single_bits_in_jpeg_2000() -> None:
    bits = (GRAY_8 > 100).astype(np.uint8)
    data = imagecodecs.jpeg2k_encode(bits, **REVERSIBLE, bitspersample=1)
    assert np.array_equal(decode_frame(data, describe_gray(JPEG_2000, BitsAllocated=1, BitsStored=1)), bits)


@pytest.mark.parametrize(
    ("transfer_syntax_uid", "image", "bits"), [(JPEG_BASELINE, GRAY_8, 8), (JPEG_EXTENDED, GRAY_16, 12)]
)
def test_lossy_jpeg_grayscale_is_close(transfer_syntax_uid: str, image: np.ndarray, bits: int) -> None:
    data = imagecodecs.jpeg8_encode(image, level=100, bitspersample=bits)
    cell = 8 if bits == 8 else 16
    decoded = decode_frame(data, describe_gray(transfer_syntax_uid, BitsAllocated=cell, BitsStored=bits))
    assert decoded.dtype == image.dtype
    assert np.abs(decoded.astype(int) - image).max() <= 2


# Colour of lossy JPEG: values come out in the space that the data set names.

SMOOTH = np.stack(np.broadcast_arrays(np.arange(32)[:, None] * 8, np.arange(40) * 6, 128), axis=-1).astype(
    np.uint8
)


def to_ybr(rgb: np.ndarray) -> np.ndarray:
    """The equations of PS3.3 C.7.6.3.1.2, written out."""
    red, green, blue = (rgb[..., sample].astype(float) for sample in range(3))
    luma = 0.2990 * red + 0.5870 * green + 0.1140 * blue
    blueness = -0.1687 * red - 0.3313 * green + 0.5000 * blue + 128
    redness = 0.5000 * red - 0.4187 * green - 0.0813 * blue + 128
    return np.stack([luma, blueness, redness], axis=-1)


def strip_declarations(data: bytes) -> bytes:
    """Take out the APP0 and APP14 segments of a JPEG."""
    out, position = b"\xff\xd8", 2
    while data[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        out += b"" if data[position + 1] in (0xE0, 0xEE) else data[position:end]
        position = end
    return out + data[position:]


DECLARED_YBR = imagecodecs.jpeg8_encode(SMOOTH, level=100, subsampling="444")
DECLARED_RGB = imagecodecs.jpeg8_encode(SMOOTH, level=100, colorspace="RGB", outcolorspace="RGB")


def test_undeclared_components_are_what_the_data_set_says() -> None:
    components = imagecodecs.jpeg8_decode(DECLARED_YBR, colorspace="YCBCR", outcolorspace="YCBCR")
    for name in ("RGB", "YBR_FULL", "YBR_FULL_422"):
        description = describe_color(JPEG_BASELINE, PhotometricInterpretation=name)
        assert np.array_equal(decode_frame(strip_declarations(DECLARED_YBR), description), components)


@pytest.mark.parametrize("name", ["YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("data", [DECLARED_YBR, DECLARED_RGB])
def test_declared_components_become_the_ybr_that_the_data_set_names(data: bytes, name: str) -> None:
    decoded = decode_frame(data, describe_color(JPEG_BASELINE, PhotometricInterpretation=name))
    assert np.abs(decoded - to_ybr(SMOOTH)).max() <= 2


@pytest.mark.parametrize("data", [DECLARED_YBR, DECLARED_RGB])
def test_declared_components_become_the_rgb_that_the_data_set_names(data: bytes) -> None:
    decoded = decode_frame(data, describe_color(JPEG_BASELINE))
    assert np.abs(decoded.astype(int) - SMOOTH).max() <= 3


# Refusals


@pytest.mark.parametrize(("transfer_syntax_uid", "data", "bits_stored"), LOSSLESS_GRAY)
@pytest.mark.parametrize(
    "changes",
    [{"Rows": 31}, {"Columns": 41}, {"BitsAllocated": 8, "BitsStored": 8}, {"Rows": 9999, "Columns": 9999}],
)
def test_a_codestream_that_contradicts_the_data_set_is_refused(
    transfer_syntax_uid: str, data: bytes, bits_stored: int, changes: dict[str, int]
) -> None:
    description = describe_gray(transfer_syntax_uid, **{"BitsStored": bits_stored, **changes})
    with pytest.raises(UndecodablePixels):
        decode_frame(data, description)


@pytest.mark.parametrize(("transfer_syntax_uid", "data", "bits_stored"), LOSSLESS_GRAY)
def test_a_codestream_of_other_samples_is_refused(
    transfer_syntax_uid: str, data: bytes, bits_stored: int
) -> None:
    with pytest.raises(UndecodablePixels):
        decode_frame(data, describe_color(transfer_syntax_uid))


@pytest.mark.parametrize(
    ("transfer_syntax_uid", "data"),
    [(uid, data) for uid, data, _ in LOSSLESS_GRAY]
    + [(JPEG_EXTENDED, imagecodecs.jpeg8_encode(GRAY_16, level=90, bitspersample=12))],
)
@pytest.mark.parametrize("kept", [0, 3, 0.1, 0.6, 0.99])
def test_a_truncated_codestream_is_refused(transfer_syntax_uid: str, data: bytes, kept: float) -> None:
    with pytest.raises(UndecodablePixels):
        decode_frame(
            data[: int(len(data) * kept) if kept < 1 else int(kept)], describe_gray(transfer_syntax_uid)
        )


def test_padding_behind_a_codestream_does_no_harm() -> None:
    for transfer_syntax_uid, data, bits_stored in LOSSLESS_GRAY:
        decoded = decode_frame(data + b"\0", describe_gray(transfer_syntax_uid, BitsStored=bits_stored))
        assert np.array_equal(decoded, GRAY_16)


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    data = imagecodecs.jpeg8_encode(GRAY_8)
    bomb = data[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 500 + b"\xff\xd9"
    with pytest.raises(UndecodablePixels, match="scans"):
        decode_frame(bomb, describe_gray(JPEG_BASELINE, BitsAllocated=8, BitsStored=8))


@pytest.mark.parametrize("number", ["4.100", "4.102", "4.107", "4.94", "4.59", "4.66", "4.92", "7.1"])
def test_what_has_no_decoder_is_unavailable_and_not_damaged(number: str) -> None:
    with pytest.raises(PixelsUnavailable) as caught:
        decode_frame(b"anything", describe_gray(f"1.2.840.10008.1.2.{number}"))
    assert not isinstance(caught.value, UndecodablePixels)


def test_compressed_float_pixels_are_refused() -> None:
    with pytest.raises(UndecodablePixels):
        decode_frame(b"x", describe_gray(RLE, BitsAllocated=32, BitsStored=None, PixelRepresentation=None))


_MUTABLE = [(uid, data, bits) for uid, data, bits in LOSSLESS_GRAY if uid != JPEG_LS] + [
    (RLE, encode_rle([GRAY_16.astype(np.uint8).tobytes()] * 2), 16)
]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(_MUTABLE),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_damaged_codestream_gives_the_frame_or_a_refusal(
    encoded: tuple[str, bytes, int], changes: list[tuple[float, int]]
) -> None:
    # Not JPEG-LS: CharLS refuses damage too, but may first count zeros for seconds.
    transfer_syntax_uid, data, bits_stored = encoded
    damaged = bytearray(data)
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    try:
        decoded = decode_frame(bytes(damaged), describe_gray(transfer_syntax_uid, BitsStored=bits_stored))
    except UndecodablePixels:
        return
    assert decoded.shape == (32, 40) and decoded.dtype == np.uint16
