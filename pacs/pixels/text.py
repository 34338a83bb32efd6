"""Words in pictures, in a font that has all letters of Vietnamese: Be Vietnam Pro (SIL OFL 1.1)."""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_SMALLEST_PX, _LARGEST_PX = 6, 200
_SPACING = 0.25  # between lines, of a line's height


@lru_cache(maxsize=32)
def load_font(size_px: int) -> ImageFont.FreeTypeFont:
    """Load the font, its size being kept within sense."""
    with as_file(files("fontpkg_be_vietnam_pro") / "files" / "BeVietnamPro-Medium.ttf") as path:
        return ImageFont.truetype(path, min(max(size_px, _SMALLEST_PX), _LARGEST_PX))


def clean_text(text: str) -> str:
    """Compose diacritics, and leave out what no font shows; lines end with a line feed."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in text if each == "\n" or unicodedata.category(each)[0] != "C").strip()


def draw_text(text: str, size_px: int, align: str = "left") -> npt.NDArray[np.uint8]:
    """Draw clean text as ``(height, width)`` uint8 coverage, no larger than its letters need.

    Parameters
    ----------
    size_px
        Of the font.
    align
        ``left``, ``center`` or ``right``: how shorter lines lie below longer ones.
    """
    left, top, right, bottom = _measure(text, size_px, align)
    mask = Image.new("L", (max(math.ceil(right - left), 1), max(math.ceil(bottom - top), 1)))
    draw, font = ImageDraw.Draw(mask), load_font(size_px)
    draw.multiline_text((-left, -top), text, 255, font, spacing=_SPACING * size_px, align=align)
    return np.asarray(mask)


def fit_text(
    text: str, width: float, height: float, smallest_px: int, align: str = "left"
) -> npt.NDArray[np.uint8]:
    """Draw clean text as large as a box of ``width`` x ``height`` pixels allows, and never too small to read.

    Boxes are often guessed by who wrote them, or have no size at all; text need not stay within (C.10.5.1.1).
    """
    lines = text.count("\n") + 1
    smallest_px = max(smallest_px, _SMALLEST_PX)
    size_px = int(min(max(height / (lines * (1 + _SPACING)), smallest_px), _LARGEST_PX))
    left, _, right, _ = _measure(text, size_px, align)
    if right - left > width:
        size_px = max(int(size_px * width / (right - left)), smallest_px)
    return draw_text(text, size_px, align)


def draw_seam(letters: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Widen letters by a pixel to all sides, for a seam that lets them be read on any ground."""
    seam = np.zeros_like(letters)
    place = Image.fromarray(letters).getbbox()
    if place is not None:
        left, top, right, bottom = place
        part = slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1)
        cut = Image.fromarray(np.ascontiguousarray(letters[part]))
        seam[part] = np.asarray(cut.filter(ImageFilter.MaxFilter(3)))
    return seam


def _measure(text: str, size_px: int, align: str) -> tuple[float, float, float, float]:
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    spacing = _SPACING * size_px
    return draw.multiline_textbbox((0, 0), text, load_font(size_px), spacing=spacing, align=align)
