"""From stored values to a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest
from pacs.pixels.appearance import AS_STORED, Appearance, Region
from pacs.pixels.color import convert_to_rgb
from pacs.pixels.description import PixelDescription
from pacs.pixels.geometry import fit_size, read_pixel_aspect_ratio
from pacs.pixels.grayscale import GrayscaleTransformation, read_transformation
from pacs.pixels.resampling import can_halve, halve, resize, thin


def render_frame(
    stored_values: npt.NDArray[Any],
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    appearance: Appearance = AS_STORED,
) -> npt.NDArray[np.uint8]:
    """Render a frame as a display would show it.

    Parameters
    ----------
    stored_values
        What :func:`~pacs.pixels.decode.decode_frame` returned for the frame.
    attributes
        The data set without pixel data.
    description
        The description of the object that the frame is from.
    frame_index
        0-based.
    appearance
        What is asked for.

    Returns
    -------
    ndarray
        ``(height, width)`` or ``(height, width, 3)`` uint8. Pixels that are not square have been resampled to
        square ones, see :mod:`pacs.pixels.resampling`.

    Raises
    ------
    InvalidRequest
        The size is not possible, the region not within the frame, or the window not one of the data set's.
    PixelsUnavailable, UndecodablePixels
        A palette or a lookup table is wanting or damaged, or the colour space has no conversion.

    References
    ----------
    PS3.18 8.3.5.1, PS3.4 N.2
    """
    values = _cut(stored_values, appearance.region)
    aspect_ratio = read_pixel_aspect_ratio(attributes, frame_index)
    rows, columns = values.shape[:2]
    shown_size = fit_size(rows, columns, aspect_ratio, appearance.size, appearance.enlarge)
    kept = thin(values, shown_size)
    if description.is_monochrome:
        # The window is chosen from the whole frame, so that a thumbnail looks like its image.
        transformation = read_transformation(
            stored_values, attributes, description, frame_index, appearance.voi
        )
        picture = _show_gray(kept, transformation, shown_size)
    else:
        picture = convert_to_rgb(kept, attributes, description)
    return _flip(resize(picture, shown_size), appearance)


def _cut(values: npt.NDArray[Any], region: Region | None) -> npt.NDArray[Any]:
    if region is None:
        return values
    right, bottom = region.left + region.width, region.top + region.height
    rows, columns = values.shape[:2]
    if not (0 <= region.left < right <= columns and 0 <= region.top < bottom <= rows):
        raise InvalidRequest("the viewport's region is not within the image")
    return np.ascontiguousarray(values[region.top : bottom, region.left : right])


def _show_gray(
    values: npt.NDArray[Any], transformation: GrayscaleTransformation, shown_size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    table = transformation.tabulate(values)
    if table is None:
        return transformation.compute(values)
    if can_halve(values, shown_size) and table.is_monotonic:
        values = halve(values)
    return table.apply(values)


def _flip(picture: npt.NDArray[np.uint8], appearance: Appearance) -> npt.NDArray[np.uint8]:
    if appearance.flipped_horizontally:
        picture = picture[:, ::-1]
    if appearance.flipped_vertically:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)
