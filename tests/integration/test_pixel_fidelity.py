"""Every image of the shared data, shown, against other programs that do the same."""

from __future__ import annotations

import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID

from pacs.errors import ArchiveError, PixelsUnavailable, UndecodablePixels
from pacs.pixels.appearance import Appearance
from pacs.pixels.color import convert_to_rgb
from pacs.pixels.decode import decode_frame
from pacs.pixels.description import PixelDescription
from pacs.pixels.encode import encode_jpeg
from pacs.pixels.render import render_frame
from tests.data import read_manifest, shared_data
from tests.fidelity.image_files import ImageFile, open_image

VIDEO = "video: frames are not coded one by one"
WITHOUT_PICTURES = {
    "synthetic/us_hevc_main51.dcm": VIDEO,
    "synthetic/us_mpeg2_mpml.dcm": VIDEO,
    "synthetic/us_mpeg4_h264_bd.dcm": VIDEO,
    "synthetic/us_mpeg4_h264_high41.dcm": VIDEO,
}


def folders(*, malformed: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in read_manifest():
        if row["file"].startswith("malformed") == malformed:
            found[row["file"].split("/")[0]].append(row["file"])
    return found


FOLDERS = folders(malformed=False)


def decode(image: ImageFile, description: PixelDescription, frame_index: int) -> np.ndarray:
    return decode_frame(next(image.read_frames(description, [frame_index])), description)


def _reference(whole: Dataset, transfer_syntax_uid: str) -> np.ndarray:
    # Where chroma is subsampled the JPEG standard leaves open how to spread it; pylibjpeg has its own way.
    plugin = "pillow" if transfer_syntax_uid == "1.2.840.10008.1.2.4.50" else ""
    whole.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom comments on each oddity of these files
        decoder = get_decoder(whole.file_meta.TransferSyntaxUID)
        array, _ = decoder.as_array(whole, index=0, raw=False, decoding_plugin=plugin)
    return array


@pytest.mark.parametrize("file", sorted(WITHOUT_PICTURES))
def test_only_videos_have_no_stored_values(file: str) -> None:
    image = open_image(shared_data(file))
    assert image is not None
    with pytest.raises(PixelsUnavailable) as caught:
        decode(image, image.describe(), 0)
    assert not isinstance(caught.value, UndecodablePixels)


@pytest.mark.parametrize(
    "folder", ["mg", "misc_ct_mr_lut_overlay", "sc_colour_matrix", "seg", "sm_wsi", "us"]
)
def test_colour_is_that_of_pydicom(folder: str) -> None:
    shared_data(folder)
    for file in FOLDERS[folder]:
        image = open_image(shared_data(file))
        if image is None or (description := image.describe()).is_monochrome:
            continue
        stored = decode(image, description, 0)
        shown = convert_to_rgb(stored, image.attributes, description)
        whole = dcmread(shared_data(file), force=True)
        if description.photometric_interpretation == "PALETTE COLOR":
            expected = apply_color_lut(stored, whole)
        else:
            expected = _reference(whole, image.transfer_syntax_uid)
        if expected.dtype.itemsize > 1:
            expected = expected >> (8 * expected.dtype.itemsize - 8)
        assert np.abs(shown.astype(int) - expected).max() <= 2, file


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_every_image_becomes_a_jpeg(folder: str) -> None:
    shared_data(folder)
    for file in FOLDERS[folder]:
        image = open_image(shared_data(file))
        if image is None or file in WITHOUT_PICTURES:
            continue
        description = image.describe()
        middle = description.number_of_frames // 2
        stored = decode(image, description, middle)
        small = Appearance(size=(200, 200))
        picture = render_frame(stored, image.attributes, description, middle, small)
        assert picture.dtype == np.uint8 and 1 <= max(picture.shape[:2]) <= 200, file
        is_gray = description.is_monochrome and "RedPaletteColorLookupTableData" not in image.attributes
        assert picture.ndim == (2 if is_gray else 3), file
        assert encode_jpeg(picture, 80).startswith(b"\xff\xd8"), file


def test_malformed_files_give_pictures_or_our_errors() -> None:
    shared_data("malformed")
    outcomes: dict[str, int] = defaultdict(int)
    for files in folders(malformed=True).values():
        for file in files:
            outcomes[_render_if_possible(shared_data(file))] += 1
    assert outcomes["rendered"] >= 40 and outcomes["refused"] >= 4, dict(outcomes)


def _render_if_possible(path: Path) -> str:
    try:
        image = open_image(path)
    except ArchiveError:
        return "unreadable"
    if image is None:
        return "without pixels"
    try:
        description = image.describe()
        for frame_index in sorted({0, description.number_of_frames - 1}):
            stored = decode(image, description, frame_index)
            encode_jpeg(render_frame(stored, image.attributes, description, frame_index), 80)
    except ArchiveError:
        return "refused"
    return "rendered"
