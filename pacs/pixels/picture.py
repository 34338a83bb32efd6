"""The image itself as a picture: the pixels of a view, without anything laid over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.pixels.color import convert_to_rgb
from pacs.pixels.description import PixelDescription
from pacs.pixels.grayscale import GrayscaleTransformation
from pacs.pixels.icc import convert_to_srgb
from pacs.pixels.palette import Palette
from pacs.pixels.resampling import average, can_average, resize, thin
from pacs.pixels.view import View


def draw_grayscale(
    stored_values: npt.NDArray[Any], view: View, transformation: GrayscaleTransformation
) -> npt.NDArray[np.uint8]:
    """Draw ``(rows, columns)`` stored values as ``(height, width)`` uint8, black beyond the frame."""
    part = view.clipped(*stored_values.shape[:2])
    if part is None:
        return np.zeros(view.picture_size[::-1], np.uint8)
    values = thin(part.cut(stored_values), part.size)
    table = transformation.tabulate(values)
    if table is None:
        picture = transformation.compute(values)
    else:
        if can_average(values, part.size) and table.is_monotonic:
            values = average(values, part.size, table.lowest, table.highest)
        picture = table.apply(values)
    return view.lay_out(resize(picture, part.size), part)


def draw_supplemented(
    stored_values: npt.NDArray[Any], view: View, transformation: GrayscaleTransformation, palette: Palette
) -> npt.NDArray[np.uint8]:
    """Draw grayscale whose values from the palette's first one on are colours, as RGB."""
    part = view.clipped(*stored_values.shape[:2])
    if part is None:
        return np.zeros((*view.picture_size[::-1], 3), np.uint8)
    values = thin(part.cut(stored_values), part.size)
    grays = transformation.apply(values)[..., None]
    picture = np.where(values[..., None] >= palette.first_value, palette.apply(values), grays)
    return view.lay_out(resize(picture, part.size), part)


def draw_color(
    stored_values: npt.NDArray[Any],
    view: View,
    attributes: Dataset,
    description: PixelDescription,
    profile: bytes | None = None,
) -> npt.NDArray[np.uint8]:
    """Draw the stored values of a colour image as ``(height, width, 3)`` uint8, black beyond the frame.

    With an ICC ``profile``, in sRGB.

    Raises
    ------
    PixelsUnavailable, UndecodablePixels
        As :func:`~pacs.pixels.color.convert_to_rgb`.
    """
    part = view.clipped(*stored_values.shape[:2])
    if part is None:
        return np.zeros((*view.picture_size[::-1], 3), np.uint8)
    picture = convert_to_rgb(thin(part.cut(stored_values), part.size), attributes, description)
    return view.lay_out(convert_to_srgb(resize(picture, part.size), profile), part)


def cover(plane: npt.NDArray[np.bool_], view: View) -> npt.NDArray[np.uint8]:
    """Bring a plane over the frame to the picture: how much of each of its pixels is covered, 255 for all."""
    part = view.clipped(*plane.shape)
    if part is None:
        return np.zeros(view.picture_size[::-1], np.uint8)
    return view.lay_out(resize(part.cut(plane).astype(np.uint8) * 255, part.size), part)
