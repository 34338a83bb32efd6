"""Axial slices of a head as an MR scanner weights them, in units of which 100 is about the brightest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pacs.demo.phantoms import brain_parts as parts
from pacs.demo.phantoms.brain_parts import Part, Tissue, Weighting
from pacs.demo.phantoms.drawing import (
    Ellipsoid,
    FloatImage,
    Grid,
    coverage,
    ellipse,
    paint,
    smooth_intersection,
    smooth_union,
)
from pacs.demo.phantoms.noise import Waves, blur

FIELD_OF_VIEW_MM = 230.0
SIZE = 256
EDGE_MM = 1.1
_SLAB_MM = 3.0

_LEVELS = (-75.0, -50.0, -30.0, -15.0, 0.0, 15.0, 30.0, 45.0, 58.0, 68.0, 75.0, 80.0, 90.0)
_VAULT_WIDTH = (58.0, 62.0, 65.0, 67.5, 69.0, 69.0, 66.5, 60.0, 50.0, 37.0, 24.0, 12.0, 2.0)
_VAULT_LENGTH = (74.0, 78.0, 82.0, 85.0, 87.0, 87.5, 85.0, 78.0, 66.0, 50.0, 33.0, 17.0, 3.0)
_CORTEX_MM = 3.2


@dataclass(frozen=True)
class Brain:
    """One head.

    Parameters
    ----------
    seed
        Chooses the folds of the cortex and the noise.
    atrophy_mm
        How much wider than in a young brain furrows and ventricles are.
    has_lesion
        Puts a lesion with a halo into the left parietal white matter, and a few dots.
    noise
        Standard deviation of each of the receiver's two channels.
    """

    seed: int
    atrophy_mm: float = 0.0
    has_lesion: bool = True
    noise: float = 1.5

    @cached_property
    def grid(self) -> Grid:
        """Pixel centres of a slice."""
        return Grid(SIZE, SIZE, FIELD_OF_VIEW_MM / SIZE)

    @cached_property
    def _folds(self) -> Waves:
        return Waves(self.seed, 18, waves=20)

    @cached_property
    def _swell(self) -> Waves:
        return Waves(self.seed + 1, 48, waves=8)

    @cached_property
    def _coil(self) -> Waves:
        return Waves(self.seed + 2, 260, waves=5)

    def slice_signal(self, z: float, weighting: Weighting) -> FloatImage:
        """Slice at ``z`` mm above the third ventricle, (256, 256)."""
        image = np.full((SIZE, SIZE), weighting[Tissue.AIR], np.float32)
        cerebrum, cerebellum = self._cerebrum(z), self._cerebellum(z)
        self._paint_head(image, z, weighting, np.minimum(cerebrum, cerebellum))
        self._paint_cerebellum(image, z, weighting, cerebellum)
        self._paint_cerebrum(image, z, weighting, cerebrum)
        for part in parts.deep_parts(self.atrophy_mm, self.has_lesion):
            self._paint_part(image, z, weighting, part)
        return self._as_received(image, z, weighting)

    def _vault(self, z: float, grow: float = 0.0) -> FloatImage:
        width = float(np.interp(z, _LEVELS, _VAULT_WIDTH)) + grow
        length = float(np.interp(z, _LEVELS, _VAULT_LENGTH)) + grow
        x, y = self.grid.x, self.grid.y - 4
        egg = 1 + 0.0010 * y  # heads are wider behind the ears than at the forehead
        return ellipse(x / egg, y, width, length)

    def _cerebrum(self, z: float) -> FloatImage:
        """Distance to the surface of both hemispheres, which rest on the skull's base and the tentorium."""
        x, y = np.abs(self.grid.x), self.grid.y
        forehead = 1 / (1 + np.exp((y + 22 + 13 * np.exp(-((x / 15) ** 2))) / 5))
        floor = -15 - 9 * forehead + self._tentorium_share() * (self._tentorium() + 15)
        upper = smooth_intersection(self._vault(z) + 2.2, (floor - z) * np.float32(0.85), 4)
        temporal = Ellipsoid((41, -4, -22), (24, 36, 25), -10).distance(x, y, z)
        if temporal is None:
            return upper
        return smooth_union(upper, np.maximum(temporal, self._vault(z) + 2.2), 6)

    def _tentorium(self) -> FloatImage:
        """Height of the tent over the cerebellum: a ridge that falls to both sides and to the back."""
        height: FloatImage = 7 - 0.30 * np.abs(self.grid.x) - 0.38 * np.maximum(self.grid.y - 26, 0)
        return height

    def _tentorium_share(self) -> FloatImage:
        share: FloatImage = 1 / (1 + np.exp((24 - self.grid.y) / 4))
        return share

    def _cerebellum(self, z: float) -> FloatImage:
        body = Ellipsoid((0, 42, -30), (51, 39, 34)).distance(self.grid.x, self.grid.y, z)
        if body is None:
            return np.full((SIZE, SIZE), 99, np.float32)
        notch = 9 * np.exp(-((self.grid.x / 5) ** 2)) * (self.grid.y > 52)
        tent = (z - self._tentorium() + 0.6) * np.float32(0.9)
        return smooth_intersection(np.maximum(body + notch, self._vault(z) + 2.2), tent, 3)

    def _paint_head(self, image: FloatImage, z: float, weighting: Weighting, brain: FloatImage) -> None:
        """Paint scalp, muscles, bone with marrow, and the water around the brain."""
        wave = self._swell.at(self.grid.x, self.grid.y, z)
        scalp = self._vault(z, 13.5)
        face = max(0.0, min(1.0, (-12 - z) / 30))
        jaw = ellipse(self.grid.x, self.grid.y + 46, 62, 62) + 200 * (1 - face)
        nose = ellipse(self.grid.x, self.grid.y + 103, 12, 11) + (200 if z > -40 else 0)
        skin = smooth_union(smooth_union(scalp, jaw, 12), nose, 8)
        paint(image, weighting[Tissue.SKIN], coverage(skin, EDGE_MM))
        paint(image, weighting[Tissue.FAT] * (1 + 0.06 * wave), coverage(skin + 2, EDGE_MM))
        vault = self._vault(z)
        for muscle in self._muscles(z, vault, wave):
            paint(
                image,
                weighting[Tissue.MUSCLE] * (1 + 0.08 * wave),
                coverage(np.maximum(muscle, skin + 4.5), 1.4),
            )
        if z < -14:
            base = np.maximum(vault - 3, skin + 9)
            paint(image, weighting[Tissue.MUSCLE] * (1 + 0.25 * wave), coverage(base, 2))
        inside = vault if z > -14 else smooth_union(brain - 2.5, vault + 60, 3)
        thickness = 6.5 + wave
        bone = np.maximum(inside - thickness, skin + 4)
        paint(image, weighting[Tissue.BONE], coverage(bone, EDGE_MM))
        marrow = np.abs(inside - thickness * 0.52) - thickness * 0.20
        paint(image, weighting[Tissue.MARROW], coverage(np.maximum(marrow, skin + 5), EDGE_MM))
        for part in parts.SKULL_BASE:
            self._paint_part(image, z, weighting, part)
        paint(image, weighting[Tissue.WATER], coverage(inside, EDGE_MM))

    def _muscles(self, z: float, vault: FloatImage, wave: FloatImage) -> list[FloatImage]:
        x, y = np.abs(self.grid.x), self.grid.y
        temporal = np.maximum(np.abs(y + 20) - 34 + np.abs(z + 8) * 0.5, vault - 12) + (
            50 if abs(z + 8) > 40 else 0
        )
        nape = np.maximum(ellipse(x - 24, y - 74, 26, 20), vault - 16) + (0 if z < -32 else 50)
        return [np.maximum(temporal, 55 - x), nape + wave]

    def _paint_cerebellum(
        self, image: FloatImage, z: float, weighting: Weighting, surface: FloatImage
    ) -> None:
        if surface.min() > 0:
            return
        x, y = self.grid.x, self.grid.y
        share = coverage(surface, EDGE_MM)
        paint(image, weighting[Tissue.GREY], share)
        bent = np.hypot(np.abs(x) * 0.72, y - 14) + 2.2 * self._swell.at(x, y, z)
        leaf = np.abs(np.mod(bent, np.float32(4.6)) - 2.3)
        white = coverage(np.maximum(surface + 5.5, 1.25 - leaf + np.clip(16 + surface, 0, 3)), 1.6)
        core = coverage(ellipse(np.abs(x) - 20, y - 34, 19, 13) + 3 + (z + 30) ** 2 / 40, 6)
        furrow = coverage(np.maximum(leaf - 0.4, -surface - 8), 1.3)
        paint(image, weighting[Tissue.WHITE], np.maximum(white * 0.75, core) * share)
        paint(image, weighting[Tissue.WATER], furrow * share * np.float32(0.75))

    def _paint_cerebrum(self, image: FloatImage, z: float, weighting: Weighting, surface: FloatImage) -> None:
        if surface.min() > 0:
            return
        x, y = self.grid.x, self.grid.y
        swell = self._swell.at(x, y, z)
        core = Ellipsoid((0, 2, 4), (24, 33, 27)).distance(x, y, z)
        midline = np.float32(0.5 + self.atrophy_mm * 0.4) - np.abs(x + 0.6 * swell)
        if core is not None:
            midline = np.minimum(midline, core)
        depth = -np.maximum(surface, midline)
        furrow = self._furrows(z, depth) + np.maximum(0, depth - 20 - 5 * swell)
        nuclei = Ellipsoid((0, 0, 8), (40, 46, 26)).distance(x, y, z)
        if nuclei is not None:  # furrows do not reach the nuclei
            furrow = furrow + np.maximum(0, -nuclei)
        furrow = np.minimum(furrow, self._sylvian(z, swell))
        ribbon = np.minimum(depth, furrow)
        share = coverage(surface, EDGE_MM)
        paint(image, weighting[Tissue.WHITE] * (1 + 0.015 * swell), share)
        thickness = _CORTEX_MM + 0.3 * swell
        paint(image, weighting[Tissue.GREY], coverage(ribbon - thickness, 1.9) * share)
        opening = 0.42 + self.atrophy_mm * 0.6 + 0.25 * swell - 0.035 * np.maximum(depth, 0)
        water = coverage(np.minimum(furrow - opening, depth), 1.2)
        paint(image, weighting[Tissue.WATER], water * share)

    def _furrows(self, z: float, depth: FloatImage) -> FloatImage:
        """Distance to the nearest furrow: where a smooth field crosses zero.

        The field is looked up nearer to the hemisphere's surface than the point lies, so that furrows run
        inwards from the surface.
        """
        x, y = self.grid.x, self.grid.y
        side = np.sign(x) + np.float32(x == 0)
        out_x, out_y = np.abs(x) - 24, y - 4
        radius = np.hypot(out_x, out_y * np.float32(0.62)) + np.float32(4)
        stretch = ((radius + np.maximum(depth, 0)) / radius) ** np.float32(0.72)
        field = self._folds.at(side * (24 + out_x * stretch), 4 + out_y * stretch, 1.1 * z)
        by_row, by_column = np.gradient(field, self.grid.pixel_mm)
        steepness = np.hypot(by_row, by_column)
        distance: FloatImage = np.abs(field) / np.maximum(steepness, np.float32(0.08))
        return distance

    def _sylvian(self, z: float, swell: FloatImage) -> FloatImage:
        """Distance to the lateral fissure and to the furrow around the insula."""
        far = np.full((SIZE, SIZE), 99, np.float32)
        for fissure in parts.SYLVIAN:
            if fissure.reaches(z, 4):
                distance = fissure.distance(np.abs(self.grid.x) + swell, self.grid.y + 2 * swell, z, 4)
                far = np.minimum(far, distance)
        return far

    def _paint_part(self, image: FloatImage, z: float, weighting: Weighting, part: Part) -> None:
        for shape in part.shapes:
            shape.paint(image, self.grid, z, weighting[part.tissue], part.softness, _SLAB_MM)

    def _as_received(self, image: FloatImage, z: float, weighting: Weighting) -> FloatImage:
        """Blur, shade by the coil's sensitivity, and take the magnitude of a signal with noise."""
        image = blur(image, 0.12)
        radius = (self.grid.x / 115) ** 2 + (self.grid.y / 115) ** 2
        image *= 1 + 0.05 * self._coil.at(self.grid.x, self.grid.y, z) + 0.10 * (radius - 0.3)
        rng = np.random.default_rng((self.seed, round(z * 10) + 10_000, round(weighting[Tissue.WATER])))
        real, imaginary = rng.standard_normal((2, SIZE, SIZE), np.float32) * np.float32(self.noise)
        signal: FloatImage = np.hypot(image + real, imaginary)
        return signal
