"""Painting with distance fields: a shape is an array of signed distances in mm, negative inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.floating[Any]]  # float32 wherever whole images are painted
Length = float | np.floating[Any] | FloatImage  # one for all points, or one for each
Point = tuple[float, float, float]  # x to the left of the patient, y to the back, z to the head; mm


@dataclass(frozen=True)
class Grid:
    """Pixel centres of an image in mm; the origin lies in the middle of the image."""

    rows: int
    columns: int
    pixel_mm: float

    @cached_property
    def x(self) -> FloatImage:
        """Abscissae, (1, columns)."""
        return self._axis(self.columns)[np.newaxis, :]

    @cached_property
    def y(self) -> FloatImage:
        """Ordinates, downwards, (rows, 1)."""
        return self._axis(self.rows)[:, np.newaxis]

    def _axis(self, count: int) -> FloatImage:
        return ((np.arange(count) - (count - 1) / 2) * self.pixel_mm).astype(np.float32)

    def window(self, x: tuple[float, float], y: tuple[float, float]) -> tuple[slice, slice]:
        """Rows and columns that cover the rectangle from ``min(x), min(y)`` to ``max(x), max(y)``."""
        return self._span(y, self.rows), self._span(x, self.columns)

    def _span(self, ends: tuple[float, float], count: int) -> slice:
        first = min(ends) / self.pixel_mm + (count - 1) / 2
        last = max(ends) / self.pixel_mm + (count - 1) / 2
        return slice(max(0, int(first)), max(0, min(count, int(last) + 2)))


def coverage(distance: FloatImage, softness: float) -> FloatImage:
    """Share of each pixel that a shape covers, 0 to 1; ``softness`` is the width of its edge in mm."""
    share: FloatImage = np.clip(0.5 - distance * np.float32(1 / softness), 0, 1)
    return share


def paint(image: FloatImage, value: float | FloatImage, mask: FloatImage) -> None:
    """Cover ``image`` with ``value`` where ``mask`` is 1, in place."""
    image += mask * (value - image)


def paint_shape(image: FloatImage, value: float | FloatImage, distance: FloatImage, softness: float) -> None:
    """Paint a shape given at half the resolution of ``image``: (rows / 2, columns / 2).

    Distances are smooth, so they may be computed coarsely and interpolated; the edge stays sharp. Only the
    rectangle around the shape is touched.
    """
    reached = distance < softness
    rows, columns = np.flatnonzero(reached.any(axis=1)), np.flatnonzero(reached.any(axis=0))
    if rows.size == 0:
        return
    coarse = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    fine = slice(2 * rows[0], 2 * rows[-1] + 2), slice(2 * columns[0], 2 * columns[-1] + 2)
    shade = value if isinstance(value, float) else double(value[coarse])
    paint(image[fine], shade, coverage(double(distance[coarse]), softness))


def double(image: FloatImage) -> FloatImage:
    """Enlarge ``image`` twice along both axes, linearly."""
    rows, columns = image.shape
    tall = np.empty((2 * rows, columns), np.float32)
    tall[0], tall[-1] = image[0], image[-1]
    quarters = image * np.float32(0.25)
    rest = image - quarters
    tall[1:-1:2] = rest[:-1] + quarters[1:]
    tall[2:-1:2] = rest[1:] + quarters[:-1]
    large = np.empty((2 * rows, 2 * columns), np.float32)
    large[:, 0], large[:, -1] = tall[:, 0], tall[:, -1]
    quarters = tall * np.float32(0.25)
    tall -= quarters
    large[:, 1:-1:2] = tall[:, :-1] + quarters[:, 1:]
    large[:, 2:-1:2] = tall[:, 1:] + quarters[:, :-1]
    return large


def ellipse(x: FloatImage, y: FloatImage, a: Length, b: Length) -> FloatImage:
    """Distance to an ellipse about the origin with half axes a and b, true near its edge (first order)."""
    f = np.sqrt((x / a) ** 2 + (y / b) ** 2)
    gradient = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2) + np.float32(1e-6)
    distance: FloatImage = (f - 1) * f / gradient
    return distance


def smooth_union(first: FloatImage, second: FloatImage, radius: float) -> FloatImage:
    """Union of two shapes whose common edge is rounded by ``radius`` mm."""
    overlap = np.maximum(radius - np.abs(first - second), 0)
    distance: FloatImage = np.minimum(first, second) - overlap * overlap * np.float32(0.25 / radius)
    return distance


def smooth_intersection(first: FloatImage, second: FloatImage, radius: float) -> FloatImage:
    """Intersection of two shapes whose common edge is rounded by ``radius`` mm."""
    return -smooth_union(-first, -second, radius)


@dataclass(frozen=True)
class Capsule:
    """A tube with round ends that may taper: vessels, airways, bones."""

    start: Point
    end: Point
    start_radius: float
    end_radius: float

    @property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest z of the tube."""
        low = min(self.start[2] - self.start_radius, self.end[2] - self.end_radius)
        high = max(self.start[2] + self.start_radius, self.end[2] + self.end_radius)
        return low, high

    def mirrored(self) -> Capsule:
        """Make the same tube on the other side of the body."""
        (x0, y0, z0), (x1, y1, z1) = self.start, self.end
        return Capsule((-x0, y0, z0), (-x1, y1, z1), self.start_radius, self.end_radius)

    def reaches(self, z: float, slab_mm: float) -> bool:
        """Tell whether a slab about ``z`` cuts the tube."""
        low, high = self.span
        return low - slab_mm / 2 < z < high + slab_mm / 2

    def distance(self, x: FloatImage, y: FloatImage, z: float, slab_mm: float) -> FloatImage:
        """Distance at the height ``z``, where a slab of ``slab_mm`` counts as no depth at all."""
        (x0, y0, z0), (x1, y1, z1) = self.start, self.end
        dx, dy, dz = x1 - x0, y1 - y0, z1 - z0
        along = ((x - x0) * dx + (y - y0) * dy + (z - z0) * dz) / (dx * dx + dy * dy + dz * dz + 1e-6)
        along = np.clip(along, 0, 1)
        depth = np.maximum(np.abs(z - z0 - along * dz) - slab_mm / 2, 0)
        away = np.sqrt((x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2 + depth * depth)
        distance: FloatImage = away - (self.start_radius + along * (self.end_radius - self.start_radius))
        return distance

    def paint(
        self, image: FloatImage, grid: Grid, z: float, value: float, softness: float, slab: float
    ) -> None:
        """Paint the cut at the height ``z`` into ``image``, touching only the pixels near it."""
        if not self.reaches(z, slab):
            return
        margin = max(self.start_radius, self.end_radius) + softness
        low = [min(a, b) - margin for a, b in zip(self.start, self.end, strict=True)]
        high = [max(a, b) + margin for a, b in zip(self.start, self.end, strict=True)]
        window = grid.window((low[0], high[0]), (low[1], high[1]))
        x, y = grid.x[:, window[1]], grid.y[window[0]]
        if x.size and y.size:
            paint(image[window], value, coverage(self.distance(x, y, z, slab), softness))


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, turned by ``turn_degrees`` about the z axis."""

    centre: Point
    semi_axes: Point
    turn_degrees: float = 0.0

    def mirrored(self) -> Ellipsoid:
        """Make the same ellipsoid on the other side of the body."""
        x, y, z = self.centre
        return Ellipsoid((-x, y, z), self.semi_axes, -self.turn_degrees)

    def distance(self, x: FloatImage, y: FloatImage, z: float, slab_mm: float = 0.0) -> FloatImage | None:
        """Distance to the ellipse in which a slab about ``z`` cuts; None where it does not."""
        height = max(abs(z - self.centre[2]) - slab_mm / 2, 0.0) / self.semi_axes[2]
        if height >= 0.999:
            return None
        scale = float(np.sqrt(1 - height * height))
        turn = np.deg2rad(self.turn_degrees)
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        x, y = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
        return ellipse(
            x * cos + y * sin, y * cos - x * sin, self.semi_axes[0] * scale, self.semi_axes[1] * scale
        )

    def paint(
        self, image: FloatImage, grid: Grid, z: float, value: float, softness: float, slab: float
    ) -> None:
        """Paint the cut at the height ``z`` into ``image``, touching only the pixels near it."""
        reach = max(self.semi_axes[:2]) + softness
        x, y = self.centre[:2]
        window = grid.window((x - reach, x + reach), (y - reach, y + reach))
        distance = self.distance(grid.x[:, window[1]], grid.y[window[0]], z, slab)
        if distance is not None:
            paint(image[window], value, coverage(distance, softness))


Shape = Capsule | Ellipsoid


def both_sides(*shapes: Shape) -> tuple[Shape, ...]:
    """Pair shapes of the left side with their mirror images."""
    return tuple(image for shape in shapes for image in (shape, shape.mirrored()))


@dataclass(frozen=True)
class Cut:
    """One slice through a body: its height, its thickness and the pixels on which it is painted.

    ``coarse`` has half the resolution of ``grid``; see :func:`paint_shape`.
    """

    grid: Grid
    coarse: Grid
    z: float
    slab_mm: float
    edge_mm: float

    def paint_parts(self, image: FloatImage, value: float, parts: Iterable[Shape]) -> None:
        """Paint the parts that the slice cuts, in place."""
        for part in parts:
            part.paint(image, self.grid, self.z, value, self.edge_mm, self.slab_mm / 2)

    def paint_shape(self, image: FloatImage, value: float | FloatImage, distance: FloatImage) -> None:
        """Paint a shape given on the coarse grid, in place."""
        paint_shape(image, value, distance, self.edge_mm)


@dataclass(frozen=True)
class Bundle:
    """Many tubes, of which few cut any one slice."""

    tubes: tuple[Capsule, ...]

    @cached_property
    def _spans(self) -> npt.NDArray[np.float64]:
        return np.array([part.span for part in self.tubes])

    def at(self, z: float, slab_mm: float) -> Iterator[Capsule]:
        """Find the tubes that a slab about ``z`` cuts."""
        low, high = self._spans.T
        for index in np.flatnonzero((low - slab_mm / 2 < z) & (z < high + slab_mm / 2)):
            yield self.tubes[index]


def tube(points: Sequence[Point], *radii: float) -> list[Capsule]:
    """Chain capsules through ``points``; one radius for all, or one for each point."""
    all_radii = radii * len(points) if len(radii) == 1 else radii
    ends = list(zip(points, all_radii, strict=True))
    return [Capsule(a, b, ra, rb) for (a, ra), (b, rb) in pairwise(ends)]
