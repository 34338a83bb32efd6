"""From stored values to a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset

from pacs.pixels.color import convert_to_rgb
from pacs.pixels.description import PixelDescription
from pacs.pixels.geometry import fit_size, read_pixel_aspect_ratio
from pacs.pixels.grayscale import read_transformation
from pacs.pixels.window import Window


def render_frame(
    stored_values: npt.NDArray[Any],
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    *,
    window: Window | None = None,
    size: tuple[int, int] | None = None,
    enlarge: bool = False,
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
    window
        For grayscale, None for what the data set prefers; colour has no window.
    size
        (width, height) that the picture fits into with its aspect kept, None for the stored size.
    enlarge
        Whether a frame smaller than ``size`` is enlarged to it.

    Returns
    -------
    ndarray
        ``(height, width)`` or ``(height, width, 3)`` uint8. Pixels that are not square have been resampled to
        square ones.

    Raises
    ------
    InvalidRequest
        ``size`` is not possible.
    PixelsUnavailable, UndecodablePixels
        A palette or a lookup table is wanting or damaged, or the colour space has no conversion.

    References
    ----------
    PS3.18 8.3.5.1, PS3.4 N.2
    """
    aspect_ratio = read_pixel_aspect_ratio(attributes, frame_index)
    shown_size = fit_size(description.rows, description.columns, aspect_ratio, size, enlarge)
    kept = _decimate(stored_values, shown_size)
    if description.is_monochrome:
        # The window is chosen from the whole frame, so that a thumbnail looks like its image.
        transformation = read_transformation(stored_values, attributes, description, frame_index, window)
        picture = transformation.apply(kept)
    else:
        picture = convert_to_rgb(kept, attributes, description)
    return _resize(picture, shown_size)


def _decimate(stored_values: npt.NDArray[Any], shown_size: tuple[int, int]) -> npt.NDArray[Any]:
    """Pick every n-th row and column for a thumbnail, leaving at least twice of what is shown to average."""
    rows, columns = stored_values.shape[:2]
    step = min(columns // (2 * shown_size[0]), rows // (2 * shown_size[1]))
    return stored_values if step < 2 else np.ascontiguousarray(stored_values[::step, ::step])


def _resize(picture: npt.NDArray[np.uint8], shown_size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    if (picture.shape[1], picture.shape[0]) == shown_size:
        return picture
    shrinks = shown_size[0] <= picture.shape[1] and shown_size[1] <= picture.shape[0]
    # Hamming is as sharp as bicubic at the price of bilinear, when it shrinks.
    method = Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize(shown_size, method, reducing_gap=2.0))
