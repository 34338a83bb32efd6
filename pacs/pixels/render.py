"""From stored values to a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest
from pacs.pixels.appearance import AS_STORED, Appearance, Region
from pacs.pixels.composition import WHITE, blend
from pacs.pixels.description import PixelDescription
from pacs.pixels.geometry import fit_size, read_pixel_aspect_ratio
from pacs.pixels.grayscale import read_transformation
from pacs.pixels.icc import read_profile
from pacs.pixels.overlays import read_overlays
from pacs.pixels.picture import cover, draw_color, draw_grayscale, draw_supplemented
from pacs.pixels.presentation_rendering import render_presentation
from pacs.pixels.supplemental_palette import read_supplemental_palette
from pacs.pixels.view import View


def render_frame(
    stored_values: npt.NDArray[Any],
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    appearance: Appearance = AS_STORED,
    encoded_frame: bytes | None = None,
) -> npt.NDArray[np.uint8]:
    """Render a frame as a display would show it, with its overlays in white.

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
    encoded_frame
        What the stored values were decoded from, for overlays in unused bits of native pixels.

    Returns
    -------
    ndarray
        ``(height, width)`` or ``(height, width, 3)`` uint8. Pixels that are not square have been resampled to
        square ones, see :mod:`pacs.pixels.resampling`.

    Raises
    ------
    InvalidRequest
        The size is not possible, the region not within the frame, the window not one of the data set's, or
        the presentation state not for this frame.
    PixelsUnavailable, UndecodablePixels
        A palette or a lookup table is wanting or damaged, or the colour space has no conversion.

    References
    ----------
    PS3.18 8.3.5.1, PS3.4 N.2, PS3.14
    """
    state = appearance.presentation
    if state is None:
        picture = _render_unaided(
            stored_values, attributes, description, frame_index, appearance, encoded_frame
        )
    else:
        picture = render_presentation(
            stored_values, attributes, description, frame_index, state, appearance, encoded_frame
        )
    is_gray = picture.ndim == 2
    return appearance.display.driving_levels()[picture] if appearance.display and is_gray else picture


def _render_unaided(
    stored_values: npt.NDArray[Any],
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    appearance: Appearance,
    encoded_frame: bytes | None,
) -> npt.NDArray[np.uint8]:
    view = _plan_view(attributes, description, frame_index, appearance)
    if description.is_monochrome:
        # The window is chosen from the whole frame, so that a thumbnail looks like its image.
        grayscale = read_transformation(stored_values, attributes, description, frame_index, appearance.voi)
        palette = read_supplemental_palette(attributes, frame_index, description)
        if palette is None:
            picture = draw_grayscale(stored_values, view, grayscale)
        else:
            picture = draw_supplemented(stored_values, view, grayscale, palette)
    else:
        profile = read_profile(attributes) if appearance.in_srgb else None
        picture = draw_color(stored_values, view, attributes, description, profile)
    for overlay in read_overlays(attributes, frame_index, description, encoded_frame):
        plane = overlay.spread(description.rows, description.columns)
        picture = blend(picture, cover(plane, view), WHITE)
    return picture


def _plan_view(
    attributes: Dataset, description: PixelDescription, frame_index: int, appearance: Appearance
) -> View:
    region = appearance.region or Region(0, 0, description.columns, description.rows)
    right, bottom = region.left + region.width, region.top + region.height
    if not (0 <= region.left < right <= description.columns and 0 <= region.top < bottom <= description.rows):
        raise InvalidRequest("the viewport's region is not within the image")
    aspect_ratio = read_pixel_aspect_ratio(attributes, frame_index)
    size = fit_size(region.height, region.width, aspect_ratio, appearance.size, appearance.enlarge)
    view = View(region.left, region.top, right, bottom, size)
    return view.flipped(appearance.flipped_horizontally, appearance.flipped_vertically)
