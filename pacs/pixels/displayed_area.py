"""Which part of an image a presentation state shows, how large, and which way up (PS3.3 C.10.4, C.10.6)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from pacs.errors import UndecodablePixels
from pacs.pixels.elements import read_decimals, read_integer, read_items, read_texts
from pacs.pixels.references import ImageReference, read_references

SCALE_TO_FIT = "SCALE TO FIT"
TRUE_SIZE = "TRUE SIZE"
MAGNIFY = "MAGNIFY"
_MAX_COORDINATE = 1 << 17
_MAX_RATIO = 100.0


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """The Specified Displayed Area of some images.

    Parameters
    ----------
    left, top, right, bottom
        In stored pixels, counted from 0; ``right`` and ``bottom`` are behind the last ones. They may lie
        beyond the image.
    aspect_ratio
        Height divided by width of a pixel.
    size_mode
        ``SCALE TO FIT``, ``TRUE SIZE`` or ``MAGNIFY``.
    magnification
        Pixels of the display for one of the image, with ``MAGNIFY``.
    """

    references: tuple[ImageReference, ...]
    left: int
    top: int
    right: int
    bottom: int
    aspect_ratio: float
    size_mode: str = SCALE_TO_FIT
    magnification: float = 1.0


@dataclass(frozen=True, slots=True)
class SpatialTransformation:
    """Clockwise turns by 90 degrees, and whether left and right change places after that."""

    quarter_turns: int = 0
    mirrored: bool = False


def read_displayed_areas(attributes: Dataset) -> tuple[DisplayedArea, ...]:
    """Read the Displayed Area Selection Sequence.

    Raises
    ------
    UndecodablePixels
        A corner is wanting or impossible.
    """
    return tuple(_read_area(item) for item in read_items(attributes, "DisplayedAreaSelectionSequence"))


def read_spatial_transformation(attributes: Dataset) -> SpatialTransformation:
    """Read the Spatial Transformation module; without one, the image stays as it is.

    Raises
    ------
    UndecodablePixels
        The rotation is not by a multiple of 90 degrees.
    """
    rotation = read_integer(attributes, "ImageRotation") or 0
    if rotation % 90:
        raise UndecodablePixels(f"an image cannot be turned by {rotation} degrees")
    mirrored = read_texts(attributes, "ImageHorizontalFlip")[:1] == ["Y"]
    return SpatialTransformation(rotation // 90 % 4, mirrored)


def _read_area(item: Dataset) -> DisplayedArea:
    first = read_decimals(item, "DisplayedAreaTopLeftHandCorner")
    second = read_decimals(item, "DisplayedAreaBottomRightHandCorner")
    corners = [*first, *second]
    if len(first) != 2 or len(second) != 2 or any(abs(each) > _MAX_COORDINATE for each in corners):
        raise UndecodablePixels("a displayed area has no two corners")
    # The corners are named after what they are on the display: a turned image has others there.
    (left, right), (top, bottom) = (sorted((int(first[axis]), int(second[axis]))) for axis in (0, 1))
    mode = (read_texts(item, "PresentationSizeMode") or [SCALE_TO_FIT])[0].upper()
    magnification = (read_decimals(item, "PresentationPixelMagnificationRatio") or [1.0])[0]
    return DisplayedArea(
        read_references(item),
        left - 1,
        top - 1,
        right,
        bottom,
        _read_aspect_ratio(item),
        mode,
        min(max(magnification, 1 / _MAX_RATIO), _MAX_RATIO),
    )


def _read_aspect_ratio(item: Dataset) -> float:
    for keyword in ("PresentationPixelSpacing", "PresentationPixelAspectRatio"):
        pair = read_decimals(item, keyword)
        if len(pair) == 2 and min(pair) > 0 and 1 / _MAX_RATIO < pair[0] / pair[1] < _MAX_RATIO:
            return pair[0] / pair[1]
    return 1.0
