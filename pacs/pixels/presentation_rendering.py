"""Images as a presentation state wants them to be looked at (PS3.4 N.2)."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest
from pacs.pixels.annotation_drawing import draw_graphics, draw_words
from pacs.pixels.annotations import Annotation, Layer
from pacs.pixels.appearance import Appearance
from pacs.pixels.composition import BLACK, WHITE, Color, blend
from pacs.pixels.description import PixelDescription
from pacs.pixels.displayed_area import MAGNIFY, TRUE_SIZE, DisplayedArea
from pacs.pixels.elements import read_texts
from pacs.pixels.geometry import fit_size, read_pixel_aspect_ratio
from pacs.pixels.icc import read_profile
from pacs.pixels.overlays import read_overlays
from pacs.pixels.palette import Palette, read_palette
from pacs.pixels.picture import cover, draw_color, draw_grayscale
from pacs.pixels.presentation_state import PresentationState
from pacs.pixels.text import draw_seam
from pacs.pixels.view import View

_MAX_ENLARGED_PIXELS: Final = 1 << 24


def render_presentation(
    stored_values: npt.NDArray[Any],
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    state: PresentationState,
    appearance: Appearance,
    encoded_frame: bytes | None = None,
) -> npt.NDArray[np.uint8]:
    """Render a frame as a presentation state says: grayscale, shutter, place and size, then layer by layer.

    Graphics and words are drawn at the size of the picture, so that they stay sharp; words have a seam, so
    that they can be read on any ground.

    Parameters
    ----------
    state
        It must apply to the frame.
    appearance
        The size, and a region in place of the displayed area; a window cannot be asked for as well.

    Returns
    -------
    ndarray
        ``(height, width)`` uint8, or ``(height, width, 3)`` where the image or a layer has colour.

    Raises
    ------
    InvalidRequest
        The state is not for this frame, a window is asked for, or the size is not possible.
    PixelsUnavailable, UndecodablePixels
        A lookup table or a palette is wanting or damaged.

    References
    ----------
    PS3.4 N.2
    """
    uid, number = (read_texts(attributes, "SOPInstanceUID") or [""])[0], frame_index + 1
    if not state.applies_to(uid, number):
        raise InvalidRequest("the presentation state is not for this image")
    if appearance.voi is not None:
        raise InvalidRequest("a presentation state has its own windows")
    view = _plan_view(state.find_area(uid, number), state, description, appearance)
    if description.is_monochrome:
        grayscale = state.read_grayscale(attributes, uid, number, description)
        picture = draw_grayscale(stored_values, view, grayscale)
        if state.has_pseudo_color:
            picture = _color(picture, read_palette(state.attributes, state.described_as_own(description)))
    else:
        profile = (read_profile(state.attributes) or read_profile(attributes)) if appearance.in_srgb else None
        picture = draw_color(stored_values, view, attributes, description, profile)
    planes = _find_overlays(attributes, description, frame_index, state, encoded_frame)
    if state.shutter is not None:
        aspect_ratio = read_pixel_aspect_ratio(attributes, frame_index)
        hidden = state.shutter.hide(description.rows, description.columns, aspect_ratio)
        if state.shutter.overlay_group in planes:
            hidden |= planes[state.shutter.overlay_group]
        picture = blend(picture, cover(hidden, view), state.shutter.color)
    return _lay_layers_over(picture, view, state, state.find_annotations(uid, number), planes)


def _lay_layers_over(
    picture: npt.NDArray[np.uint8],
    view: View,
    state: PresentationState,
    annotations: tuple[Annotation, ...],
    planes: dict[int, npt.NDArray[np.bool_]],
) -> npt.NDArray[np.uint8]:
    # Layers of one colour that lie upon one another are drawn at once.
    for color, layers in groupby(_list_layers(state, annotations), key=lambda layer: layer.color):
        names = {layer.name for layer in layers}
        own = [one for one in annotations if one.layer in names]
        if any(one.graphics for one in own):
            picture = blend(picture, draw_graphics(own, view), color)
        for group, name in state.overlay_layers:
            if name in names and group in planes:
                picture = blend(picture, cover(planes[group], view), color)
        if any(one.words for one in own):
            words = draw_words(own, view)
            picture = blend(picture, draw_seam(words), _contrast(color))
            picture = blend(picture, words, color)
    return picture


def _list_layers(state: PresentationState, annotations: tuple[Annotation, ...]) -> list[Layer]:
    """List all layers, the lowest first; those that are used but not described lie on top, in white."""
    used = {one.layer for one in annotations} | {name for _, name in state.overlay_layers}
    unnamed = used - {layer.name for layer in state.layers}
    return [*state.layers, *(Layer(name, 0) for name in sorted(unnamed))]


def _contrast(color: Color) -> Color:
    return BLACK if sum(color) > sum(WHITE) // 2 else WHITE


def _color(picture: npt.NDArray[np.uint8], palette: Palette) -> npt.NDArray[np.uint8]:
    """Give grays their colours of a palette, from its first one for black to its last one for white."""
    places = np.rint(np.arange(256) * (len(palette.colors) - 1) / 255).astype(np.intp)
    return palette.colors[places][picture]


def _plan_view(
    area: DisplayedArea | None,
    state: PresentationState,
    description: PixelDescription,
    appearance: Appearance,
) -> View:
    """Find the place of the displayed area on the picture.

    With a size, the area is shown as large as fits into it; MAGNIFY is never larger than its magnification,
    and nothing is enlarged to more than 2**24 pixels.
    How large a pixel of the display is nobody knows here, so TRUE SIZE is at most as large as it is stored.

    Raises
    ------
    InvalidRequest
        The size is not possible.

    References
    ----------
    PS3.3 C.10.4, C.10.6; PS3.18 8.3.5.1.3
    """
    area = area or DisplayedArea((), 0, 0, description.columns, description.rows, 1.0)
    sides = area.left, area.top, area.right, area.bottom
    if (region := appearance.region) is not None:
        sides = region.left, region.top, region.left + region.width, region.top + region.height
    rows, columns = sides[3] - sides[1], sides[2] - sides[0]
    turns = state.transformation.quarter_turns
    wanted = appearance.size[::-1] if appearance.size is not None and turns % 2 else appearance.size
    if area.size_mode == MAGNIFY:
        width, height = fit_size(rows, columns, area.aspect_ratio, None)
        magnified = round(width * area.magnification) or 1, round(height * area.magnification) or 1
        wanted = magnified if wanted is None else (min(wanted[0], magnified[0]), min(wanted[1], magnified[1]))
    enlarge = area.size_mode != TRUE_SIZE or appearance.enlarge
    size = fit_size(rows, columns, area.aspect_ratio, wanted, enlarge)
    size = _bound_size(size, max(description.rows * description.columns, _MAX_ENLARGED_PIXELS))
    view = View(*sides, size, turns, state.transformation.mirrored)
    return view.flipped(appearance.flipped_horizontally, appearance.flipped_vertically)


def _bound_size(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """Shrink what a state enlarges beyond reason: each of its layers is drawn at the size of the picture."""
    scale = min(math.sqrt(max_pixels / (size[0] * size[1])), 1.0)
    return max(int(size[0] * scale), 1), max(int(size[1] * scale), 1)


def _find_overlays(
    attributes: Dataset,
    description: PixelDescription,
    frame_index: int,
    state: PresentationState,
    encoded_frame: bytes | None,
) -> dict[int, npt.NDArray[np.bool_]]:
    """Read overlay planes by group, laid over the image: its own, and those of the state in place of them."""
    of_image = read_overlays(attributes, frame_index, description, encoded_frame)
    own = read_overlays(state.attributes, frame_index, state.described_as_own(description))
    size = description.rows, description.columns
    return {overlay.group: overlay.spread(*size) for overlay in (*of_image, *own)}
