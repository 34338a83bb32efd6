"""Table, skin, fat and muscles of an axial slice of the chest, painted first."""

from __future__ import annotations

import numpy as np

from pacs.demo.phantoms import thorax_shape as shape
from pacs.demo.phantoms.drawing import Cut, FloatImage, coverage, ellipse, paint, paint_shape
from pacs.demo.phantoms.noise import Waves

FAT = -104.0  # HU
MUSCLE = 56.0

SEPTA = Waves(21, 26, waves=10)  # strands of tissue in fat
_STREAKS = Waves(25, 34, waves=9, stretch=3)
_BULGE = Waves(22, 90, waves=6)


def paint_table(image: FloatImage, cut: Cut) -> None:
    """Paint the couch: a shell of carbon fibre about foam."""
    x, y = cut.grid.x, cut.grid.y
    top = 110 - 26 * (np.abs(x) / 205) ** np.float32(2.4)
    bottom = 152 - 60 * (np.abs(x) / 205) ** np.float32(2.2)
    shell = np.maximum(np.maximum(top - y, y - bottom), np.abs(x) - 198)
    paint(image, -380.0, coverage(shell, 2))
    paint(image, -955.0, coverage(shell + 2.2, 2))


def paint_wall(image: FloatImage, cut: Cut, depth: FloatImage, skin: FloatImage) -> None:
    """Paint skin, fat and muscles.

    ``depth`` and ``skin`` are the distances to the chest's cavity and to the skin, on the coarse grid.
    """
    septa = SEPTA.at(cut.coarse.x, cut.coarse.y, cut.z)
    fat = FAT + 9 * np.clip(septa, -1, 1) + 130 * np.maximum(0.1 - np.abs(septa), 0)
    cut.paint_shape(image, fat, skin)
    cut.paint_shape(image, -5.0, np.maximum(skin, -2.2 - skin))
    streaks = np.maximum(0.22 - np.abs(_STREAKS.at(cut.coarse.x, cut.coarse.y, cut.z)), 0)
    muscle = np.minimum(_muscles_of_chest(cut, depth), _muscles_of_back(cut, skin))
    paint_shape(image, MUSCLE + 4 * septa - 270 * streaks, np.maximum(muscle, skin + 5), 1.8)


def _muscles_of_chest(cut: Cut, depth: FloatImage) -> FloatImage:
    """Distance to the muscles between the ribs and to the layers about them."""
    x, y, z = cut.coarse.x, cut.coarse.y, cut.z
    angle = np.arctan2(np.abs(x), y - shape.cavity_middle(z))  # 0 at the back, pi in front
    wave = _BULGE.at(x, y, z)
    pectoral = _bump(angle, 2.45, 0.55) * np.interp(z, (95, 150, 215, 265), (0, 12, 20, 14))
    side = _bump(angle, 1.25, 0.85) * np.interp(z, (20, 100, 180, 250), (9, 11, 17, 22))
    shoulder = _bump(angle, 0.95, 0.8) * np.interp(z, (120, 170, 220, 300), (0, 10, 24, 40))
    layer = pectoral + side + shoulder + 1.5 * wave
    outer = np.maximum(depth - 13.5 - layer, 13.5 - depth) + np.float32(20) * (layer < 1.5)
    if z <= 235:  # a plane of fat parts the layers
        outer = np.maximum(outer, 1.6 - np.abs(depth - 13.5 - 0.55 * layer + wave))
    between_ribs = np.maximum(depth - 11, -depth)
    muscles: FloatImage = np.minimum(outer, between_ribs)
    return muscles


def _muscles_of_back(cut: Cut, skin: FloatImage) -> FloatImage:
    """Distance to the muscles beside the spine, of the neck and of the shoulders."""
    x, y, z = np.abs(cut.coarse.x), cut.coarse.y, cut.z
    beside_spine = ellipse(x - 27, y - 80 + 1.2 * _BULGE.at(cut.coarse.x, y, z), 25, 16)
    under_skin = np.abs(skin + 11) - np.interp(z, (110, 200, 300), (0, 4, 9))
    trapezius = np.maximum(under_skin, 20 - y) + np.maximum(x - 90, 0)
    muscles: FloatImage = np.minimum(beside_spine, trapezius)
    if z >= 248:
        muscles = np.minimum(muscles, ellipse(x - 158, y - 12, 42, 46))
    if z >= 252:
        width, length = np.interp(z, (250, 295), (8, 34)), np.interp(z, (250, 295), (8, 42))
        muscles = np.minimum(muscles, ellipse(x - 34, y - 30, width, length))
    return muscles


def _bump(angle: FloatImage, middle: float, width: float) -> FloatImage:
    bump: FloatImage = np.clip(1 - ((angle - middle) / width) ** 2, 0, 1)
    return bump
