"""Every image of the shared data, shown, against other programs that do the same."""

from __future__ import annotations

import subprocess
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID

from pacs.errors import ArchiveError, PixelsUnavailable, UndecodablePixels
from pacs.pixels.appearance import Appearance
from pacs.pixels.color import convert_to_rgb
from pacs.pixels.decode import decode_frame
from pacs.pixels.description import PixelDescription, describe_pixels
from pacs.pixels.encode import encode_jpeg
from pacs.pixels.grayscale import read_transformation
from pacs.pixels.modality_lut import read_modality_lut
from pacs.pixels.render import render_frame
from pacs.pixels.window import LINEAR_EXACT, Window, default_windows
from tests.data import program, read_manifest, shared_data
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


# dcmtk: +Wi 1 is the first window of the data set, +Wl 1 its first VOI LUT, +Wm the range of the pixels
SHOWN_BY_DCMTK: list[tuple[str, list[str]]] = [
    ("seg_ct_source/01.dcm", ["+Wi", "1"]),
    ("rt/ct_1.dcm", ["+Wi", "1"]),
    ("mr_siemens_mosaic", ["+Wi", "1"]),
    ("mr_series_philips_mprage_171/IM0090.dcm", ["+Wi", "1"]),
    ("ct_series_philips_phantom_54", ["+Wi", "1"]),
    ("nist_study_Neck_HeadNeckPETCT_956049", ["+Wi", "1"]),
    ("pt", ["+Wi", "1"]),
    ("dx/dx_image.dcm", ["+Wi", "1"]),
    ("misc_ct_mr_lut_overlay/vlut_04.dcm", ["+Wl", "1"]),
    ("misc_ct_mr_lut_overlay/mlut_18.dcm", ["+Wm"]),
    ("ts_mr_siemens_9/3.dcm", ["+Wi", "1"]),
    ("rt/rtdose.dcm", ["+Wm"]),
]


@pytest.mark.parametrize(("name", "options"), SHOWN_BY_DCMTK, ids=[name for name, _ in SHOWN_BY_DCMTK])
def test_grayscale_is_shown_as_dcmtk_shows_it(name: str, options: list[str], tmp_path: Path) -> None:
    path = shared_data(name)
    path = min(path.iterdir()) if path.is_dir() else path
    command = [program("dcm2pnm"), "-q", "-O", "+op", *options, str(path), str(tmp_path / "shown.pgm")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    expected = np.asarray(Image.open(tmp_path / "shown.pgm"))
    image = open_image(path)
    assert image is not None
    description = image.describe()
    stored = decode(image, description, 0)
    window = _window_of(options, stored, image.attributes)
    shown = read_transformation(stored, image.attributes, description, 0, window).apply(stored)
    assert np.abs(shown.astype(int) - expected).max() <= 1
    assert len(np.unique(shown)) > 10


def _window_of(options: list[str], stored: np.ndarray, attributes: Any) -> Window | None:
    if options[0] == "+Wl":
        return None
    if options[0] == "+Wi":
        return default_windows(attributes, 0)[0]
    ends = np.array([stored.min(), stored.max()])
    description = describe_pixels(attributes, "1.2.840.10008.1.2")
    low, high = read_modality_lut(attributes, 0, description).apply(ends)
    return Window((low + high) / 2, high - low, LINEAR_EXACT)
