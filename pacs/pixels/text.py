"""Words in pictures, in a font that has all letters of Vietnamese: Be Vietnam Pro (SIL OFL 1.1)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

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
    font = load_font(size_px)
    spacing = _SPACING * size_px
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = measure.multiline_textbbox((0, 0), text, font, spacing=spacing, align=align)
    size = max(int(np.ceil(right - left)), 1), max(int(np.ceil(bottom - top)), 1)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).multiline_text((-left, -top), text, 255, font, spacing=spacing, align=align)
    return np.asarray(mask)


def fit_text(text: str, width: float, height: float, align: str = "left") -> npt.NDArray[np.uint8]:
    """Draw clean text as large as a box of ``width`` x ``height`` pixels allows, and legible even so."""
    lines = text.count("\n") + 1
    size_px = int(min(max(height / (lines * (1 + _SPACING)), _SMALLEST_PX), _LARGEST_PX))
    drawn = draw_text(text, size_px, align)
    if drawn.shape[1] > width and size_px > _SMALLEST_PX:
        drawn = draw_text(text, max(int(size_px * width / drawn.shape[1]), _SMALLEST_PX), align)
    return drawn
