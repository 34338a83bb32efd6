from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs.archive import Archive
from pacs.conversion import convert_instance, convertible_syntaxes
from pacs.dicom.deflated import inflate
from pacs.dicom.header import scan_header
from pacs.dicom.part10 import split_part10
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_BIG_ENDIAN, TRANSFER_SYNTAXES
from pacs.errors import ArchiveError, UndecodablePixels
from pacs.index.records import StoredInstance
from pacs.ingest import Origin, open_part10, store_instance
from pacs.pixels.decode import decode_frame
from pacs.pixels.description import describe_pixels
from pacs.pixels.frames import read_encoded_frames
from pacs.pixels.transcode import is_lossless
from pacs.retrieve import find_instances
from tests.data import read_manifest, shared_data
from tests.unit.viewer_api.conftest import empty_archive

# What a conversion may change.
CHANGED = frozenset(
    {
        *("PixelData", "PhotometricInterpretation", "PlanarConfiguration", "HighBit"),
        *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "DataSetTrailingPadding"),
    }
)
CHANGED_BY_LOSS = frozenset(
    {
        *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
        "ImageType",
    }
)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with empty_archive(tmp_path) as opened:
        yield opened


def store(archive: Archive, content: bytes) -> StoredInstance:
    outcome = store_instance(archive, open_part10([content]), Origin("stow"))
    uids = outcome.study_instance_uid, outcome.series_instance_uid, outcome.sop_instance_uid
    (instance,) = find_instances(archive, *uids)
    return instance


def files(*, every: bool) -> Iterator[str]:
    """Name the files of the shared data that are meant to be read; of each series one, or every one."""
    seen = set()
    for row in read_manifest():
        kind = (row["series"], row["ts"], row["photometric"], row["bs"], row["pr"])
        if not row["file"].startswith("malformed") and (every or kind not in seen):
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


def plain(dataset: Dataset, left_out: frozenset[str], *, private: bool) -> dict[str, Any]:
    """Read a data set as pydicom does, without what may differ, and without group lengths."""
    for element in list(dataset):
        if (
            element.keyword in left_out
            or element.tag.element == 0
            or (element.tag.is_private and not private)
        ):
            del dataset[element.tag]
        elif element.VR == "SQ":
            for item in element.value:
                plain(item, left_out, private=private)
    return dataset.to_json_dict(suppress_invalid_tags=True)


def check_every_conversion(archive: Archive, name: str) -> int:
    """Convert a file into all that it can be converted into, and compare; return how many these are."""
    content = shared_data(*Path(name).parts).read_bytes()
    try:
        instance = store(archive, content)
    except ArchiveError:
        return 0
    targets = convertible_syntaxes(archive, instance)
    expected = values_of(content) if len(targets) > 1 else None
    for uid in targets:
        try:
            converted = b"".join(convert_instance(archive, instance, uid))
        except UndecodablePixels:
            with pytest.raises(UndecodablePixels):
                values_of(content)
            return 0
        dataset = dcmread(io.BytesIO(converted))
        assert dataset.file_meta.TransferSyntaxUID == uid
        lossless = is_lossless(uid)
        left_out = CHANGED if lossless else CHANGED | CHANGED_BY_LOSS
        # What a big endian data set has as UN is little endian all the same (PS3.5 6.2.2); pydicom turns it.
        private = instance.transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN
        original = plain(dcmread(io.BytesIO(content), force=True), left_out, private=private)
        assert plain(dataset, left_out, private=private) == original, (name, uid)
        if lossless and "Rows" in dataset:
            np.testing.assert_array_equal(values_of(converted), expected, f"{name} {uid}")
    return len(targets)
