"""Grayscale pictures against dcmtk's dcm2pnm: the same levels, at most one apart, and 99.9 % of them equal.

dcmtk is given the very file where it can read it. It gets a native copy of the frame

- where it lacks the codec, or reads no such file (single bits in RLE or deflated frames);
- where the rescale is a fraction, or that of a frame: dcmtk rounds rescaled values to integers before the
  window, and we do not. The copy has no rescale, and the window is in stored values instead.

Left out of the comparison: float pixels, which dcmtk does not have (test_grayscale_against_highdicom.py has
them); padding, which dcmtk shows like a pixel and we show black; and stored values whose exact level is a
whole number, where dcmtk's sum of doubles falls short of it and loses the level: rational arithmetic tells.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset

from pacs.errors import PixelsUnavailable
from pacs.pixels.appearance import Appearance
from pacs.pixels.decode import decode_frame
from pacs.pixels.description import PixelDescription, describe_pixels
from pacs.pixels.grayscale import GrayscaleTransformation, read_transformation
from pacs.pixels.gsdf import Display
from pacs.pixels.lookup_table import LookupTable
from pacs.pixels.modality_lut import Rescale
from pacs.pixels.overlays import OVERLAY_GROUPS
from pacs.pixels.presentation_lut import Polarity
from pacs.pixels.render import render_frame
from pacs.pixels.window import LINEAR, Window, default_windows
from tests.data import program
from tests.fidelity.files import folders, open_if_grayscale
from tests.fidelity.image_files import ImageFile
from tests.unit.pacs.pixels.images import image_attributes

EXPLICIT = "1.2.840.10008.1.2.1"
FOLDERS = folders()


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_grayscale_is_what_dcmtk_shows(folder: str, tmp_path: Path) -> None:
    program("dcm2pnm")
    for path in FOLDERS[folder]:
        opened = open_if_grayscale(path)
        if opened is None or opened[1].keyword != "PixelData":
            continue
        image, description = opened
        try:
            stored = image.decode(description, description.number_of_frames // 2)
        except PixelsUnavailable:
            continue  # counted with reasons by the tests of decoders
        _compare(path, image, description, stored, tmp_path)


def _compare(
    path: Path, image: ImageFile, description: PixelDescription, stored: np.ndarray, tmp_path: Path
) -> None:
    frame_index = description.number_of_frames // 2
    for window in _windows(image, description, stored, frame_index):
        ours = read_transformation(stored, image.attributes, description, frame_index, window)
        shown, theirs = ours.apply(stored), _ask_dcmtk(path, image, description, stored, window, tmp_path)
        differences = np.abs(shown.astype(int) - theirs)
        if ours.padding is not None:
            differences[ours.padding.find(stored)] = 0
        assert differences.max() <= 1, (path.name, window)
        for value in np.unique(stored[differences > 0]) if window else ():
            level = shown[stored == value][0]
            if isinstance(ours.modality_lut, Rescale) and level == _exact_level(int(value), ours, window):
                differences[stored == value] = 0
        share = np.count_nonzero(differences) / differences.size
        assert share <= 0.001, (path.name, window, share)


def _exact_level(stored_value: int, shown: GrayscaleTransformation, window: Window) -> Fraction:
    """Compute PS3.3 C.11.2.1.2.1 in rational numbers."""
    rescale = shown.modality_lut
    value = stored_value * Fraction(rescale.slope) + Fraction(rescale.intercept)
    half = Fraction(1, 2)
    part = (value - (Fraction(window.center) - half)) / (Fraction(window.width) - 1) + half
    is_inverted = isinstance(shown.presentation_lut, Polarity) and shown.presentation_lut.inverted
    return 255 * (1 - part if is_inverted else part)


def _windows(
    image: ImageFile, description: PixelDescription, stored: np.ndarray, frame_index: int
) -> Iterator[Window | None]:
    """Windows of the file, one across the middle of the pixels' values, and the file's own VOI LUT (None)."""
    attributes = image.attributes
    yield from (one for one in default_windows(attributes, frame_index)[:3] if one.function == LINEAR)
    shown = read_transformation(stored, attributes, description, frame_index, None)
    low, high = np.percentile(shown.modality_lut.apply(stored).astype(float), [10, 90])
    yield Window(float(round((low + high) / 2)), float(max(round(high - low), 2)))
    if isinstance(shown.voi, LookupTable):
        yield None


def _ask_dcmtk(
    path: Path,
    image: ImageFile,
    description: PixelDescription,
    stored: np.ndarray,
    window: Window | None,
    tmp_path: Path,
) -> np.ndarray:
    frame_index = description.number_of_frames // 2
    lut = read_transformation(stored, image.attributes, description, frame_index, None).modality_lut
    is_whole = not isinstance(lut, Rescale) or (lut.slope.is_integer() and lut.intercept.is_integer())
    if is_whole and "PerFrameFunctionalGroupsSequence" not in image.attributes:
        picture = _run_dcm2pnm(path, frame_index + 1, window, tmp_path)
        if picture is not None:
            return picture
    copy = _native_copy(image.attributes, description, stored)
    if isinstance(lut, Rescale):
        if window is not None:
            center = (window.center - 0.5 - lut.intercept) / lut.slope + 0.5
            window = Window(center, (window.width - 1) / lut.slope + 1)
    else:
        copy.ModalityLUTSequence = image.attributes.ModalityLUTSequence
    copy.save_as(tmp_path / "copy.dcm", enforce_file_format=True)
    picture = _run_dcm2pnm(tmp_path / "copy.dcm", 1, window, tmp_path)
    assert picture is not None, path
    return picture


def _run_dcm2pnm(path: Path, frame_number: int, window: Window | None, tmp_path: Path) -> np.ndarray | None:
    options = ["+Wl", "1"] if window is None else ["+Ww", str(window.center), str(window.width)]
    command = [program("dcm2pnm"), "-q", "-O", "+op", "+F", str(frame_number), *options, str(path)]
    out = tmp_path / "shown.pgm"
    done = subprocess.run([*command, str(out)], check=False, capture_output=True, timeout=120)
    return None if done.returncode else np.asarray(Image.open(out))


def _native_copy(attributes: Dataset, description: PixelDescription, stored: np.ndarray) -> Dataset:
    copy = Dataset()
    copy.file_meta = FileMetaDataset()
    copy.file_meta.TransferSyntaxUID = EXPLICIT
    copy.SOPClassUID = copy.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    bits = stored.dtype.itemsize * 8
    copy.SamplesPerPixel, copy.Rows, copy.Columns = 1, description.rows, description.columns
    copy.PhotometricInterpretation = description.photometric_interpretation
    copy.BitsAllocated, copy.BitsStored, copy.HighBit = bits, bits, bits - 1
    copy.PixelRepresentation = description.pixel_representation
    for keyword in ("VOILUTSequence", "PresentationLUTShape"):
        if keyword in attributes:
            setattr(copy, keyword, attributes[keyword].value)
    copy.add_new("PixelData", "OW" if bits > 8 else "OB", stored.tobytes() + b"\0" * (stored.nbytes % 2))
    return copy


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_overlays_lie_where_dcmtk_lays_them(folder: str, tmp_path: Path) -> None:
    program("dcm2pnm")
    for path in FOLDERS[folder]:
        opened = open_if_grayscale(path)
        if opened is None or not any((group, 0x0010) in opened[0].attributes for group in OVERLAY_GROUPS):
            continue
        image, description = opened
        (data,) = image.read_frames(description, [0])
        black = Appearance(voi=Window(1e6, 2))
        shown = render_frame(decode_frame(data, description), image.attributes, description, 0, black, data)
        command = [program("dcm2pnm"), "-q", "+op", "+Ww", "1000000", "2", str(path), str(tmp_path / "o.pgm")]
        if subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0:
            assert np.array_equal(shown, np.asarray(Image.open(tmp_path / "o.pgm"))), path.name
            assert shown.any(), path.name


@pytest.mark.parametrize("display", [Display(0.5, 500), Display(1, 250, 1.8), Display(0.1, 1000)])
def test_p_values_drive_a_display_as_dcmtk_drives_it(display: Display, tmp_path: Path) -> None:
    stored = np.arange(256, dtype=np.uint8)[None]
    attributes = image_attributes(Rows=1, Columns=256, BitsAllocated=8, BitsStored=8)
    _native_copy(attributes, describe_pixels(attributes, EXPLICIT), stored).save_as(
        tmp_path / "ramp.dcm", enforce_file_format=True
    )
    levels = np.arange(256)
    own = display.darkest + (display.brightest - display.darkest) * (levels / 255) ** display.gamma
    lines = (f"{level} {luminance:.6f}" for level, luminance in zip(levels, own, strict=True))
    (tmp_path / "display.lut").write_text("\n".join(("max 255", "amb 0.0", *lines, "")))
    options = ["+op", "+Dm", "display.lut", "+Ww", "128", "256"]
    command = [program("dcm2pnm"), "-q", *options, "ramp.dcm", "shown.pgm"]
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=tmp_path)
    theirs = np.asarray(Image.open(tmp_path / "shown.pgm"))[0].astype(int)
    differences = np.abs(display.driving_levels() - theirs)
    assert differences.max() <= 1 and np.count_nonzero(differences) <= 2
