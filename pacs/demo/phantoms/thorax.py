"""Axial slices of a chest in Hounsfield units (HU)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pacs.demo.phantoms import thorax_organs as organs
from pacs.demo.phantoms import thorax_shape as shape
from pacs.demo.phantoms.drawing import (
    Bundle,
    Capsule,
    Cut,
    Ellipsoid,
    FloatImage,
    Grid,
    Point,
    Shape,
    coverage,
    double,
    ellipse,
    paint,
    smooth_intersection,
)
from pacs.demo.phantoms.noise import Waves, blur, textured_noise
from pacs.demo.phantoms.thorax_bones import paint_bones
from pacs.demo.phantoms.thorax_wall import FAT, MUSCLE, SEPTA, paint_table, paint_wall

FIELD_OF_VIEW_MM = 376.0
SIZE = 512

NODULE: Point = (-84.0, 22.0, 212.0)  # in the right upper lobe

_AIR = -1000.0
_EDGE_MM = 1.3  # width of an edge: what the scanner's focus, detector and kernel blur
_FLUID_LEVEL_Y = -26.0  # of the stomach, in a patient who lies on the back
_PARENCHYMA = Waves(23, 13, waves=10)


@dataclass(frozen=True)
class Thorax:
    """One chest.

    Parameters
    ----------
    seed
        Chooses the tree of vessels and the small irregularities.
    blood
        Densities with or without contrast medium.
    nodule_mm
        Diameter of the nodule in the right upper lobe.
    noise_hu
        Standard deviation of the noise in the middle of the body.
    slice_mm
        Thickness of the slices.
    """

    seed: int
    blood: organs.Blood
    nodule_mm: float
    noise_hu: float = 13.0
    slice_mm: float = 5.0

    @cached_property
    def grid(self) -> Grid:
        """Pixel centres of a slice."""
        return Grid(SIZE, SIZE, FIELD_OF_VIEW_MM / SIZE)

    @cached_property
    def _coarse(self) -> Grid:
        """Half the resolution: enough for surfaces, whose distances are smooth."""
        return Grid(SIZE // 2, SIZE // 2, 2 * FIELD_OF_VIEW_MM / SIZE)

    @cached_property
    def _vessels(self) -> Bundle:
        return Bundle(organs.lung_vessels(self.seed, leaves=900))

    @cached_property
    def _liver_vessels(self) -> Bundle:
        return Bundle(organs.liver_vessels(self.seed + 1))

    @cached_property
    def _organs(self) -> tuple[organs.Organ, ...]:
        return organs.organs_of_mediastinum(self.blood)

    @cached_property
    def _noise_tile(self) -> FloatImage:
        return textured_noise(np.random.default_rng(self.seed), (SIZE, SIZE), 0.05, 0.30)

    def slice_hu(self, z: float) -> FloatImage:
        """Slice at the height ``z`` mm above the first one, (512, 512), in HU."""
        image = np.full((SIZE, SIZE), _AIR, np.float32)
        cut = Cut(self.grid, self._coarse, z, self.slice_mm, _EDGE_MM)
        depth = shape.cavity(cut.coarse.x, cut.coarse.y, z)
        skin = shape.body(cut.coarse.x, cut.coarse.y, z)
        paint_table(image, cut)
        paint_wall(image, cut, depth, skin)
        self._paint_abdomen(image, cut, depth)
        _paint_mediastinal_fat(image, cut, depth)
        self._paint_lungs(image, cut)
        for organ in self._organs:
            cut.paint_parts(image, organ.density, organ.parts)
        paint_bones(image, cut, depth, skin)
        return self._as_scanned(image, z)

    def _paint_abdomen(self, image: FloatImage, cut: Cut, depth: FloatImage) -> None:
        septa = SEPTA.at(cut.coarse.x, cut.coarse.y, cut.z)
        cut.paint_shape(image, FAT + 4 + 6 * septa, depth)
        belly = np.maximum(shape.below_diaphragm(cut.coarse.x, cut.coarse.y, cut.z), depth)
        if belly.min() > 0:
            return
        layer = image.copy()
        cut.paint_shape(layer, self.blood.liver + 3 * septa, _liver(cut, belly, septa))
        cut.paint_parts(layer, self.blood.liver_vessels, self._liver_vessels.at(cut.z, cut.slab_mm))
        for organ in organs.organs_of_abdomen(self.blood):
            cut.paint_parts(layer, organ.density, organ.parts)
        _paint_gas(layer, cut)
        cut.paint_shape(image, MUSCLE, belly)  # the diaphragm
        paint(image, layer, coverage(double(belly + 2.6), cut.edge_mm))

    def _paint_lungs(self, image: FloatImage, cut: Cut) -> None:
        x, y = cut.coarse.x, cut.coarse.y
        tissue = -868 + 30 * (y / 80) + 9 * _PARENCHYMA.at(x, y, cut.z)
        paint(tissue, -735.0, coverage(np.abs(_fissure(cut)) - 0.5, 3.0))
        lung = double(tissue)
        full = self.blood.lung_arteries - 20
        for vessel in self._vessels.at(cut.z, cut.slab_mm):
            fill = min(1.0, vessel.end_radius / 1.5)  # a twig fills only a part of a voxel
            cut.paint_parts(lung, full - (full + 870) * (1 - fill), [vessel])
        cut.paint_parts(lung, 32.0, _nodule(self.nodule_mm / 2))
        paint(image, lung, coverage(double(shape.lungs(x, y, cut.z)), cut.edge_mm))

    def _as_scanned(self, image: FloatImage, z: float) -> FloatImage:
        """Add what the scanner adds: blur, noise that grows towards the middle of the body."""
        image = blur(image, 0.13)
        rng = np.random.default_rng((self.seed, round(z * 10)))
        shifts = tuple(rng.integers(0, SIZE, size=2).tolist())
        noise = np.roll(self._noise_tile, shifts, axis=(0, 1))
        if rng.random() < 0.5:
            noise = noise[::-1]
        radius = (self.grid.x / 200) ** 2 + (self.grid.y / 150) ** 2
        amplitude = self.noise_hu * (0.55 + 0.6 * np.exp(-2.2 * radius))
        scanned: FloatImage = image + noise * amplitude
        return scanned


def _liver(cut: Cut, belly: FloatImage, septa: FloatImage) -> FloatImage:
    height = max(0.05, 1 - ((cut.z - 25) / 92) ** 2) ** 0.5
    outline = ellipse(cut.coarse.x + 54, cut.coarse.y + 4, 98 * height, 88 * height)
    margin = (cut.coarse.x - 26) * np.float32(0.8) + (cut.coarse.y + 20) * np.float32(0.6) + 2 * septa
    return np.maximum(smooth_intersection(outline, margin, 14), belly + 2)


def _paint_gas(layer: FloatImage, cut: Cut) -> None:
    """Fill stomach and colon with gas down to the fluid's level."""
    level = cut.grid.window((0, 0), (_FLUID_LEVEL_Y, _FLUID_LEVEL_Y))[0].start
    fluid = layer[level:].copy()
    cut.paint_parts(layer, -960.0, (*organs.STOMACH, *organs.COLON))
    layer[level:] = fluid


def _paint_mediastinal_fat(image: FloatImage, cut: Cut, depth: FloatImage) -> None:
    x, y = cut.coarse.x, cut.coarse.y
    sac = np.maximum(shape.mediastinum(x, y, cut.z) + 1.5, depth)
    middle = np.maximum(sac, -shape.below_diaphragm(x, y, cut.z))
    septa = SEPTA.at(x, y, cut.z)
    cut.paint_shape(image, FAT + 12 + 8 * septa + 250 * np.maximum(0.12 - np.abs(septa), 0), middle)
    if 62 < cut.z < 150:  # the heart's sac: a thin line in the fat
        cut.paint_shape(image, -20.0, np.maximum(np.abs(middle + 4.5) - 0.5, y - 5))


def _fissure(cut: Cut) -> FloatImage:
    """Distance to the oblique fissures: planes that fall from the back to the front."""
    bend = 5 * np.sin(cut.coarse.x / np.float32(24))
    distance: FloatImage = (cut.z - 152 - (cut.coarse.y + bend) * np.float32(1.05)) * np.float32(0.69)
    return distance


def _nodule(radius: float) -> list[Shape]:
    """Make a nodule with fine spicules and a tail to the pleura."""
    x, y, z = NODULE
    parts: list[Shape] = [Ellipsoid(NODULE, (radius, radius * 0.88, radius))]
    for turn in (np.arange(9) * 0.698 + 0.3).tolist():
        reach = radius * (1.45 + 0.35 * math.sin(5 * turn))
        tip = (x + reach * math.cos(turn), y + reach * math.sin(turn), z + 3 * math.sin(3 * turn))
        parts.append(Capsule(NODULE, tip, radius * 0.4, 0.25))
    parts.append(Capsule(NODULE, (x - 20, y + 12, z), 1.2, 0.5))
    return parts
