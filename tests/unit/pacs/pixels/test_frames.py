from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pacs.errors import NotFound, PixelsUnavailable, UndecodablePixels
from pacs.pixels import fragments as fragments_module
from pacs.pixels.description import PixelDescription
from pacs.pixels.frames import locate_native_frame, read_encoded_frame
from tests.unit.pacs.pixels.images import (
    BIG_ENDIAN,
    EXPLICIT,
    JPEG_BASELINE,
    JPEG_LS,
    RLE,
    SEQUENCE_DELIMITER,
    describe,
    describe_rgb,
    encapsulate,
    in_an_object,
    item,
)

NOTHING = Dataset()


def read_native(value: bytes, description: PixelDescription, frame_index: int) -> bytes:
    stream, offset = in_an_object(value)
    return read_encoded_frame(stream, offset, len(value), description, frame_index, NOTHING)


def read_encapsulated(
    value: bytes,
    number_of_frames: int,
    frame_index: int,
    attributes: Dataset = NOTHING,
    after: bytes = b"trailer",
) -> bytes:
    stream, offset = in_an_object(value, after=after)
    description = describe(JPEG_BASELINE, BitsAllocated=8, BitsStored=8, NumberOfFrames=number_of_frames)
    return read_encoded_frame(stream, offset, None, description, frame_index, attributes)


def jpeg(content: bytes) -> bytes:
    """Something that begins as a JPEG does."""
    return b"\xff\xd8\xff\xe0" + content


# Native frames


def test_native_frames_follow_one_another() -> None:
    frames = [bytes([number]) * 48 for number in range(3)]
    description = describe(NumberOfFrames=3)
    for index, frame in enumerate(frames):
        assert read_native(b"".join(frames), description, index) == frame


def test_colour_counts_all_its_samples() -> None:
    frames = [bytes([number]) * 72 for number in range(2)]
    assert read_native(b"".join(frames), describe_rgb(NumberOfFrames=2), 1) == frames[1]


def test_subsampled_colour_has_two_thirds_of_the_samples() -> None:
    frames = [bytes([number]) * 48 for number in range(2)]
    description = describe_rgb(PhotometricInterpretation="YBR_FULL_422", NumberOfFrames=2)
    assert read_native(b"".join(frames), description, 1) == frames[1]


def test_subsampled_colour_that_has_all_samples_is_read_whole() -> None:
    frames = [bytes([number]) * 72 for number in range(2)]
    description = describe_rgb(PhotometricInterpretation="YBR_FULL_422", NumberOfFrames=2)
    assert read_native(b"".join(frames), description, 1) == frames[1]


def test_bits_of_a_frame_are_moved_to_the_front() -> None:
    pixels = np.random.default_rng(0).integers(0, 2, (5, 3, 3), dtype=np.uint8)  # nine bits a frame
    value = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    description = describe(Rows=3, Columns=3, BitsAllocated=1, BitsStored=1, NumberOfFrames=5)
    for index in range(5):
        frame = read_native(value, description, index)
        bits = np.unpackbits(np.frombuffer(frame, "u1"), bitorder="little")
        assert len(frame) == 2
        assert bits[:9].tolist() == pixels[index].reshape(-1).tolist()
        assert not bits[9:].any()


@given(
    st.sampled_from(["MONOCHROME2", "RGB", "YBR_FULL_422"]),
    st.sampled_from([1, 8, 16]),
    st.sampled_from([EXPLICIT, BIG_ENDIAN]),
    st.integers(-1, 3),
    st.binary(max_size=300),
)
@settings(max_examples=60)
def test_what_is_located_is_what_would_be_read(
    name: str, bits: int, syntax: str, frame_index: int, value: bytes
) -> None:
    samples = 1 if name == "MONOCHROME2" else 3
    description = describe(
        syntax,
        NumberOfFrames=3,
        PhotometricInterpretation=name,
        SamplesPerPixel=samples,
        BitsAllocated=bits,
        BitsStored=bits,
    )
    stream, offset = in_an_object(value)
    extent = locate_native_frame(offset, len(value), description, frame_index)
    if extent is not None:
        located = stream.getvalue()[extent.offset : extent.offset + extent.size_bytes]
        assert located == read_native(value, description, frame_index)


def test_a_frame_of_whole_bytes_is_located() -> None:
    extent = locate_native_frame(100, 3 * 48, describe(NumberOfFrames=3), 2)
    assert extent is not None
    assert (extent.offset, extent.size_bytes) == (100 + 2 * 48, 48)


def test_bytes_in_big_endian_words_come_in_pixel_order() -> None:
    pixels = bytes(range(1, 19))
    swapped = np.frombuffer(pixels, "u2").byteswap().tobytes()
    header = b"\x7f\xe0\x00\x10OW\0\0" + struct.pack(">I", len(swapped))
    stream = io.BytesIO(header + swapped)
    description = describe(BIG_ENDIAN, Rows=3, Columns=3, BitsAllocated=8, BitsStored=8, NumberOfFrames=2)
    for index in range(2):  # the second one begins within a word
        frame = read_encoded_frame(stream, len(header), len(swapped), description, index, NOTHING)
        assert frame == pixels[9 * index : 9 * index + 9]


def test_bytes_that_are_no_words_are_left_alone_in_big_endian() -> None:
    pixels = bytes(range(24))
    header = b"\x7f\xe0\x00\x10OB\0\0" + struct.pack(">I", len(pixels))
    description = describe(BIG_ENDIAN, BitsAllocated=8, BitsStored=8)
    frame = read_encoded_frame(io.BytesIO(header + pixels), len(header), 24, description, 0, NOTHING)
    assert frame == pixels


@pytest.mark.parametrize("frame_index", [-1, 2, 10**9])
def test_a_frame_that_is_not_there_is_not_found(frame_index: int) -> None:
    with pytest.raises(NotFound):
        read_native(bytes(96), describe(NumberOfFrames=2), frame_index)


def test_a_truncated_native_frame_is_refused() -> None:
    assert read_native(bytes(95), describe(NumberOfFrames=2), 0) == bytes(48)
    with pytest.raises(UndecodablePixels):
        read_native(bytes(95), describe(NumberOfFrames=2), 1)


def test_a_length_beyond_the_object_is_not_believed() -> None:
    with pytest.raises(UndecodablePixels):
        read_encoded_frame(io.BytesIO(bytes(40)), 0, 2**40, describe(), 0, NOTHING)


def test_native_pixels_have_a_length() -> None:
    with pytest.raises(UndecodablePixels):
        read_encoded_frame(io.BytesIO(bytes(48)), 0, None, describe(), 0, NOTHING)


@pytest.mark.parametrize("transfer_syntax_uid", ["1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.94"])
def test_video_and_jpip_have_no_frames_to_read(transfer_syntax_uid: str) -> None:
    with pytest.raises(PixelsUnavailable):
        read_encoded_frame(io.BytesIO(bytes(48)), 0, 48, describe(transfer_syntax_uid), 0, NOTHING)


# Encapsulated frames


def test_all_fragments_of_a_single_frame_are_joined() -> None:
    assert read_encapsulated(encapsulate([b"abcd", b"efgh", b"ij"]), 1, 0) == b"abcdefghij"


def test_one_fragment_is_one_frame_where_there_are_as_many() -> None:
    value = encapsulate([b"abcd", b"efgh", b"ij"])
    assert [read_encapsulated(value, 3, index) for index in range(3)] == [b"abcd", b"efgh", b"ij"]


def test_an_empty_fragment_belongs_to_no_frame() -> None:
    value = encapsulate([b"abcd", b"", b"efgh", b""])
    assert [read_encapsulated(value, 2, index) for index in range(2)] == [b"abcd", b"efgh"]


def test_the_basic_offset_table_divides_fragments() -> None:
    value = encapsulate([b"abcd", b"ef", b"ghij", b"kl"], [0, 22])  # two fragments each
    assert [read_encapsulated(value, 2, index) for index in range(2)] == [b"abcdef", b"ghijkl"]


@pytest.mark.parametrize(
    "table", [[0, 0], [0, 13], [0, 10**9], [3, 12], [12, 0], [0], [0xFFFFFFFF, 0xFFFFFFFF]], ids=str
)
def test_a_basic_offset_table_that_misses_the_items_is_not_believed(table: list[int]) -> None:
    value = encapsulate([b"abcd", b"efgh"], table)
    assert [read_encapsulated(value, 2, index) for index in range(2)] == [b"abcd", b"efgh"]


def extended(offsets: list[int], lengths: list[int]) -> Dataset:
    attributes = Dataset()
    attributes.ExtendedOffsetTable = struct.pack(f"<{len(offsets)}Q", *offsets)
    attributes.ExtendedOffsetTableLengths = struct.pack(f"<{len(lengths)}Q", *lengths)
    return attributes


def test_the_extended_offset_table_gives_the_size_without_padding() -> None:
    value = encapsulate([b"abc\0", b"defg", b"hijkl\0"])
    attributes = extended([0, 12, 24], [3, 4, 5])
    assert [read_encapsulated(value, 3, index, attributes) for index in range(3)] == [
        b"abc",
        b"defg",
        b"hijkl",
    ]


@pytest.mark.parametrize(
    ("offsets", "lengths"), [([0, 13], [4, 4]), ([0, 2**63], [4, 4]), ([0, 12], [4, 2**40]), ([0], [4])]
)
def test_an_extended_offset_table_that_misses_the_items_is_not_believed(
    offsets: list[int], lengths: list[int]
) -> None:
    value = encapsulate([b"abcd", b"efgh"])
    assert read_encapsulated(value, 2, 1, extended(offsets, lengths)) == b"efgh"


def test_codestreams_divide_fragments_where_no_table_does() -> None:
    value = encapsulate([jpeg(b"ab"), b"cd", jpeg(b"ef"), jpeg(b"gh"), b"ij", b"kl"])
    frames = [read_encapsulated(value, 3, index) for index in range(3)]
    assert frames == [jpeg(b"abcd"), jpeg(b"ef"), jpeg(b"ghijkl")]


@pytest.mark.parametrize(
    "fragments",
    [[b"abcd"], [b"ab", b"cd", b"ef"], [b"ab", jpeg(b"cd"), jpeg(b"ef")], [jpeg(b"ab"), b"cd", b"ef"]],
)
def test_fragments_that_do_not_tell_where_frames_begin_are_refused(fragments: list[bytes]) -> None:
    with pytest.raises(UndecodablePixels):
        read_encapsulated(encapsulate(fragments), 2, 0)


def test_a_value_of_defined_length_needs_no_delimiter() -> None:
    value = item(b"") + item(b"abcd") + item(b"efgh")
    stream, offset = in_an_object(value)
    description = describe(RLE, NumberOfFrames=2)
    assert read_encoded_frame(stream, offset, len(value), description, 1, NOTHING) == b"efgh"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        item(b""),
        item(b"") + SEQUENCE_DELIMITER,
        item(b"") + item(b"abcd"),
        item(b"") + item(b"abcd") + SEQUENCE_DELIMITER[:6],
        item(b"") + b"\xfe\xff\x00\xe0\xff\xff\xff\xffabcd" + SEQUENCE_DELIMITER,
        item(b"") + b"\xfe\xff\x00\xe0\x05\0\0\x10abcd" + SEQUENCE_DELIMITER,
        item(b"") + b"\x08\0\x05\0\x04\0\0\0abcd" + SEQUENCE_DELIMITER,
        item(b"abcd")[:8],
        SEQUENCE_DELIMITER,
        b"\xff" * 64,
    ],
    ids=[
        "nothing",
        "only a table",
        "no fragment",
        "no delimiter",
        "half a delimiter",
        "undefined item length",
        "item longer than the object",
        "another tag",
        "table cut short",
        "no table",
        "noise",
    ],
)
def test_damaged_fragments_are_refused(value: bytes) -> None:
    with pytest.raises(UndecodablePixels):
        read_encapsulated(value, 1, 0, after=b"")


def test_a_frame_far_larger_than_its_pixels_is_refused() -> None:
    with pytest.raises(UndecodablePixels):
        read_encapsulated(encapsulate([bytes(2 << 20)]), 1, 0)


def test_endless_fragments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments_module, "MAX_FRAGMENTS", 10)
    assert read_encapsulated(encapsulate([b"ab"] * 9), 9, 8) == b"ab"
    with pytest.raises(UndecodablePixels):
        read_encapsulated(encapsulate([b"ab"] * 11), 11, 8)


class CountingStream(io.BytesIO):
    """A stream that counts what is read from it."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data


def test_only_the_frame_and_item_headers_are_read() -> None:
    stream = CountingStream(encapsulate([bytes(10_000)] * 50))
    description = describe(JPEG_LS, Rows=100, Columns=100, NumberOfFrames=50)
    assert len(read_encoded_frame(stream, 0, None, description, 49, NOTHING)) == 10_000
    assert stream.bytes_read < 10_000 + 60 * 8


class ShrinkingStream(io.BytesIO):
    """A stream that ends before it said it would, as an object does that is being removed."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size)[:-1]


@pytest.mark.parametrize("transfer_syntax_uid", [EXPLICIT, JPEG_LS])
def test_a_stream_that_ends_early_is_refused(transfer_syntax_uid: str) -> None:
    stream = ShrinkingStream(encapsulate([bytes(48)]))
    with pytest.raises(UndecodablePixels):
        read_encoded_frame(stream, 0, 48, describe(transfer_syntax_uid), 0, NOTHING)


# Properties


@settings(max_examples=60)
@given(
    frames=st.lists(
        st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=3), min_size=1, max_size=5
    ),
    table=st.sampled_from(["basic", "none"]),
)
def test_frames_are_found_however_they_are_cut(frames: list[list[bytes]], table: str) -> None:
    # The first fragment of a frame, and no other, looks like a codestream: so the walk tells them apart.
    frames = [[jpeg(frame[0]), *(b"\1" + fragment for fragment in frame[1:])] for frame in frames]
    sizes = [sum(len(fragment) + 8 for fragment in frame) for frame in frames]
    offsets = [sum(sizes[:index]) for index in range(len(sizes))]
    value = encapsulate(
        [fragment for frame in frames for fragment in frame], offsets if table == "basic" else None
    )
    for index, frame in enumerate(frames):
        assert read_encapsulated(value, len(frames), index) == b"".join(frame)


_hostile_items = st.lists(
    st.one_of(
        st.binary(max_size=12).map(item),
        st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=8)).map(
            lambda lie: b"\xfe\xff\x00\xe0" + struct.pack("<I", lie[0]) + lie[1]
        ),
        st.just(SEQUENCE_DELIMITER),
        st.binary(max_size=16),
    ),
    max_size=8,
).map(b"".join)


@settings(max_examples=200)
@given(
    value=_hostile_items,
    number_of_frames=st.integers(1, 2**31 - 1) | st.integers(1, 4),
    data=st.data(),
    tables=st.tuples(st.binary(max_size=24), st.binary(max_size=24)) | st.none(),
    size=st.none() | st.integers(0, 2**40),
    transfer_syntax_uid=st.sampled_from([JPEG_BASELINE, RLE, EXPLICIT, BIG_ENDIAN]),
)
def test_hostile_pixel_data_gives_a_bounded_frame_or_is_refused(
    value: bytes,
    number_of_frames: int,
    data: st.DataObject,
    tables: tuple[bytes, bytes] | None,
    size: int | None,
    transfer_syntax_uid: str,
) -> None:
    frame_index = data.draw(st.integers(0, min(number_of_frames - 1, 5)))
    attributes: Any = Dataset()
    if tables:
        attributes.ExtendedOffsetTable, attributes.ExtendedOffsetTableLengths = tables
    description = describe(
        transfer_syntax_uid, BitsAllocated=8, BitsStored=8, NumberOfFrames=number_of_frames
    )
    try:
        frame = read_encoded_frame(io.BytesIO(value), 0, size, description, frame_index, attributes)
    except PixelsUnavailable:
        return
    assert len(frame) <= len(value)
