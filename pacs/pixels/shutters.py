"""Display shutters: what of an image is not to be seen (PS3.3 C.7.6.11, C.7.6.15, C.11.12)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from pacs.errors import UndecodablePixels
from pacs.pixels.cielab import color_of_cielab, color_of_p_value
from pacs.pixels.composition import BLACK, Color
from pacs.pixels.elements import read_decimals, read_integer, read_texts

_MAX_VERTICES = 4096
_MAX_COORDINATE = 1 << 17


@dataclass(frozen=True, slots=True)
class Shutter:
    """Shapes outside of which an image is hidden, all at once. Rows and columns are counted from 1.

    Parameters
    ----------
    color
        What is shown in place of the image.
    rectangle
        The first and the last column, and the first and the last row, that can be seen.
    circle
        Row and column of the centre, and the radius in columns.
    polygon
        (row, column) of its vertices.
    overlay_group
        Of the overlay plane whose bits hide the image.
    """

    color: Color = BLACK
    rectangle: tuple[int, int, int, int] | None = None
    circle: tuple[int, int, int] | None = None
    polygon: tuple[tuple[int, int], ...] = ()
    overlay_group: int | None = None

    def hide(self, rows: int, columns: int, aspect_ratio: float) -> npt.NDArray[np.bool_]:
        """Return ``(rows, columns)`` bool: what the shapes hide, the overlay plane not among them."""
        hidden = np.zeros((rows, columns), np.bool_)
        if self.rectangle is not None:
            left, right, upper, lower = self.rectangle
            visible = np.zeros_like(hidden)
            visible[max(upper - 1, 0) : max(lower, 0), max(left - 1, 0) : max(right, 0)] = True
            hidden |= ~visible
        if self.circle is not None:
            row, column, radius = self.circle
            y = (np.arange(1, rows + 1) - row) * aspect_ratio
            x = np.arange(1, columns + 1) - column
            hidden |= (x * x)[None, :] > (float(radius) ** 2 - y * y)[:, None]
        if self.polygon:
            mask = Image.new("1", (columns, rows))
            vertices = [(column - 1, row - 1) for row, column in self.polygon]
            ImageDraw.Draw(mask).polygon(vertices, fill=1, outline=1)
            hidden |= ~np.asarray(mask)
        return hidden


def read_shutter(attributes: Dataset) -> Shutter | None:
    """Read the shutter of a presentation state; None where there is none.

    Raises
    ------
    UndecodablePixels
        A shape lacks its coordinates, or they are impossible.
    """
    shapes = {shape.upper() for shape in read_texts(attributes, "ShutterShape")} - {""}
    if not shapes:
        return None
    rectangle: tuple[int, int, int, int] | None = None
    if "RECTANGULAR" in shapes:
        sides = ("LeftVertical", "RightVertical", "UpperHorizontal", "LowerHorizontal")
        left, right, upper, lower = (_read_integers(attributes, f"Shutter{side}Edge", 1)[0] for side in sides)
        rectangle = left, right, upper, lower
    circle: tuple[int, int, int] | None = None
    if "CIRCULAR" in shapes:
        row, column = _read_integers(attributes, "CenterOfCircularShutter", 2)
        circle = row, column, _read_integers(attributes, "RadiusOfCircularShutter", 1)[0]
    polygon: tuple[tuple[int, int], ...] = ()
    if "POLYGONAL" in shapes:
        numbers = _read_integers(attributes, "VerticesOfThePolygonalShutter", None)
        polygon = tuple(zip(numbers[::2], numbers[1::2], strict=False))
    group = read_integer(attributes, "ShutterOverlayGroup") if "BITMAP" in shapes else None
    return Shutter(_read_color(attributes), rectangle, circle, polygon, group)


def _read_integers(attributes: Dataset, keyword: str, count: int | None) -> list[int]:
    numbers = read_decimals(attributes, keyword)
    is_complete = len(numbers) == count if count is not None else 6 <= len(numbers) <= 2 * _MAX_VERTICES
    if not is_complete or any(abs(number) > _MAX_COORDINATE for number in numbers):
        raise UndecodablePixels(f"{keyword} does not describe a shutter")
    return [int(number) for number in numbers]


def _read_color(attributes: Dataset) -> Color:
    lab = read_decimals(attributes, "ShutterPresentationColorCIELabValue")
    if len(lab) == 3:
        return color_of_cielab([int(each) for each in lab])
    return color_of_p_value(read_integer(attributes, "ShutterPresentationValue") or 0)
