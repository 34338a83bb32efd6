"""The size and shape in which a frame is shown."""

from __future__ import annotations

from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest
from pacs.pixels.elements import read_decimals
from pacs.pixels.functional_groups import find_macro

MAX_RENDERED_PIXELS = 1 << 27
# Anisotropy below one percent is the rounding of a decimal string; above tenfold it is a mistake.
_SQUARE_ENOUGH = 1.01
_MAX_ASPECT_RATIO = 10.0
# Vertical before horizontal in all of them.
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")


def read_pixel_aspect_ratio(attributes: Dataset, frame_index: int) -> float:
    """Return height divided by width of a pixel of a frame (0-based); 1.0 where it is not known.

    References
    ----------
    PS3.3 10.7.1.3, C.7.6.3.1.7, C.7.6.16.2.1
    """
    macro = find_macro(attributes, frame_index, "PixelMeasuresSequence")
    for source in (attributes,) if macro is None else (macro, attributes):
        for keyword in _SPACINGS:
            spacing = read_decimals(source, keyword)
            if len(spacing) == 2 and min(spacing) > 0:
                ratio = spacing[0] / spacing[1]
                is_used = _SQUARE_ENOUGH < max(ratio, 1 / ratio) <= _MAX_ASPECT_RATIO
                return ratio if is_used else 1.0
    return 1.0


def fit_size(
    rows: int, columns: int, aspect_ratio: float, size: tuple[int, int] | None, enlarge: bool = False
) -> tuple[int, int]:
    """Return (width, height) in which a frame is shown.

    Parameters
    ----------
    rows, columns
        Of the stored frame.
    aspect_ratio
        Height divided by width of a pixel. The coarser direction is enlarged, so that no sample is lost.
    size
        (width, height) to fit into; None for the frame's own size.
    enlarge
        Whether a frame that is smaller than ``size`` grows to it.

    Raises
    ------
    InvalidRequest
        ``size`` is not positive, or asks for more than ``MAX_RENDERED_PIXELS``.
    """
    width, height = columns * max(1 / aspect_ratio, 1.0), rows * max(aspect_ratio, 1.0)
    if size is not None:
        if min(size) < 1:
            raise InvalidRequest("the size of a rendered image is at least 1 x 1")
        scale = min(size[0] / width, size[1] / height)
        scale = scale if enlarge else min(scale, 1.0)
        width, height = width * scale, height * scale
    shown = max(round(width), 1), max(round(height), 1)
    if shown[0] * shown[1] > max(MAX_RENDERED_PIXELS, rows * columns):
        raise InvalidRequest("the rendered image would be too large: ask for a smaller one")
    return shown
