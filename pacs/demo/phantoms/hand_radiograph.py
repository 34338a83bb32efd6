"""A right hand on a storage phosphor plate, seen from the back: the thumb is on the image's left."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pacs.demo.phantoms.drawing import Capsule, FloatImage, Grid, Point, coverage, double, smooth_union, tube
from pacs.demo.phantoms.noise import Waves, blur, textured_noise
from pacs.demo.phantoms.projection import Shadow

ROWS, COLUMNS = 2048, 1536
PIXEL_MM = 0.12
_SCALE = 0.91

# Each ray: base of the metacarpal bone, its head, direction of the finger, lengths of its phalanges (mm).
_RAYS: tuple[
    tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, ...], float], ...
] = (
    ((-28, 47), (-55, 13), (-0.44, -0.90), (32, 24), 1.08),
    ((-14, 40), (-24, -22), (-0.17, -0.98), (41, 25, 18), 1.0),
    ((-3, 38), (-4, -27), (-0.02, -1.0), (45, 29, 19), 1.03),
    ((7, 41), (13, -20), (0.13, -0.99), (42, 28, 19), 0.96),
    ((16, 46), (28, -8), (0.28, -0.96), (33, 20, 17), 0.86),
)
_CARPALS = (
    ((-28, 60), (-26, 62), 5.8), ((-15.5, 53), (-15, 56), 5.2), ((-3.5, 51.5), (-4, 61), 5.7),
    ((8.5, 54), (10, 61), 5.9), ((-21, 70), (-15, 76.5), 5.6), ((-2, 74.5), (-1, 77), 6.2),
    ((11, 73), (13, 75.5), 5.4), ((15, 74), (15, 77), 3.6),
)  # fmt: skip


@dataclass(frozen=True)
class HandRadiograph:
    """One radiograph of a hand; ``seed`` chooses texture and noise."""

    seed: int

    @cached_property
    def grid(self) -> Grid:
        """Pixel centres at half of the plate's resolution."""
        return Grid(ROWS // 2, COLUMNS // 2, 2 * PIXEL_MM)

    def densities(self) -> FloatImage:
        """Absorption, (2048, 1536): 0 for air to 1 for thick bone."""
        bones = Shadow(self.grid)
        skin = np.full((self.grid.rows, self.grid.columns), 99, np.float32)
        for ray in _RAYS:
            skin = self._draw_ray(bones, skin, *ray)
        for start, end, radius in _CARPALS:
            bones.add_bone([Capsule(_place(*start), _place(*end), radius * _SCALE, radius * _SCALE)], 0.026)
        self._draw_forearm(bones)
        skin = self._palm(skin)
        spongy = 1 + 0.05 * Waves(self.seed, 1.7, waves=14).at(self.grid.x, self.grid.y, 0.0)
        flesh = np.sqrt(np.clip(-skin / 13, 0, 1)) * (
            0.27 + 0.02 * Waves(self.seed + 1, 40).at(self.grid.x, self.grid.y, 0.0)
        )
        return self._read_out(flesh + blur(bones.image, 0.2) * spongy)

    def _draw_ray(
        self,
        bones: Shadow,
        skin: FloatImage,
        base: tuple[float, float],
        head: tuple[float, float],
        direction: tuple[float, float],
        lengths: tuple[float, ...],
        size: float,
    ) -> FloatImage:
        bones.add_bone(_long_bone(base, head, 6.0 * size, 3.7 * size, 5.8 * size), 0.026)
        joint = (head[0] + direction[0] * 10.5 * size, head[1] + direction[1] * 10.5 * size)
        flesh = [Capsule(_place(*base), _place(*head), 11, 9.5)]
        for number, length in enumerate(lengths):
            end = (joint[0] + direction[0] * (length - 8.5), joint[1] + direction[1] * (length - 8.5))
            last = number == len(lengths) - 1
            width = size * (5.6 - 0.75 * number)
            bones.add_bone(_long_bone(joint, end, width, width * 0.6, width * (0.62 if last else 0.8)), 0.026)
            reach = 6 if last else 0
            tip = (end[0] + direction[0] * reach * 0.5, end[1] + direction[1] * reach * 0.5)
            flesh.append(
                Capsule(
                    _place(*joint), _place(*tip), size * (9.2 - number * 0.8), size * (8.6 - number * 0.8)
                )
            )
            joint = (end[0] + direction[0] * 1.6 * width, end[1] + direction[1] * 1.6 * width)
        for part in flesh:
            skin = smooth_union(skin, part.distance(self.grid.x, self.grid.y, 0.0, 0.0), 3.0)
        return skin

    def _palm(self, skin: FloatImage) -> FloatImage:
        flesh = (
            *tube([_place(-8, 10), _place(-4, 60)], 24, 25),
            *tube([_place(14, 14), _place(6, 66), _place(2, 140)], 17, 21, 25),
            *tube([_place(-30, 44), _place(-10, 70), _place(-6, 140)], 13, 20, 25),
            *tube([_place(-44, 22), _place(-24, 20)], 8, 12),
        )
        for part in flesh:
            skin = smooth_union(skin, part.distance(self.grid.x, self.grid.y, 0.0, 0.0), 12)
        return skin

    @staticmethod
    def _draw_forearm(bones: Shadow) -> None:
        shaft = ((-13, 103), (-12, 112), (-11, 124), (-9, 170))
        plate = tube([_place(-21.5, 93), _place(-6, 95.5)], 6.2, 6.0)
        bones.add_bone([*plate, *tube([_place(*point) for point in shaft], 10.8, 8.6, 7.4, 7)], 0.019)
        shaft = ((14, 99), (14, 104), (13, 116), (10, 170))
        bones.add_bone(tube([_place(*point) for point in shaft], 6.8, 6.0, 5.2, 5.4), 0.024)
        bones.add_bone([Capsule(_place(18, 91.5), _place(18, 96), 1.8, 2.6)], 0.02)

    def _read_out(self, absorbed: FloatImage) -> FloatImage:
        picture = double(absorbed.astype(np.float32))
        rng = np.random.default_rng((self.seed, 1))
        noise = np.tile(textured_noise(rng, (512, 512), 0.01, 0.4), (ROWS // 512, COLUMNS // 512))
        picture += noise * (np.float32(0.004) + np.float32(0.008) * picture)
        fine = Grid(ROWS, COLUMNS, PIXEL_MM)
        shutter = np.maximum(np.abs(fine.x) - 84, np.abs(fine.y) - 116)  # the collimator's blades
        picture += np.float32(0.03)
        picture *= coverage(shutter, 1.5)
        return np.clip(picture, 0, 1, out=picture)


def _place(x: float, y: float) -> Point:
    return x * _SCALE, (y + 7) * _SCALE, 0.0


def _long_bone(
    start: tuple[float, float], end: tuple[float, float], base: float, shaft: float, head: float
) -> list[Capsule]:
    """Make a bone with a broad base, a waisted shaft and a rounded head."""
    steps = (0.0, 0.1, 0.28, 0.55, 0.8, 0.92, 1.0)
    radii = (base * 0.92, base, shaft * 1.12, shaft, shaft * 1.12, head, head * 0.95)
    points = [_place(start[0] + (end[0] - start[0]) * s, start[1] + (end[1] - start[1]) * s) for s in steps]
    return tube(points, *(radius * _SCALE for radius in radii))
