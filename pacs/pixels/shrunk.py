"""Frames that are shown much smaller than they are, averaged once for every window.

What :mod:`pacs.pixels.resampling` averages does not depend on the window. So the averages, which are a
fraction of the frame, lead to the same picture as the frame itself, level by level.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.pixels.appearance import Appearance
from pacs.pixels.default_window import make_default_window
from pacs.pixels.description import PixelDescription
from pacs.pixels.geometry import fit_size, read_pixel_aspect_ratio
from pacs.pixels.grayscale import read_transformation
from pacs.pixels.modality_lut import read_modality_lut
from pacs.pixels.overlays import has_overlays
from pacs.pixels.padding import read_padding
from pacs.pixels.resampling import average, thin
from pacs.pixels.supplemental_palette import read_supplemental_palette
from pacs.pixels.view import View
from pacs.pixels.voi import list_vois
from pacs.pixels.window import LINEAR_EXACT, Window

_HEAD: Final = struct.Struct("<HHiidd")


@dataclass(frozen=True, eq=False, slots=True)
class ShrunkFrame:
    """The averages of a frame for one size of picture, with what they do not tell of the frame.

    Parameters
    ----------
    values
        ``(height, width)`` integers of at most 16 bits.
    lowest, highest
        Of the stored values that were averaged.
    default_window
        Made from all of the frame, where the data set has no window of its own; else None.
    """

    values: npt.NDArray[Any]
    lowest: int
    highest: int
    default_window: Window | None

    def to_bytes(self) -> bytes:
        """Write it for :func:`read_shrunk_frame`."""
        height, width = self.values.shape
        window = self.default_window
        center, extent = (0.0, 0.0) if window is None else (window.center, window.width)
        head = _HEAD.pack(width, height, self.lowest, self.highest, center, extent)
        return head + self.values.tobytes()


def read_shrunk_frame(data: bytes, dtype: np.dtype[Any]) -> ShrunkFrame | None:
    """Read what :meth:`ShrunkFrame.to_bytes` wrote of values of a type; None where it is something else."""
    if len(data) < _HEAD.size:
        return None
    width, height, lowest, highest, center, extent = _HEAD.unpack_from(data)
    if len(data) != _HEAD.size + width * height * dtype.itemsize:
        return None
    values = np.frombuffer(data, dtype, offset=_HEAD.size).reshape(height, width)
    window = Window(center, extent, LINEAR_EXACT) if extent else None
    return ShrunkFrame(values, lowest, highest, window)


def find_shrunk_size(
    attributes: Dataset, description: PixelDescription, frame_index: int, appearance: Appearance
) -> tuple[int, int] | None:
    """Return (width, height) of the picture where averages are all that it takes; else None.

    That is a whole grayscale frame of integers of up to 16 bits, with nothing laid over it, shown at half of
    its size or less.
    """
    dtype = description.dtype
    is_plain = appearance.size is not None and appearance.region is None and appearance.presentation is None
    if not (is_plain and description.is_monochrome and dtype.kind in "iu" and dtype.itemsize <= 2):
        return None
    aspect_ratio = read_pixel_aspect_ratio(attributes, frame_index)
    size = fit_size(description.rows, description.columns, aspect_ratio, appearance.size, appearance.enlarge)
    if description.columns < 2 * size[0] or description.rows < 2 * size[1]:
        return None
    if (
        has_overlays(attributes)
        or read_supplemental_palette(attributes, frame_index, description) is not None
    ):
        return None
    return size


def shrink(
    stored_values: npt.NDArray[Any],
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    shown_size: tuple[int, int],
) -> ShrunkFrame:
    """Average a frame for pictures of a size that :func:`find_shrunk_size` gave.

    Raises
    ------
    UndecodablePixels
        A lookup table is damaged.
    """
    values = thin(stored_values, shown_size)
    lowest, highest = int(values.min()), int(values.max())
    modality_lut = read_modality_lut(attributes, frame_index, description)
    window = None
    if next(list_vois(attributes, frame_index, modality_lut, description), None) is None:
        padding = read_padding(attributes, description)
        window = make_default_window(stored_values, modality_lut, padding, description)
    return ShrunkFrame(average(values, shown_size, lowest, highest), lowest, highest, window)


def render_shrunk_frame(
    frame: ShrunkFrame,
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    appearance: Appearance,
) -> npt.NDArray[np.uint8] | None:
    """Render the picture that :func:`~pacs.pixels.render.render_frame` makes of the frame itself.

    Returns
    -------
    ndarray or None
        ``(height, width)`` uint8; None where gray levels rise and fall with the stored values, so that levels
        have to be averaged in place of them.

    Raises
    ------
    InvalidRequest
        The window is not one of the data set's.
    UndecodablePixels
        A lookup table is damaged.
    """
    voi = appearance.voi or frame.default_window
    grayscale = read_transformation(frame.values, attributes, description, frame_index, voi)
    table = grayscale.tabulate_range(frame.lowest, frame.highest)
    if not table.is_monotonic:
        return None
    height, width = frame.values.shape
    view = View(0, 0, description.columns, description.rows, (width, height))
    view = view.flipped(appearance.flipped_horizontally, appearance.flipped_vertically)
    picture = view.turn(table.apply(frame.values))
    return appearance.display.driving_levels()[picture] if appearance.display else picture
