"""The big surfaces of a chest, as distances in mm at any points.

x runs to the left of the patient, y to the back, z to the head.
``z`` counts from the upper abdomen (0) to the lungs' tops (about 290).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pacs.demo.phantoms.drawing import FloatImage, ellipse, smooth_intersection, smooth_union
from pacs.demo.phantoms.noise import Waves

Heights = float | npt.NDArray[np.float32]

TOP_MM = 300.0
SPINE_Y = 40.0  # middle of the vertebral bodies
FIRST_RIB_Z = 268.0
RIB_PITCH = 23.5

_LEVELS = (-20.0, 20.0, 60.0, 100.0, 150.0, 200.0, 240.0, 265.0, 282.0, 296.0, 310.0)
_BODY_WIDTH = (150.0, 153.0, 157.0, 160.0, 164.0, 171.0, 183.0, 190.0, 190.0, 183.0, 176.0)
_BODY_DEPTH = (103.0, 107.0, 111.0, 113.0, 112.0, 107.0, 100.0, 94.0, 87.0, 81.0, 77.0)
_CAVITY_WIDTH = (120.0, 124.0, 127.0, 128.0, 124.0, 112.0, 94.0, 76.0, 58.0, 36.0, 8.0)
_CAVITY_DEPTH = (79.0, 83.0, 87.0, 88.0, 84.0, 73.0, 60.0, 47.0, 36.0, 23.0, 5.0)
_CAVITY_BACK = (70.0, 72.0, 74.0, 75.0, 75.0, 72.0, 66.0, 59.0, 52.0, 43.0, 30.0)
_BACK_Y = 106.0

_LUNG_WAVES = Waves(11, 62, waves=8)


def _level(values: tuple[float, ...], z: Heights) -> npt.NDArray[np.float32]:
    return np.asarray(np.interp(z, _LEVELS, values), np.float32)


def body(x: FloatImage, y: FloatImage, z: Heights) -> FloatImage:
    """Distance to the skin."""
    width, depth = _level(_BODY_WIDTH, z), _level(_BODY_DEPTH, z)
    y = y - (_BACK_Y - depth)
    furrow = 5 * np.exp(-((x / 26) ** 2)) * (y > 0)  # the back's median furrow
    f = (np.abs(x / width) ** 2.5 + np.abs((y + furrow) / depth) ** 2.5) ** np.float32(0.4)
    distance: FloatImage = (f - 1) * np.minimum(depth, width) * np.float32(1.08)
    return distance


def cavity(x: FloatImage, y: FloatImage, z: Heights) -> FloatImage:
    """Distance to the inner face of the ribs."""
    width, depth = _level(_CAVITY_WIDTH, z), _level(_CAVITY_DEPTH, z)
    y = y - cavity_middle(z)
    gutter = 9 * np.exp(
        -(((np.abs(x) - 0.46 * width) / (0.3 * width)) ** 2)
    )  # the ribs turn back beside the spine
    y = y - np.where(y > 0, gutter * y / depth, 0)
    return ellipse(x, y, width, depth)


def cavity_middle(z: Heights) -> npt.NDArray[np.float32]:
    """Ordinate of the chest cavity's middle."""
    return _level(_CAVITY_BACK, z) - _level(_CAVITY_DEPTH, z)


def cavity_front(z: Heights) -> npt.NDArray[np.float32]:
    """Ordinate of the inner face of the breast bone."""
    return _level(_CAVITY_BACK, z) - 2 * _level(_CAVITY_DEPTH, z)


def below_diaphragm(x: FloatImage, y: FloatImage, z: Heights) -> FloatImage:
    """Distance to the domes of the diaphragm, negative in the abdomen; the right dome stands higher."""
    right = 101 - ((x + 62) / 70) ** 2 * 40
    left = 90 - ((x - 64) / 66) ** 2 * 40
    slope = np.where(y > 0, 62 * (y / 75) ** 2, 30 * (y / 85) ** 2)
    distance: FloatImage = (z - np.maximum(right, left) + slope) * np.float32(0.75)
    return distance


def mediastinum(x: FloatImage, y: FloatImage, z: Heights) -> FloatImage:
    """Distance to what lies between the lungs: great vessels, heart with its sac, spine."""
    narrowing = np.asarray(np.interp(z, (60, 230, 290), (1.0, 0.95, 1.2)), np.float32)
    vessels = ellipse((x - 2) / narrowing, y + 12, 35, 62)
    spine = ellipse(x, y - SPINE_Y - 8, 23, 32)
    core = smooth_union(vessels, spine, 12)
    swing = np.clip((z - 92) / np.float32(58), -0.98, 0.98)
    scale = np.sqrt(1 - swing * swing)
    along = (x - 24) * 0.88 - (y + 26) * 0.47
    across = (y + 26) * 0.88 + (x - 24) * 0.47
    heart = ellipse(along, across, 66 * scale, 50 * scale)
    return smooth_union(core, heart, 14)


def lungs(x: FloatImage, y: FloatImage, z: Heights) -> FloatImage:
    """Distance to the lungs (both; the mediastinum parts them)."""
    wobble = _LUNG_WAVES.at(x, y, z) * np.float32(1.6)
    outside = smooth_intersection(cavity(x, y, z), -mediastinum(x, y, z) + wobble, 16)
    return smooth_intersection(outside, -below_diaphragm(x, y, z) + wobble, 10)


def ribs(x: FloatImage, y: FloatImage, z: float, depth: FloatImage) -> tuple[FloatImage, FloatImage]:
    """How far each point is from the nearest rib and from the nearest costal cartilage, 1 on the surface.

    ``depth`` is the distance to the cavity. A rib slopes: it leaves the spine high and reaches the front
    lower, so that an axial slice cuts each rib in a short arc.
    """
    angle = np.arctan2(np.abs(x), y - cavity_middle(z))  # 0 at the back, pi in front
    fall = 78 * np.sin(angle / 2) ** np.float32(1.4) + 2.5 * np.tanh(x / 20)  # nobody is quite symmetric
    number = np.clip(np.round((FIRST_RIB_Z - z - fall) / RIB_PITCH), 0, 11)
    height = (z + fall - FIRST_RIB_Z + number * RIB_PITCH) * np.float32(0.85)
    radius = np.sqrt((height / 6.6) ** 2 + ((depth - 5.5) / 4.0) ** 2)
    end = np.interp(number, (0, 1, 8, 9, 10, 11), (2.3, 2.3, 2.2, 2.0, 1.6, 1.2)).astype(np.float32)
    bone = np.maximum(np.maximum(radius, 1 + (angle - end) * 8), 1 + (19 - np.abs(x)) / 4)
    gristle = np.maximum(radius, 1 + np.maximum(end - angle, angle - 2.95) * 8) + np.float32(10) * (
        number > 9
    )
    return bone, gristle
