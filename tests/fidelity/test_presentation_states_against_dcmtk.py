"""Presentation states of the shared data against dcmtk's dcmp2pgm, which draws no overlays or graphics."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread

from pacs.pixels.appearance import Appearance
from pacs.pixels.decode import decode_frame
from pacs.pixels.overlays import read_overlays
from pacs.pixels.presentation_state import read_presentation_state
from pacs.pixels.render import render_frame
from tests.data import program, shared_data
from tests.fidelity.image_files import open_image


def show_both(state_file: str, image_file: str, tmp_path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Show an image as we do and as dcmtk does; and what its overlays, and those of the state, cover."""
    state_path, image_path = shared_data("pr_gsps", state_file), shared_data("pr_gsps", image_file)
    command = [program("dcmp2pgm"), "-p", str(state_path), str(image_path), str(tmp_path / "shown.pgm")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    image, state = open_image(image_path), read_presentation_state(dcmread(state_path))
    assert image is not None
    description, attributes = image.describe(), image.attributes
    (data,) = image.read_frames(description, [0])
    appearance = Appearance(presentation=state)
    shown = render_frame(decode_frame(data, description), attributes, description, 0, appearance, data)
    covered = np.zeros(shown.shape, bool)
    for source in (attributes, state.attributes):
        for overlay in read_overlays(source, 0, description, data):
            covered |= overlay.spread(*shown.shape)
    return shown, np.asarray(Image.open(tmp_path / "shown.pgm")).astype(int), covered


def test_the_tables_of_a_state_are_applied_as_dcmtk_applies_them(tmp_path: Path) -> None:
    shown, theirs, _ = show_both("prLUTs.dcm", "imageForPrLUTs.dcm", tmp_path)
    assert np.array_equal(shown, theirs) and len(np.unique(shown)) > 10


def test_the_six_overlays_of_image_and_state_are_shown_over_what_dcmtk_shows(tmp_path: Path) -> None:
    shown, theirs, covered = show_both("prOverlay.dcm", "overlay.dcm", tmp_path)
    assert (shown[covered] == 255).all() and covered.sum() > 3000
    # 12 bits to 8: dcmtk leaves out the lowest four of them, we scale 4095 to 255.
    assert np.abs(shown - theirs)[~covered].max() <= 1
