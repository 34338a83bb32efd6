from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless

from pacs.archive import Archive
from pacs.conversion import can_be_implicit, convert_instance, convertible_syntaxes
from pacs.dicom.deflated import inflate
from pacs.dicom.header import scan_header
from pacs.dicom.part10 import split_part10
from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from pacs.errors import ArchiveError, UndecodablePixels
from pacs.index.records import StoredInstance
from pacs.ingest import Origin, open_part10, store_instance
from pacs.pixels.decode import decode_frame
from pacs.pixels.description import PixelDescription, describe_pixels
from pacs.pixels.frames import read_encoded_frames
from pacs.pixels.transcode import encode_frame, is_lossless, transcodable_syntaxes, transcoded
from pacs.retrieve import find_instances
from tests.data import read_manifest, shared_data
from tests.datasets import encode_file, make_dataset
from tests.unit.viewer_api.conftest import empty_archive

# What a conversion may change.
CHANGED = frozenset(
    {
        *("PixelData", "PhotometricInterpretation", "PlanarConfiguration", "HighBit"),
        *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "DataSetTrailingPadding"),
    }
)
CHANGED_BY_LOSS = ("00080008", "00282110", "00282112", "00282114")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive in which the last content of an instance is the current one: files share their UIDs."""
    with empty_archive(tmp_path_factory.mktemp("archive"), on_conflict="replace") as opened:
        yield opened


def store(archive: Archive, content: bytes) -> StoredInstance:
    outcome = store_instance(archive, open_part10([content]), Origin("stow"))
    uids = outcome.study_instance_uid, outcome.series_instance_uid, outcome.sop_instance_uid
    (instance,) = find_instances(archive, *uids)
    return instance


def one_of_each_kind() -> Iterator[str]:
    """Name a small file of each kind of image, and of each transfer syntax."""
    seen = set()
    for row in sorted(read_manifest(), key=lambda row: int(row["bytes"])):
        kind = tuple(row[name] for name in ("ts", "photometric", "ba", "pr"))
        if not row["file"].startswith("malformed") and kind not in seen and int(row["bytes"]) < 60_000:
            seen.add(kind)
            yield row["file"]


def values_of(content: bytes) -> npt.NDArray[Any]:
    """Decode all frames of a file."""
    meta, rest = split_part10([content])
    encoded = b"".join(rest)
    syntax = TRANSFER_SYNTAXES[meta.transfer_syntax_uid]
    encoded = inflate(encoded) if syntax.deflated else encoded
    pixel_data = scan_header(encoded, syntax).pixel_data
    assert pixel_data is not None
    attributes = dcmread(io.BytesIO(content), stop_before_pixels=True, force=True)
    description = describe_pixels(attributes, meta.transfer_syntax_uid)
    frames = read_encoded_frames(
        io.BytesIO(encoded),
        pixel_data.offset,
        pixel_data.size_bytes,
        description,
        range(description.number_of_frames),
        attributes,
    )
    return np.stack([decode_frame(frame, description) for frame in frames])


def plain(dataset: Dataset, *, private: bool) -> dict[str, Any]:
    """Read a data set as pydicom does, without what a conversion changes, and without group lengths."""
    for element in list(dataset):
        is_left_out = element.keyword in CHANGED or (element.tag.is_private and not private)
        if is_left_out or element.tag.element == 0:
            del dataset[element.tag]
        elif element.VR == "SQ":
            for item in element.value:
                plain(item, private=private)
    return dataset.to_json_dict(suppress_invalid_tags=True)


def check_every_conversion(archive: Archive, name: str) -> int:
    """Convert a file into all that it can be converted into, and compare; return how many these are."""
    content = shared_data(*Path(name).parts).read_bytes()
    try:
        instance = store(archive, content)
    except ArchiveError:
        return 0
    targets = convertible_syntaxes(archive, instance)
    # What a big endian data set has as UN is little endian all the same (PS3.5 6.2.2); pydicom turns it.
    private = instance.transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN
    original = plain(dcmread(io.BytesIO(content), force=True), private=private)
    values: npt.NDArray[Any] | None = None
    for uid in targets:
        try:
            converted = b"".join(convert_instance(archive, instance, uid))
        except UndecodablePixels:
            with pytest.raises(UndecodablePixels):
                values_of(content)
            return 0
        dataset = dcmread(io.BytesIO(converted))
        assert dataset.file_meta.TransferSyntaxUID == uid
        changed = () if is_lossless(uid) else CHANGED_BY_LOSS
        again = plain(dataset, private=private)
        assert {tag: again[tag] for tag in again if tag not in changed} == {
            tag: original[tag] for tag in original if tag not in changed
        }, (name, uid)
        if is_lossless(uid) and instance.location.pixel_data_offset is not None:
            values = values_of(content) if values is None else values
            np.testing.assert_array_equal(values_of(converted), values, f"{name} {uid}")
    return len(targets)


def test_each_kind_of_file_is_the_same_in_every_transfer_syntax_that_it_can_have(archive: Archive) -> None:
    shared_data()
    assert sum(check_every_conversion(archive, name) for name in one_of_each_kind()) > 100


def test_what_is_made_implicit_says_the_same(archive: Archive) -> None:
    compared = 0
    for name in one_of_each_kind():
        content = shared_data(*Path(name).parts).read_bytes()
        try:
            instance = store(archive, content)
            if not can_be_implicit(instance, convertible_syntaxes(archive, instance)):
                continue
            converted = b"".join(convert_instance(archive, instance, IMPLICIT_VR_LITTLE_ENDIAN))
            values = values_of(content)
        except (ArchiveError, AssertionError):  # damaged, or no image
            continue
        dataset = dcmread(io.BytesIO(converted))
        assert dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        original = plain(dcmread(io.BytesIO(content), force=True), private=False)
        again = plain(dataset, private=False)
        assert again.keys() == original.keys(), name
        # where a file has another VR than the dictionary, that is lost
        same = [tag for tag, element in original.items() if again[tag]["vr"] == element["vr"]]
        assert len(same) > 0.9 * len(original), name
        assert {tag: again[tag] for tag in same} == {tag: original[tag] for tag in same}, name
        np.testing.assert_array_equal(values_of(converted), values, name)
        compared += 1
    assert compared > 20


@pytest.mark.soak
def test_every_file_is_the_same_in_every_transfer_syntax_that_it_can_have(archive: Archive) -> None:
    shared_data()
    names = [row["file"] for row in read_manifest() if not row["file"].startswith("malformed")]
    assert sum(check_every_conversion(archive, name) for name in names) > 2000


@settings(max_examples=30, deadline=None)
@given(
    bits=st.integers(1, 16),
    signed=st.booleans(),
    color=st.sampled_from(["MONOCHROME1", "PALETTE COLOR", "RGB", "YBR_FULL"]),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    seed=st.integers(0, 1 << 30),
)
def test_noise_of_every_depth_survives_every_lossless_encoder(
    bits: int, signed: bool, color: str, rows: int, columns: int, seed: int
) -> None:
    samples = 3 if color in ("RGB", "YBR_FULL") else 1
    signed = signed and samples == 1
    allocated = 8 if bits <= 8 else 16
    description = PixelDescription(
        *(rows, columns, samples, allocated, bits, bits - 1, int(signed), color, 0, 1, "PixelData"),
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
    )
    lowest = -(1 << bits - 1) if signed else 0
    shape = description.frame_shape
    values = (
        np.random.default_rng(seed).integers(lowest, lowest + (1 << bits), shape).astype(description.dtype)
    )
    for uid in filter(is_lossless, transcodable_syntaxes(description)):
        again = decode_frame(encode_frame(values, description, uid), transcoded(description, uid))
        np.testing.assert_array_equal(again, values, uid)


def test_an_overlay_in_the_pixels_is_never_lost(archive: Archive) -> None:
    dataset = make_dataset()
    dataset.add_new((0x6000, 0x0100), "US", 16)
    dataset.add_new((0x6000, 0x0102), "US", 12)
    instance = store(archive, encode_file(dataset, ImplicitVRLittleEndian))
    assert convertible_syntaxes(archive, instance) == [EXPLICIT_VR_LITTLE_ENDIAN]


def test_text_that_breaks_its_character_set_stays_byte_for_byte(archive: Archive) -> None:
    dataset = make_dataset(SpecificCharacterSet="ISO_IR 192")
    encoded = encode_file(dataset, ImplicitVRLittleEndian).replace("NGUYỄN".encode(), b"NGUY\xff\xfe\xfdN")
    converted = b"".join(convert_instance(archive, store(archive, encoded), EXPLICIT_VR_LITTLE_ENDIAN))
    assert b"NGUY\xff\xfe\xfdN" in converted


def test_what_stands_behind_the_pixels_is_kept(archive: Archive) -> None:
    dataset = make_dataset(BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset.PixelData = encapsulate([bytes(imagecodecs.jpegls_encode(np.zeros((16, 16), "u1")))])
    dataset.add_new((0x7FE1, 0x0010), "LO", "MAKER")
    instance = store(archive, encode_file(dataset, JPEGLSLossless))
    converted = b"".join(convert_instance(archive, instance, EXPLICIT_VR_LITTLE_ENDIAN))
    again = dcmread(io.BytesIO(converted))
    assert again[0x7FE1, 0x0010].value == "MAKER"
    assert again.PixelData == bytes(256)
