"""Where on a picture each pixel of a frame comes to lie: a part of it, turned, mirrored and scaled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class View:
    """A rectangle of a frame as it is shown.

    Parameters
    ----------
    left, top, right, bottom
        The rectangle in stored pixels, the first column and row being 0, ``right`` and ``bottom`` behind the
        last ones. It may reach beyond the frame, where the picture is black.
    size
        (width, height) of the picture before it is turned.
    quarter_turns
        How often the picture is turned clockwise by 90 degrees.
    mirrored
        Whether left and right change places after that.
    """

    left: int
    top: int
    right: int
    bottom: int
    size: tuple[int, int]
    quarter_turns: int = 0
    mirrored: bool = False

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) of the picture as it is shown."""
        return (self.size[1], self.size[0]) if self.quarter_turns % 2 else self.size

    def flipped(self, horizontally: bool, vertically: bool) -> View:
        """Return the view with left and right, or top and bottom, of the picture changed."""
        # Changing top and bottom is half a turn, and left and right.
        turns = (self.quarter_turns + 2 * vertically) % 4
        return replace(self, quarter_turns=turns, mirrored=self.mirrored ^ horizontally ^ vertically)

    def clipped(self, rows: int, columns: int) -> View | None:
        """Return the view of that part which lies within the frame, unturned; None where there is none."""
        left, right = max(self.left, 0), min(self.right, columns)
        top, bottom = max(self.top, 0), min(self.bottom, rows)
        if left >= right or top >= bottom:
            return None
        x, y = self._place(left, top)
        end_x, end_y = self._place(right, bottom)
        return View(left, top, right, bottom, (max(end_x - x, 1), max(end_y - y, 1)))

    def cut(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Cut the rectangle out of ``(rows, columns[, samples])``; it must lie within the frame."""
        if (self.left, self.top, self.bottom, self.right) == (0, 0, *values.shape[:2]):
            return values
        return np.ascontiguousarray(values[self.top : self.bottom, self.left : self.right])

    def lay_out(self, part: npt.NDArray[np.uint8], clipped: View) -> npt.NDArray[np.uint8]:
        """Put a picture of the clipped view into its place, and turn and mirror the whole."""
        if clipped.size != self.size:
            canvas = np.zeros((self.size[1], self.size[0], *part.shape[2:]), np.uint8)
            x, y = self._place(clipped.left, clipped.top)
            x, y = min(x, self.size[0] - part.shape[1]), min(y, self.size[1] - part.shape[0])
            canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
            part = canvas
        return self.turn(part)

    def turn(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Turn and mirror an unturned picture."""
        picture = np.rot90(picture, -self.quarter_turns)
        return np.ascontiguousarray(picture[:, ::-1] if self.mirrored else picture)

    def map_point(self, point: Point) -> Point:
        """Map a point of the frame to one of the picture.

        Both are (column, row), 0.0 being the outer edge of the first pixel and 1.0 its other edge.

        References
        ----------
        PS3.3 C.10.5, PIXEL units
        """
        x = (point[0] - self.left) * self.size[0] / (self.right - self.left)
        y = (point[1] - self.top) * self.size[1] / (self.bottom - self.top)
        width, height = self.size
        for _ in range(self.quarter_turns):
            x, y, width, height = height - y, x, height, width
        return (width - x if self.mirrored else x), y

    def _place(self, column: int, row: int) -> tuple[int, int]:
        x = round((column - self.left) * self.size[0] / (self.right - self.left))
        y = round((row - self.top) * self.size[1] / (self.bottom - self.top))
        return x, y
