"""Words burnt into a picture where that is asked for: whose image it is, and how it was taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.pixels.composition import BLACK, WHITE, blend
from pacs.pixels.elements import read_texts
from pacs.pixels.text import clean_text, draw_text

PATIENT: Final = "patient"
TECHNIQUE: Final = "technique"

# How each value of a line is written, and its keyword; what the data set lacks is left out.
_LINES: Final[Mapping[str, Sequence[Sequence[tuple[str, str]]]]] = {
    PATIENT: (
        (("{}", "PatientName"),),
        (("{}", "PatientID"),),
        (("{}", "PatientBirthDate"), ("{}", "PatientSex"), ("{}", "PatientAge")),
        (("{}", "StudyDate"), ("Acc. {}", "AccessionNumber")),
    ),
    TECHNIQUE: (
        (("{}", "Modality"), ("{}", "SeriesDescription")),
        (("S {}", "SeriesNumber"), ("I {}", "InstanceNumber")),
        (("{} kVp", "KVP"), ("{} mA", "XRayTubeCurrent"), ("{} mAs", "Exposure")),
        (("TR {}", "RepetitionTime"), ("TE {}", "EchoTime"), ("FA {}", "FlipAngle")),
        (("{} mm", "SliceThickness"), ("{}", "ContrastBolusAgent")),
    ),
}
_MAX_LENGTH: Final = 64
_LINES_OF_A_PICTURE: Final = 32  # so many lines of text would fill its height
_LEAST_PX: Final = 9


def annotate(
    picture: npt.NDArray[np.uint8], attributes: Dataset, wanted: Sequence[str]
) -> npt.NDArray[np.uint8]:
    """Burn words into a picture: the patient into the upper left corner, the technique into the lower right.

    Parameters
    ----------
    picture
        ``(height, width)`` or ``(height, width, 3)`` uint8.
    wanted
        Some of ``PATIENT`` and ``TECHNIQUE``.

    References
    ----------
    PS3.18 8.3.5.1.1
    """
    for name in wanted:
        lines = _compose(attributes, name)
        if lines:
            picture = _burn_in(picture, "\n".join(lines), at_end=name == TECHNIQUE)
    return picture


def _compose(attributes: Dataset, name: str) -> list[str]:
    lines = []
    for parts in _LINES[name]:
        said = [(form, clean_text(_plain(" ".join(read_texts(attributes, key))))) for form, key in parts]
        line = "  ".join(form.format(text[:_MAX_LENGTH]) for form, text in said if text)
        if line:
            lines.append(line)
    return lines


def _plain(text: str) -> str:
    """Write a person's name as it is spoken; other texts have no carets."""
    return text.partition("=")[0].replace("^", " ")


def _burn_in(picture: npt.NDArray[np.uint8], text: str, *, at_end: bool) -> npt.NDArray[np.uint8]:
    """Lay text into the first corner or the last, with a dark seam, so that it can be read on any ground."""
    rows, columns = picture.shape[:2]
    size_px = max(rows // _LINES_OF_A_PICTURE, _LEAST_PX)
    margin, seam_px = size_px // 2, max(size_px // 12, 1)
    letters = np.pad(draw_text(text, size_px, "right" if at_end else "left"), seam_px)
    height, width = min(letters.shape[0], rows - margin), min(letters.shape[1], columns - margin)
    if height < 1 or width < 1:
        return picture
    top, left = (rows - margin - height, columns - margin - width) if at_end else (margin,) * 2
    corner = picture[top : top + height, left : left + width]
    seamed = blend(corner, _spread(letters, seam_px)[:height, :width], BLACK)
    burnt = picture.copy()
    burnt[top : top + height, left : left + width] = blend(seamed, letters[:height, :width], WHITE)
    return burnt


def _spread(letters: npt.NDArray[np.uint8], by: int) -> npt.NDArray[np.uint8]:
    """Widen letters by some pixels to all sides; as many around them are empty."""
    for axis in (0, 1):
        shifted = [np.roll(letters, shift, axis) for shift in range(-by, by + 1)]
        letters = np.maximum.reduce(shifted)
    return letters
