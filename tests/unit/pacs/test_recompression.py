"""Uncompressed instances in a lossless compression, and what must never come of it."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import parse_basic_offsets
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from pacs.archive import Archive
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.errors import ArchiveError, UnfaithfulCompression, UnsupportedTransferSyntax
from pacs.pixels import transcode
from pacs.pixels.pixel_data import SpooledFrames
from pacs.pixels.transcode import HTJ2K_LOSSLESS, JPEG_LS_LOSSLESS
from pacs.recompression import RECOMPRESSED_SYNTAXES, recompress
from tests.data import read_manifest, shared_data
from tests.datasets import encode_file, make_dataset
from tests.unit.pacs.test_conversion import one_of_each_kind, plain, store, values_of
from tests.unit.viewer_api.conftest import empty_archive

RNG = np.random.default_rng(7)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive in which the last content of an instance is the current one: files share their UIDs."""
    with empty_archive(tmp_path_factory.mktemp("archive"), on_conflict="replace") as opened:
        yield opened


def compressed(archive: Archive, content: bytes, uid: str = HTJ2K_LOSSLESS) -> bytes:
    with recompress(archive, store(archive, content), uid) as made:
        assert made.transfer_syntax_uid == uid
        return bytes(made.staged.view())


def multi_frame(**changes: Any) -> Dataset:
    """Make three frames of noise in 12 bits."""
    frames = RNG.integers(0, 4096, (3, 16, 16)).astype("<u2")
    return make_dataset(BitsStored=12, HighBit=11, NumberOfFrames=3, PixelData=frames.tobytes(), **changes)


def color(planar_configuration: int) -> Dataset:
    planes = RNG.integers(0, 256, (16, 16, 3), np.uint8)
    stored = planes if planar_configuration == 0 else np.moveaxis(planes, -1, 0)
    return make_dataset(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=planar_configuration,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=stored.tobytes(),
    )


@pytest.mark.parametrize("uid", RECOMPRESSED_SYNTAXES)
@pytest.mark.parametrize(
    "stored_as",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_frames_and_attributes_of_every_uncompressed_syntax_are_kept(
    archive: Archive, stored_as: str, uid: str
) -> None:
    content = encode_file(multi_frame(), stored_as)
    made = compressed(archive, content, uid)
    np.testing.assert_array_equal(values_of(made), values_of(content))
    before, after = dcmread(io.BytesIO(content)), dcmread(io.BytesIO(made))
    assert after.file_meta.TransferSyntaxUID == uid
    assert after.SOPInstanceUID == before.SOPInstanceUID
    assert plain(after, private=True) == plain(before, private=True)
    assert "LossyImageCompression" not in after


def test_the_offset_table_tells_where_each_frame_begins(archive: Archive) -> None:
    after = dcmread(io.BytesIO(compressed(archive, encode_file(multi_frame(), ExplicitVRLittleEndian))))
    offsets = parse_basic_offsets(after.PixelData)
    assert len(offsets) == 3
    first_item = 8 + 4 * 3
    for offset in offsets:
        assert after.PixelData[first_item + offset :].startswith(b"\xfe\xff\x00\xe0")
        assert after.PixelData[first_item + offset + 8 :].startswith(b"\xff\x4f\xff\x51")


def test_offsets_beyond_four_gigabytes_go_into_an_extended_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacs.pixels.pixel_data._MAX_BASIC_OFFSET", 10)
    attributes = Dataset()
    with SpooledFrames([b"one", b"second"]) as spooled:
        spooled.describe(attributes)
        written = b"".join(spooled.write())
    assert np.frombuffer(attributes.ExtendedOffsetTable, "<u8").tolist() == [0, 12]
    assert np.frombuffer(attributes.ExtendedOffsetTableLengths, "<u8").tolist() == [3, 6]
    assert written[12:20] == b"\xfe\xff\x00\xe0\0\0\0\0"  # the basic table is empty then
    assert written[20:32] == b"\xfe\xff\x00\xe0\x04\0\0\0one\0"


@pytest.mark.parametrize("planar_configuration", [0, 1])
@pytest.mark.parametrize(("uid", "name"), [(HTJ2K_LOSSLESS, "YBR_RCT"), (JPEG_LS_LOSSLESS, "RGB")])
def test_colour_says_how_it_is_coded(
    archive: Archive, planar_configuration: int, uid: str, name: str
) -> None:
    content = encode_file(color(planar_configuration), ExplicitVRLittleEndian)
    made = compressed(archive, content, uid)
    after = dcmread(io.BytesIO(made))
    assert (after.PhotometricInterpretation, after.PlanarConfiguration) == (name, 0)
    np.testing.assert_array_equal(values_of(made), values_of(content))


def test_an_icon_stays_as_it_is(archive: Archive) -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
    icon.BitsAllocated = icon.BitsStored = 8
    icon.HighBit, icon.PixelRepresentation, icon.PixelData = 7, 0, bytes([1, 2, 3, 4])
    content = encode_file(multi_frame(IconImageSequence=[icon]), ExplicitVRLittleEndian)
    after = dcmread(io.BytesIO(compressed(archive, content)))
    assert after.IconImageSequence[0].PixelData == bytes([1, 2, 3, 4])


def _floats() -> Dataset:
    dataset = make_dataset(BitsAllocated=32, FloatPixelData=bytes(4 * 256))
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    return dataset


def _with_overlay() -> Dataset:
    dataset = make_dataset(BitsStored=12, HighBit=11)
    dataset.add_new((0x6000, 0x0100), "US", 16)
    dataset.add_new((0x6000, 0x0102), "US", 12)
    return dataset


@pytest.mark.parametrize(
    "dataset",
    [
        _floats(),
        make_dataset(BitsAllocated=32, BitsStored=32, HighBit=31, PixelData=bytes(1024)),
        make_dataset(BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=bytes(32)),
        _with_overlay(),
        make_dataset(PixelData=bytes(3 * 512)),  # three frames, and the data set says one
    ],
    ids=["float", "32 bits", "single bits", "overlay in unused bits", "more than the frames"],
)
def test_what_would_not_survive_is_refused(archive: Archive, dataset: Dataset) -> None:
    instance = store(archive, encode_file(dataset, ExplicitVRLittleEndian))
    with pytest.raises(UnsupportedTransferSyntax), recompress(archive, instance):
        pass


def test_only_uncompressed_instances_and_lossless_syntaxes_are_taken(archive: Archive) -> None:
    instance = store(archive, compressed(archive, encode_file(multi_frame(), ExplicitVRLittleEndian)))
    with pytest.raises(UnsupportedTransferSyntax, match="already"), recompress(archive, instance):
        pass
    instance = store(archive, encode_file(multi_frame(), ExplicitVRLittleEndian))
    for uid in (transcode.JPEG_BASELINE, EXPLICIT_VR_LITTLE_ENDIAN):
        with pytest.raises(UnsupportedTransferSyntax), recompress(archive, instance, uid):
            pass


def test_an_encoder_that_errs_is_found_out(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a part of ours is replaced, but the codec behind it: by one that loses a level of one pixel."""
    encode = transcode.imagecodecs.jpegls_encode

    def err(image: np.ndarray, **options: Any) -> bytes:
        image = image.copy()
        image[3, 3] ^= 1
        return bytes(encode(image, **options))

    monkeypatch.setattr(transcode.imagecodecs, "jpegls_encode", err)
    instance = store(archive, encode_file(multi_frame(), ExplicitVRLittleEndian))
    with pytest.raises(UnfaithfulCompression), recompress(archive, instance, JPEG_LS_LOSSLESS):
        pass
    monkeypatch.setattr(transcode.imagecodecs, "jpegls_encode", lambda image, **_: encode(image)[:-40])
    with pytest.raises(UnfaithfulCompression), recompress(archive, instance, JPEG_LS_LOSSLESS):
        pass


def test_memory_is_taken_for_frames_and_not_for_the_object(archive: Archive) -> None:
    frames = np.broadcast_to(np.arange(512, dtype="<u2"), (60, 512, 512))
    dataset = make_dataset(Rows=512, Columns=512, NumberOfFrames=60, PixelData=frames.tobytes())
    instance = store(archive, encode_file(dataset, ExplicitVRLittleEndian))
    tracemalloc.start()
    try:
        with recompress(archive, instance) as made:
            assert made.staged.size_bytes < instance.location.size_bytes / 3
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < instance.location.size_bytes / 3


def check_recompression(archive: Archive, name: str) -> bool:
    """Compress a file in both ways where it can be; tell whether it could."""
    content = shared_data(*Path(name).parts).read_bytes()
    try:
        instance = store(archive, content)
    except ArchiveError:
        return False
    if TRANSFER_SYNTAXES[instance.transfer_syntax_uid].encapsulated:
        return False
    before = plain(dcmread(io.BytesIO(content), force=True), private=False)
    for uid in RECOMPRESSED_SYNTAXES:
        try:
            with recompress(archive, instance, uid) as made:
                again = bytes(made.staged.view())
        except ArchiveError as error:
            assert not isinstance(error, UnfaithfulCompression), name
            return False
        np.testing.assert_array_equal(values_of(again), values_of(content), name)
        assert plain(dcmread(io.BytesIO(again)), private=False) == before, name
    return True


def test_each_kind_of_uncompressed_file_is_recompressed(archive: Archive) -> None:
    shared_data()
    assert sum(check_recompression(archive, name) for name in one_of_each_kind()) >= 9


@pytest.mark.soak
def test_every_uncompressed_file_is_recompressed(archive: Archive) -> None:
    shared_data()
    names = [row["file"] for row in read_manifest() if not row["file"].startswith("malformed")]
    assert sum(check_recompression(archive, name) for name in names) > 300


def test_a_recompressed_object_is_smaller_where_it_is_no_noise(archive: Archive) -> None:
    content = encode_file(
        make_dataset(Rows=64, Columns=64, PixelData=np.zeros((64, 64), "<u2").tobytes()),
        ExplicitVRLittleEndian,
    )
    for uid in (HTJ2K_LOSSLESS, str(JPEGLSLossless)):
        assert len(compressed(archive, content, uid)) < len(content)
