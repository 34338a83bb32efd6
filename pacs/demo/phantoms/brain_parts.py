"""The parts of a head that are tubes and ellipsoids, and how bright tissues are under each weighting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from pacs.demo.phantoms.drawing import Capsule, Ellipsoid, Shape, both_sides, tube


class Tissue(Enum):
    """What a part is made of."""

    AIR = auto()
    BONE = auto()
    MARROW = auto()
    FAT = auto()
    SKIN = auto()
    MUSCLE = auto()
    WATER = auto()  # cerebrospinal fluid, vitreous humour
    GREY = auto()
    DEEP_GREY = auto()
    PALLIDUM = auto()  # iron darkens it on T2
    WHITE = auto()
    LESION = auto()
    HALO = auto()
    FLOW = auto()  # blood that has left the slice before it is read
    LENS = auto()


Weighting = Mapping[Tissue, float]

T1: Weighting = {
    Tissue.AIR: 0.5, Tissue.BONE: 5, Tissue.MARROW: 58, Tissue.FAT: 84, Tissue.SKIN: 48, Tissue.MUSCLE: 40,
    Tissue.WATER: 13, Tissue.GREY: 44, Tissue.DEEP_GREY: 50, Tissue.PALLIDUM: 60, Tissue.WHITE: 69,
    Tissue.LESION: 32, Tissue.HALO: 55, Tissue.FLOW: 14, Tissue.LENS: 40,
}  # fmt: skip
T2: Weighting = {
    Tissue.AIR: 0.5, Tissue.BONE: 4, Tissue.MARROW: 34, Tissue.FAT: 66, Tissue.SKIN: 36, Tissue.MUSCLE: 20,
    Tissue.WATER: 98, Tissue.GREY: 56, Tissue.DEEP_GREY: 49, Tissue.PALLIDUM: 33, Tissue.WHITE: 39,
    Tissue.LESION: 92, Tissue.HALO: 62, Tissue.FLOW: 6, Tissue.LENS: 12,
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Shapes of one tissue."""

    tissue: Tissue
    shapes: tuple[Shape, ...]
    softness: float = 1.2


SYLVIAN: tuple[Capsule, ...] = (
    *tube([(66, -14, -6), (54, -10, -2), (42, -8, 0)], 0.2),
    *tube([(66, 0, 6), (54, 2, 7), (42, 2, 6)], 0.2),
    *tube([(66, 14, 16), (52, 14, 15), (42, 12, 12)], 0.2),
    *tube([(40, -24, 4), (37, -6, 2), (39, 14, 8)], 0.2),
    *tube([(40, -22, 12), (38, -4, 12), (40, 16, 14)], 0.2),
)

SKULL_BASE: tuple[Part, ...] = (
    Part(Tissue.BONE, both_sides(Ellipsoid((31, -64, -34), (21, 27, 20), -12))),
    Part(Tissue.FAT, both_sides(Ellipsoid((31, -65, -34), (18, 24, 17), -12))),
    Part(
        Tissue.MUSCLE,
        both_sides(
            *tube([(43, -72, -33), (36, -56, -34), (22, -42, -34)], 1.8),
            *tube([(20, -74, -33), (20, -58, -34), (20, -42, -34)], 1.7),
        ),
    ),
    Part(Tissue.WHITE, both_sides(*tube([(31, -66, -34), (24, -50, -33), (12, -32, -26)], 2.0))),
    Part(Tissue.WATER, both_sides(Ellipsoid((32, -76, -34), (12, 12, 12)))),
    Part(Tissue.LENS, both_sides(Ellipsoid((32, -86, -34), (4.8, 2.4, 5)))),
    Part(Tissue.AIR, (Ellipsoid((0, -68, -38), (10, 24, 15)), Ellipsoid((2, -30, -40), (13, 12, 9)))),
    Part(Tissue.MUSCLE, tuple(tube([(0, -96, -45), (0, -42, -45)], 1.0)), 1.5),
    Part(Tissue.MUSCLE, both_sides(*tube([(5, -86, -38), (5, -50, -38)], 0.6)), 1.5),
    Part(Tissue.AIR, (Ellipsoid((-3, -86, -6), (13, 4.5, 9)),)),
    Part(Tissue.AIR, both_sides(Ellipsoid((29, -62, -68), (15, 17, 17)))),
    Part(Tissue.BONE, both_sides(*tube([(60, 14, -38), (36, 4, -36), (14, -8, -34)], 11, 9, 6))),
    Part(Tissue.AIR, both_sides(Ellipsoid((56, 22, -40), (8, 9, 10)), Ellipsoid((64, 6, -44), (8, 3, 4)))),
    Part(Tissue.BONE, both_sides(*tube([(52, 24, -48), (60, 20, -32)], 1.0))),
    Part(
        Tissue.WATER,
        both_sides(Ellipsoid((28, 2, -36), (2.6, 2.0, 3)), Ellipsoid((35, 8, -35), (3.2, 1.6, 3))),
    ),
)

_STEM = (
    Part(Tissue.WATER, (Ellipsoid((0, -15, -17), (15, 11, 7)), Ellipsoid((0, 0, -30), (23, 19, 16)))),
    Part(Tissue.WATER, (Ellipsoid((0, 14, -14), (21, 14, 8)),)),
    Part(Tissue.WHITE, (Ellipsoid((0, 12, -12), (10, 10, 9)), Ellipsoid((0, 3, -29), (17, 13, 13)))),
    Part(Tissue.WHITE, both_sides(Ellipsoid((10, 3, -11), (7, 6, 10), 35))),
    Part(Tissue.WHITE, both_sides(Ellipsoid((5, 21, -11), (4.5, 3.5, 6)))),
    Part(Tissue.WHITE, both_sides(*tube([(12, 8, -30), (24, 24, -32)], 6, 7))),
    Part(Tissue.WHITE, tuple(tube([(0, 8, -36), (0, 14, -60), (0, 16, -80)], 10, 7.5, 6.5))),
    Part(Tissue.DEEP_GREY, both_sides(Ellipsoid((5, 5, -11), (2.8, 2.8, 4)))),
    Part(Tissue.WATER, (Ellipsoid((0, 20, -12), (1.3, 1.3, 8)), Ellipsoid((0, 22, -30), (7.5, 4.2, 10)))),
    Part(Tissue.FLOW, tuple(tube([(0, -11, -20), (0, -12, -40)], 1.8))),
    Part(Tissue.FLOW, both_sides(Capsule((9, -21, -14), (11, -20, -34), 2.4, 2.6))),
    Part(Tissue.GREY, (Ellipsoid((0, -22, -25), (5, 4, 4)),)),
)  # fmt: skip

_NUCLEI = (
    Part(Tissue.WHITE, (Ellipsoid((0, -30, 9), (15, 6, 10)), Ellipsoid((0, 33, 14), (17, 6.5, 10))), 1.8),
    Part(Tissue.WHITE, (Ellipsoid((0, 0, 26), (13, 35, 5.5)),), 1.8),
    Part(Tissue.DEEP_GREY, both_sides(Ellipsoid((12.5, -19, 7), (5.5, 10, 11), -14)), 1.8),
    Part(Tissue.DEEP_GREY, both_sides(*tube([(15, -12, 15), (17, 4, 21), (20, 20, 19)], 4, 2.8, 1.8)), 1.8),
    Part(Tissue.DEEP_GREY, both_sides(Ellipsoid((9.5, 8, 5), (8.5, 14.5, 10), 24)), 2.0),
    Part(Tissue.DEEP_GREY, both_sides(Ellipsoid((25, -5, 3), (5.2, 15, 10), 14)), 1.8),
    Part(Tissue.PALLIDUM, both_sides(Ellipsoid((19, -3, 2), (3.8, 9, 7), 26)), 1.8),
    Part(Tissue.GREY, both_sides(Ellipsoid((33, -3, 4), (0.9, 15, 11), 6)), 1.4),
    Part(Tissue.GREY, both_sides(*tube([(27, -6, -24), (30, 12, -18), (26, 26, -4)], 5, 4, 2.5)), 1.6),
)


def _ventricles(wider: float) -> Part:
    half = wider * 0.6
    body = [(7 + half, -30, 4), (7 + half, -18, 12), (8 + half, 0, 20), (14, 22, 20)]
    back_horn = [(14, 22, 20), (23, 33, 8), (25, 56, 3)]
    lower_horn = [(25, 32, 4), (31, 14, -14), (32, -8, -22)]
    lateral = (
        *tube(body, 3.6 + wider, 4.4 + wider, 4.2 + wider, 5 + wider),
        Capsule((7 + half, -28, 8), (14 + half, -36, 5), 3.4 + wider, 1.6 + wider),
        *tube(back_horn, 5 + wider, 6.5 + wider, 1.6 + half),
        *tube(lower_horn, 3 + half, 1.8 + half, 1.4 + half),
    )
    third = Ellipsoid((0, 3, -1), (1.6 + half, 14, 10))
    cistern = tube([(0, 16, 2), (0, 38, -3)], 2.2 + half, 4.2 + half)
    return Part(Tissue.WATER, (*both_sides(*lateral), third, *cistern))


_CHOROID = Part(Tissue.GREY, both_sides(*tube([(15, 24, 18), (22, 32, 8)], 1.6, 2.2)), 1.6)
_LESIONS = (
    Part(Tissue.HALO, (Ellipsoid((27, 22, 31), (11, 14, 12), 20),), 5.0),
    Part(Tissue.LESION, (Ellipsoid((27, 22, 31), (5.2, 7.2, 7), 20),), 2.0),
    Part(
        Tissue.LESION,
        (Ellipsoid((-24, -18, 31), (2.2, 2.0, 3)), Ellipsoid((-27, 26, 26), (1.8, 2.4, 3))),
        1.6,
    ),
    Part(Tissue.LESION, (Ellipsoid((22, -32, 21), (2.0, 1.8, 3)),), 1.6),
)


def deep_parts(atrophy_mm: float, has_lesion: bool) -> Iterable[Part]:
    """Brain stem, nuclei, ventricles and, if asked for, the lesions, in the order of painting."""
    yield from _STEM
    yield from _NUCLEI
    yield _ventricles(atrophy_mm)
    yield _CHOROID
    if has_lesion:
        yield from _LESIONS
