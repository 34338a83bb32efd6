"""Adding up path lengths: what a tube, a sheet or a block casts on a detector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pacs.demo.phantoms.drawing import Capsule, FloatImage, Grid, coverage


class Shadow:
    """A projection on a detector, in the units of whoever adds to it. The z of all shapes is ignored."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.image: FloatImage = np.zeros((grid.rows, grid.columns), np.float32)

    def cover(self, part: Capsule, absorption_per_mm: float) -> None:
        """Cast a full tube's shadow where none is deeper yet: a tree's parts do not add up at forks."""
        window = self._window([part])
        if self.image[window].size == 0:
            return
        depth = self._depth(part, window)
        radius = np.float32(max(part.start_radius, part.end_radius))
        shadow = _chord(depth, radius) * np.float32(absorption_per_mm)
        self.image[window] = np.maximum(self.image[window], shadow)

    def add_bone(self, parts: Sequence[Capsule], absorption_per_mm: float) -> None:
        """Add one hollow tube made of ``parts``: a dense rind, bright at the edges, about lighter marrow."""
        window = self._window(parts)
        if self.image[window].size == 0:
            return
        depth = np.full(self.image[window].shape, -99, np.float32)
        for part in parts:
            inner = self._window([part])
            rows = slice(inner[0].start - window[0].start, inner[0].stop - window[0].start)
            columns = slice(inner[1].start - window[1].start, inner[1].stop - window[1].start)
            if depth[rows, columns].size:
                depth[rows, columns] = np.maximum(depth[rows, columns], self._depth(part, inner))
        radius = np.float32(max(max(part.start_radius, part.end_radius) for part in parts))
        whole = _chord(depth, radius)
        hollow = _chord(depth - np.float32(1.1), radius - np.float32(1.1))
        self.image[window] += (whole - np.float32(0.72) * hollow) * np.float32(absorption_per_mm * 1.6)

    def add_sheet(self, outline: Sequence[tuple[float, float]], absorption: float) -> None:
        """Add a thin plate with a polygonal outline."""
        xs, ys = zip(*outline, strict=True)
        window = self.grid.window((min(xs), max(xs)), (min(ys), max(ys)))
        x, y = self.grid.x[:, window[1]], self.grid.y[window[0]]
        inside = np.zeros(np.broadcast_shapes(x.shape, y.shape), bool)
        for (x0, y0), (x1, y1) in zip(outline, [*outline[1:], outline[0]], strict=True):
            if y0 != y1:  # even-odd rule: count the edges to the right of the point
                inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
        self.image[window] += inside * np.float32(absorption)

    def add_block(self, x: float, y: float, half_width: float, half_height: float, absorption: float) -> None:
        """Add a box with rounded edges whose rim absorbs most, such as a vertebral body."""
        window = self.grid.window(
            (x - half_width - 3, x + half_width + 3), (y - half_height - 3, y + half_height + 3)
        )
        across = np.abs(self.grid.x[:, window[1]] - np.float32(x))
        waist = 1.6 * np.cos((self.grid.y[window[0]] - y) * np.float32(np.pi / 2 / half_height))
        down = np.abs(self.grid.y[window[0]] - np.float32(y)) - np.float32(half_height)
        edge = np.maximum(across - half_width + waist, down)
        rim = coverage(np.abs(edge + 0.9) - 0.5, 1.0)
        self.image[window] += (coverage(edge, 1.2) + 0.7 * rim) * np.float32(absorption)

    def _window(self, parts: Sequence[Capsule]) -> tuple[slice, slice]:
        ends = [
            (point, max(part.start_radius, part.end_radius))
            for part in parts
            for point in (part.start, part.end)
        ]
        return self.grid.window(
            (min(p[0] - r for p, r in ends), max(p[0] + r for p, r in ends)),
            (min(p[1] - r for p, r in ends), max(p[1] + r for p, r in ends)),
        )

    def _depth(self, part: Capsule, window: tuple[slice, slice]) -> FloatImage:
        """How deep each pixel lies within the tube's outline, mm."""
        flat = Capsule((*part.start[:2], 0.0), (*part.end[:2], 0.0), part.start_radius, part.end_radius)
        return -flat.distance(self.grid.x[:, window[1]], self.grid.y[window[0]], 0.0, 0.0)


def _chord(depth: FloatImage, radius: np.float32) -> FloatImage:
    """Length of the way through a tube of ``radius`` for rays that pass ``depth`` inside its outline."""
    depth = np.clip(depth, 0, radius)
    chord: FloatImage = 2 * np.sqrt(depth * (2 * radius - depth))
    return chord
