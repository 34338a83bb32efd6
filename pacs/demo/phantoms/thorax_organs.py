"""The organs of the chest that are tubes and ellipsoids, each with its density in Hounsfield units (HU)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pacs.demo.phantoms.drawing import Capsule, Ellipsoid, Shape, tube
from pacs.demo.phantoms.thorax_shape import below_diaphragm, lungs
from pacs.demo.phantoms.vessels import Points, grow_tree, scatter


@dataclass(frozen=True)
class Blood:
    """Density of blood by place, in HU: with contrast medium it differs, without it does not."""

    veins: float
    right_heart: float
    lung_arteries: float
    left_heart: float
    aorta: float
    muscle_of_heart: float
    liver: float
    liver_vessels: float
    spleen: float


WITH_CONTRAST = Blood(230, 178, 200, 214, 222, 112, 90, 126, 116)
WITHOUT_CONTRAST = Blood(41, 40, 41, 41, 42, 46, 58, 40, 50)


@dataclass(frozen=True)
class Organ:
    """Parts painted with one density."""

    density: float
    parts: tuple[Shape, ...]


AORTA = (
    *tube([(6, -14, 112), (-4, -22, 135), (-12, -24, 165), (-10, -22, 188)], 13, 16, 16, 15.5),
    *tube([(-10, -22, 188), (-4, -16, 203), (8, -2, 210)], 15, 14.5, 14),
    *tube([(8, -2, 210), (20, 16, 205), (27, 29, 192)], 14, 13.5, 13),
    *tube([(27, 29, 192), (30, 32, 160), (28, 32, 110)], 13, 12.5, 12),
    *tube([(28, 32, 110), (20, 28, 60), (10, 22, 20), (6, 18, -20)], 12, 11.5, 11, 10.5),
)  # fmt: skip
ARCH_BRANCHES = (
    *tube([(-6, -15, 208), (-14, -12, 232), (-24, -6, 255), (-32, -2, 300)], 6.5, 6, 5.5, 4),
    *tube([(-24, -6, 255), (-45, 2, 266), (-85, -8, 272), (-130, -10, 278)], 5, 4.5, 4.5, 4),
    *tube([(8, -4, 215), (12, -5, 240), (22, -5, 275), (26, -4, 300)], 4.5, 4, 4, 4),
    *tube([(18, 10, 212), (24, 10, 240), (34, 6, 262), (62, 0, 270), (130, -8, 278)], 5.5, 5, 5, 4.5, 4),
)
PULMONARY_ARTERIES = (
    *tube([(14, -36, 128), (20, -30, 148), (20, -20, 164)], 14, 14, 13.5),
    *tube([(18, -16, 162), (-4, -2, 160), (-28, 4, 156), (-44, 8, 148)], 11.5, 10.5, 10, 8),
    *tube([(22, -14, 164), (36, 2, 168), (48, 14, 162)], 11, 10, 8),
)
VEINS = (
    *tube([(-28, -12, 112), (-29, -14, 150), (-27, -20, 215)], 10.5, 9.5, 9),
    *tube([(-27, -20, 215), (-32, -20, 245), (-60, -14, 262), (-130, -6, 272)], 8, 7, 6, 5),
    *tube([(-27, -20, 215), (0, -32, 222), (24, -28, 232), (44, -20, 255), (130, 0, 270)], 7.5, 7, 6.5, 6, 5),
    *tube([(-9, 30, -10), (-9, 31, 180), (-18, 20, 192), (-27, -8, 192)], 3.6, 3.8, 4, 4),
)
LOWER_CAVA = tube([(-22, 6, -20), (-22, 4, 50), (-24, -4, 90)], 13, 12.5, 12)
CRURA = (
    *tube([(-12, 24, -20), (-13, 22, 30), (-8, 8, 62)], 4.5, 4.5, 3),
    *tube([(18, 32, -20), (22, 28, 30), (20, 10, 62)], 4.0, 4.0, 3),
)
COLON_WALL = (*tube([(104, -38, -10), (92, -62, 22), (70, -74, 36), (44, -74, 22), (30, -70, -10)], 17),)
COLON = (*tube([(104, -38, -10), (92, -62, 22), (70, -74, 36), (44, -74, 22), (30, -70, -10)], 15),)
PULMONARY_VEINS = (
    *tube([(-14, 16, 122), (-44, 12, 128)], 6.5, 5.5),
    *tube([(-14, 18, 112), (-42, 30, 108)], 6.5, 5),
    *tube([(28, 18, 126), (50, 8, 132)], 6.5, 5),
    *tube([(26, 22, 114), (48, 34, 106)], 6.5, 5),
)
HEART_MUSCLE: tuple[Shape, ...] = (
    Ellipsoid((42, -28, 86), (47, 32, 36), -32),
    Ellipsoid((10, -38, 96), (40, 30, 38), -20),
    Ellipsoid((-22, -18, 104), (27, 29, 33)),
    Ellipsoid((6, 0, 118), (33, 18, 24)),
)
LEFT_HEART: tuple[Shape, ...] = (
    Ellipsoid((43, -27, 86), (37, 20, 25), -32),
    Ellipsoid((6, 0, 118), (31, 16, 22)),
    *tube([(16, -14, 104), (6, -14, 114)], 11, 13),
)
RIGHT_HEART: tuple[Shape, ...] = (
    Ellipsoid((6, -47, 92), (36, 17, 31), -14),
    Ellipsoid((-23, -18, 104), (25, 27, 31)),
    *tube([(10, -46, 108), (14, -38, 128)], 13, 14),
)
CORONARY_CALCIUM = (
    *tube([(24, -46, 118), (33, -52, 108)], 1.5),
    *tube([(12, -24, 117), (18, -27, 116)], 1.3),
)
OESOPHAGUS = tube([(3, 22, 300), (5, 21, 205), (5, 20, 150), (10, 19, 95), (24, 4, 72)], 6, 6, 5.5, 6.5, 8)
AIRWAY_LUMEN = (
    *tube([(0, 4, 320), (-1, 8, 230), (-2, 12, 184)], 8.5, 8.3, 8.5),
    *tube([(-3, 12, 184), (-22, 16, 164), (-36, 16, 150)], 7.5, 6.5, 5.5),
    *tube([(-36, 16, 150), (-44, 24, 120), (-52, 38, 92)], 5.5, 4, 2.5),
    *tube([(-26, 16, 162), (-44, 8, 172), (-56, -2, 190)], 4.5, 3.5, 2),
    *tube([(0, 12, 184), (22, 19, 164), (42, 22, 150), (50, 30, 118), (58, 42, 92)], 6.5, 6, 5, 3.8, 2.4),
    *tube([(36, 20, 154), (50, 8, 166), (58, -2, 184)], 4.2, 3.4, 2),
)  # fmt: skip
AIRWAY_WALL = tuple(
    Capsule(part.start, part.end, part.start_radius + 1.4, part.end_radius + 1.1) for part in AIRWAY_LUMEN
)
NODES = tuple(
    Ellipsoid(centre, (4.0, 3.2, 5.0))
    for centre in ((-14, 2, 196), (14, 14, 178), (-6, -32, 200), (20, -8, 190), (-2, 24, 172), (48, -70, 205))
)
SPLEEN: tuple[Shape, ...] = (Ellipsoid((92, 36, 34), (25, 44, 46), -38),)
STOMACH_WALL: tuple[Shape, ...] = (
    Ellipsoid((66, -8, 40), (36, 44, 44), -28),
    *tube([(60, -6, 26), (48, -34, 8), (26, -48, -20)], 24, 25, 23),
)
STOMACH: tuple[Shape, ...] = (
    Ellipsoid((66, -8, 40), (32.5, 40.5, 40.5), -28),
    *tube([(60, -6, 26), (48, -34, 8), (26, -48, -20)], 20.5, 21.5, 19.5),
)


def organs_of_mediastinum(blood: Blood) -> tuple[Organ, ...]:
    """Heart, vessels, airways and gullet, in the order in which they are painted."""
    return (
        Organ(blood.muscle_of_heart, HEART_MUSCLE),
        Organ(blood.veins, VEINS),
        Organ(blood.liver_vessels, tuple(LOWER_CAVA)),
        Organ(blood.right_heart, RIGHT_HEART),
        Organ(blood.left_heart, (*LEFT_HEART, *PULMONARY_VEINS)),
        Organ(blood.lung_arteries, PULMONARY_ARTERIES),
        Organ(blood.aorta, (*AORTA, *ARCH_BRANCHES)),
        Organ(620, CORONARY_CALCIUM),
        Organ(44, tuple(OESOPHAGUS)),
        Organ(48, NODES),
        Organ(30, AIRWAY_WALL),
        Organ(-990, AIRWAY_LUMEN),
    )


def organs_of_abdomen(blood: Blood) -> tuple[Organ, ...]:
    """Spleen, stomach and colon without their gas, and the pillars of the diaphragm."""
    return (
        Organ(blood.spleen, SPLEEN),
        Organ(48, COLON_WALL),
        Organ(20, COLON),
        Organ(62, STOMACH_WALL),
        Organ(16, STOMACH),
        Organ(56, CRURA),
    )


def lung_vessels(seed: int, leaves: int) -> tuple[Capsule, ...]:
    """Arteries and veins of both lungs, from their roots at the hila to twigs of 0.6 mm."""
    rng = np.random.default_rng(seed)
    trees: list[Capsule] = []
    for side, roots in ((-1, ((-46, 10, 146), (-44, 20, 118))), (1, ((50, 16, 160), (50, 22, 118)))):
        low, high = ((-135, -95, 0), (-8, 80, 295)) if side < 0 else ((8, -95, 0), (135, 80, 295))
        for root, root_radius in zip(roots, (6.5, 5.0), strict=True):
            targets = scatter(rng, _deep_in_lungs, low, high, leaves)
            trees += grow_tree(root, targets, 0.45, root_radius)
    return tuple(trees)


def _deep_in_lungs(points: Points) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    x, y, z = (points[:, axis].astype(np.float32) for axis in range(3))
    return lungs(x, y, z) < -4


def liver_vessels(seed: int) -> tuple[Capsule, ...]:
    """Veins of the liver."""
    rng = np.random.default_rng(seed)
    targets = scatter(rng, _in_liver, (-120, -70, -20), (20, 60, 90), 150)
    return tuple(grow_tree((-24, 0, 82), targets, 1.1, 6.5))


def _in_liver(points: Points) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    x, y, z = (points[:, axis].astype(np.float32) for axis in range(3))
    return (below_diaphragm(x, y, z) < -12) & (
        ((x + 52) / 62) ** 2 + (y / 55) ** 2 + ((z - 20) / 75) ** 2 < 1
    )
