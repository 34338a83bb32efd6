"""Grayscale against highdicom, for what dcmtk lacks: functions, windows and rescales of frames, floats.

Frames in lossy JPEG are left out, of which two decoders make different values.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import highdicom
import numpy as np
import pytest
from highdicom.pixels import apply_voi_window

from pacs.pixels.description import PixelDescription
from pacs.pixels.grayscale import read_transformation
from pacs.pixels.window import FUNCTIONS, Window, default_windows
from tests.fidelity.files import folders, open_if_grayscale
from tests.fidelity.image_files import ImageFile

FOLDERS = folders()
LOSSY_JPEG = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
# Its eight frames have eight windows, of which highdicom takes the first for all.
FIRST_WINDOW_FOR_ALL = {"invalid-vr-length-test.dcm"}


def assert_same(shown: np.ndarray, exact: np.ndarray, what: object) -> None:
    """Compare levels with fractional ones, which are rounded down."""
    theirs = np.floor(np.round(exact, 7)).astype(int)
    differences = np.abs(shown.astype(int) - theirs)
    assert differences.max() <= 1, what
    assert np.count_nonzero(differences) <= 0.001 * differences.size, what


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("folder", ["misc_ct_mr_lut_overlay", "enhanced_ct", "parametric_map", "pt", "seg"])
def test_each_function_is_what_highdicom_makes_of_it(function: str, folder: str) -> None:
    compared = 0
    for path in FOLDERS.get(folder, []):
        opened = open_if_grayscale(path)
        if opened is None:
            continue
        image, description = opened
        stored = image.decode(description, 0)
        unasked = read_transformation(stored, image.attributes, description, 0, None)
        values = unasked.modality_lut.apply(stored)
        low, high = np.percentile(values, [5, 95])
        window = Window(float(low + high) / 2, float(max(high - low, 2)), function)
        ours = read_transformation(stored, image.attributes, description, 0, window)
        exact = apply_voi_window(
            values.astype(np.float64), window.center, window.width, function, output_range=(0, 255)
        )
        shown = ours.apply(stored)
        known = np.ones(stored.shape, bool) if ours.padding is None else ~ours.padding.find(stored)
        assert_same(shown[known], exact[known], (path.name, function))
        compared += 1
    assert compared or not FOLDERS


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_frames_are_shown_as_highdicom_shows_them(folder: str) -> None:
    for path in FOLDERS[folder]:
        opened = open_if_grayscale(path)
        if opened is None or opened[1].transfer_syntax_uid in LOSSY_JPEG or path.name in FIRST_WINDOW_FOR_ALL:
            continue
        image, description = opened
        last = description.number_of_frames - 1
        is_enhanced = "SharedFunctionalGroupsSequence" in image.attributes
        if is_enhanced and default_windows(image.attributes, last):
            for frame_index in {0, last // 2, last}:
                _compare_frame(path, image, description, frame_index)


def _compare_frame(path: Path, image: ImageFile, description: PixelDescription, frame_index: int) -> None:
    stored = image.decode(description, frame_index)
    shown = read_transformation(stored, image.attributes, description, frame_index, None).apply(stored)
    try:
        exact = _ask_highdicom(path, frame_index)
    except Exception as error:  # each file that it cannot read fails in its own way
        warnings.warn(f"not compared, as highdicom cannot read it: {path.name} ({error!r})", stacklevel=1)
        return
    assert_same(shown, exact, (path.name, frame_index))


def _ask_highdicom(path: Path, frame_index: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return highdicom.imread(path).get_frame(
            frame_index + 1,
            apply_real_world_transform=False,
            apply_modality_transform=True,
            apply_voi_transform=True,
            voi_output_range=(0, 255),
        )
