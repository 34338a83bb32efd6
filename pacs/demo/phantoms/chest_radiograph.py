"""A chest as a flat detector sees it: path lengths through the body, added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pacs.demo.phantoms.drawing import (
    Capsule,
    FloatImage,
    Grid,
    Point,
    coverage,
    double,
    ellipse,
    smooth_intersection,
    smooth_union,
    tube,
)
from pacs.demo.phantoms.noise import Waves, blur, textured_noise
from pacs.demo.phantoms.projection import Shadow
from pacs.demo.phantoms.vessels import Points, grow_tree, scatter

ROWS, COLUMNS = 2400, 2000
PIXEL_MM = 0.175

_CAGE_LEVELS = (-175, -152, -140, -120, -90, -50, 0, 50, 100, 150, 210)
_CAGE_WIDTH = (0, 22, 48, 74, 97, 115, 127, 133, 135, 134, 130)
_BODY_LEVELS = (-210, -190, -172, -150, -120, -80, -40, 0, 60, 210)
_BODY_WIDTH = (64, 72, 120, 172, 205, 214, 190, 164, 160, 163)
_MIDDLE_LEVELS = (-210, -150, -110, -94, -82, -68, -55, -40, -20, 0, 20, 40, 58, 76, 95, 210)
_MIDDLE_RIGHT = (30, 27, 27, 27, 28, 29, 30, 31, 35, 41, 46, 48, 46, 40, 34, 30)
_MIDDLE_LEFT = (30, 26, 29, 38, 41, 34, 39, 43, 50, 64, 78, 88, 93, 91, 80, 60)


@dataclass(frozen=True)
class ChestRadiograph:
    """One chest radiograph, seen from the front; the patient's right is on the image's left.

    Parameters
    ----------
    seed
        Chooses the tree of vessels and the small irregularities.
    female
        Adds the shadow of the breasts.
    heart
        Width of the heart, 1 for a healthy one.
    consolidation
        Share of the right lower zone's air that an infiltrate replaces, 0 to 1.
    nodule_mm
        Diameter of a nodule in the right upper zone, 0 for none.
    """

    seed: int
    female: bool = False
    heart: float = 1.0
    consolidation: float = 0.0
    nodule_mm: float = 0.0

    @cached_property
    def grid(self) -> Grid:
        """Pixel centres at half of the detector's resolution; shadows are smooth enough."""
        return Grid(ROWS // 2, COLUMNS // 2, 2 * PIXEL_MM)

    def densities(self) -> FloatImage:
        """Brightness of a picture with white bones, (2400, 2000): 0 for air to 1 for thick bone."""
        lungs = self._lungs()
        soft = self._soft_tissue(lungs)
        shadow = Shadow(self.grid)
        self._draw_skeleton(shadow)
        return self._detect(blur(soft + shadow.image, 0.2))

    @cached_property
    def _wave(self) -> FloatImage:
        return Waves(self.seed, 70, waves=8).at(self.grid.x, self.grid.y, 0.0)

    def _profile(self, levels: tuple[float, ...], widths: tuple[float, ...]) -> FloatImage:
        rows = np.interp(self.grid.y[:, 0], levels, widths)
        kernel = np.hanning(71) / np.hanning(71).sum()
        smooth = np.convolve(np.pad(rows, 35, mode="edge"), kernel, mode="valid")
        return smooth.astype(np.float32)[:, np.newaxis]

    def _dome(self) -> FloatImage:
        """Height of the diaphragm, and how it falls to the costophrenic angles."""
        x = self.grid.x
        right = 66 + ((x + 58) / 66) ** 2 * 40 * np.where(x < -58, 1.0, 0.45)
        left = 80 + ((x - 66) / 60) ** 2 * 36 * np.where(x > 66, 1.0, 0.35)
        dome: FloatImage = np.where(x < 0, right, left).astype(np.float32)
        return dome

    def _lungs(self) -> FloatImage:
        """Distance to both lungs' outline."""
        x, y = self.grid.x, self.grid.y
        cage = (np.abs(x) - self._profile(_CAGE_LEVELS, _CAGE_WIDTH)) * np.float32(0.9)
        left = self._profile(_MIDDLE_LEVELS, _MIDDLE_LEFT)
        swollen = 1 + (self.heart - 1) * np.exp(-(((y - 35) / 55) ** 2))
        middle = np.where(x < 0, self._profile(_MIDDLE_LEVELS, _MIDDLE_RIGHT), left * swollen)
        beside = (middle + self._wave - np.abs(x)) * np.float32(0.85)
        lungs = smooth_intersection(cage, beside.astype(np.float32), 12)
        return smooth_intersection(lungs, (y - self._dome() - self._wave) * np.float32(0.9), 7)

    def _soft_tissue(self, lungs: FloatImage) -> FloatImage:
        x, y = self.grid.x, self.grid.y
        outline = smooth_union(np.abs(x) - self._profile(_BODY_LEVELS, _BODY_WIDTH), 400 - y, 1)
        edge = np.clip(-outline / 62, 0, 1)
        thickness = np.sqrt(np.clip(edge * (2 - edge), 0, 1)) * (0.88 + 0.12 * np.clip((y + 150) / 250, 0, 1))
        muscle = 0.05 * coverage(ellipse(np.abs(x) - 82, y + 62, 62, 52), 60)
        air = np.sqrt(np.clip(-lungs / 52, 0, 1)) * (0.58 + 0.05 * np.clip((y + 60) / 100, 0, 1))
        air *= 1 - 0.10 * self._wave * np.exp(-lungs / -40)
        air *= self._infiltrate()
        behind_heart = coverage(ellipse(x - 30 * self.heart, y - 40, 62 * self.heart, 60), 26)
        middle = 0.13 * np.exp(-((x / 30) ** 2)) + 0.11 * behind_heart
        hila = 0.075 * np.exp(-(((np.abs(x) - 40) / 13) ** 2) - ((y + 22 + 6 * np.sign(x)) / 24) ** 2)
        liver = 0.10 * np.clip((y - self._dome()) / 30, 0, 1) / (1 + np.exp((x - 14) / 14))
        tissue = 0.66 * thickness + muscle + middle * (outline < 0) + liver + hila - air
        tissue += self._breasts() + self._vessels(lungs) + self._nodule()
        tissue -= self._gas() + self._airways()
        texture: FloatImage = (tissue + 0.006 * self._wave).astype(np.float32)
        return texture

    def _breasts(self) -> FloatImage:
        if not self.female:
            return np.zeros((1, 1), np.float32)
        breast = ellipse(np.abs(self.grid.x) - 84, self.grid.y - 62, 62, 58)
        shadow: FloatImage = np.sqrt(np.clip(-breast / 50, 0, 1)) * np.float32(0.085)
        return shadow

    def _infiltrate(self) -> FloatImage:
        if not self.consolidation:
            return np.ones((1, 1), np.float32)
        cloud = Waves(self.seed + 5, 34, waves=12).at(self.grid.x, self.grid.y, 9.0)
        bulk = np.exp(-(((self.grid.x + 82) / 38) ** 2) - ((self.grid.y - 26) / 34) ** 2)
        share: FloatImage = 1 - self.consolidation * np.clip(bulk * (1.35 + 0.16 * cloud), 0, 1)
        return share

    def _gas(self) -> FloatImage:
        bubble = ellipse(self.grid.x - 70, self.grid.y - 110, 31, 18) + 3 * self._wave
        bubble = np.maximum(bubble, 96 + (self.grid.x - 72) ** 2 / 150 - self.grid.y)
        bowel = ellipse(self.grid.x - 106, self.grid.y - 158, 22, 27) + 5 * self._wave
        gas: FloatImage = 0.20 * np.sqrt(np.clip(-bubble / 16, 0, 1)) + 0.12 * np.sqrt(
            np.clip(-bowel / 18, 0, 1)
        )
        return gas

    def _airways(self) -> FloatImage:
        windpipe = Shadow(self.grid)
        for part in tube([(0, -215, 0), (-1, -140, 0), (-3, -72, 0)], 8.5):
            windpipe.cover(part, 0.010)
        for part in (
            *tube([(-3, -72, 0), (-26, -44, 0), (-36, -20, 0)], 7, 6, 4),
            *tube([(-3, -72, 0), (36, -48, 0)], 6, 5),
        ):
            windpipe.cover(part, 0.006)
        return windpipe.image

    def _vessels(self, lungs: FloatImage) -> FloatImage:
        rng = np.random.default_rng(self.seed)
        shadow = Shadow(self.grid)
        roots: tuple[tuple[Point, float], ...] = (
            ((-34, -30, 0), 4.8), ((-38, -6, 0), 4.8), ((38, -42, 0), 4.8), ((44, -14, 0), 4.8),
        )  # fmt: skip
        for (x, y, z), radius in roots:
            low: Point = (min(0.0, 3.6 * x), -150, -40)
            high: Point = (max(0.0, 3.6 * x), 100, 40)
            targets = scatter(rng, lambda points: self._within(points, lungs), low, high, 420)
            for vessel in grow_tree((x, y, z), targets, 0.5, radius):
                shadow.cover(vessel, 0.014 * min(1.0, vessel.end_radius / 1.2))
        return shadow.image * coverage(lungs, 9)

    def _within(self, points: Points, lungs: FloatImage) -> npt.NDArray[np.bool_]:
        rows = np.clip(points[:, 1] / self.grid.pixel_mm + self.grid.rows / 2, 0, self.grid.rows - 1)
        columns = np.clip(points[:, 0] / self.grid.pixel_mm + self.grid.columns / 2, 0, self.grid.columns - 1)
        return lungs[rows.astype(np.intp), columns.astype(np.intp)] < -5

    def _nodule(self) -> FloatImage:
        if not self.nodule_mm:
            return np.zeros((1, 1), np.float32)
        radius = self.nodule_mm / 2
        around = np.hypot(self.grid.x + 80, self.grid.y + 74) / radius + 0.12 * self._wave
        nodule: FloatImage = np.float32(0.085) * np.sqrt(np.clip(1 - around * around, 0, 1))
        return nodule

    def _draw_skeleton(self, shadow: Shadow) -> None:
        for side in (-1, 1):
            for number in range(12):
                self._draw_rib(shadow, number, side)
            clavicle = [(12, -112), (36, -118), (66, -130), (98, -142), (132, -146), (150, -140)]
            shadow.add_bone(_path(clavicle, side, (7.5, 6, 5.2, 5.2, 6, 6.5)), 0.0075)
            self._draw_shoulder(shadow, side)
        for stroke in tube([(146, -203, 0), (146, -189, 0), (154, -189, 0)], 1.3):  # the lead letter L
            shadow.cover(stroke, 0.9)
        for level in range(-9, 10):
            self._draw_vertebra(shadow, 23.5 * level - 4)

    def _draw_rib(self, shadow: Shadow, number: int, side: int) -> None:
        """Draw one rib: it leaves the spine, turns at the side of the chest and falls to the front."""
        ends = np.interp(number, (0, 1, 6, 8, 9, 10, 11), (2.55, 2.5, 2.35, 2.15, 1.8, 1.25, 0.9))
        turn = np.linspace(0.05, ends, 28)
        fall = np.interp(number, (0, 1, 3, 7, 11), (26, 44, 72, 92, 88))
        top = -143 + 21.5 * number
        width = np.interp(number, (0, 1, 2), (50, 82, 104)) if number < 3 else 0.0
        y = top + fall * np.sin(turn / 2) ** 1.7 - 5 * np.sin(2 * turn) + 1.2 * side
        if not width:
            width = float(np.interp(top + fall * 0.55, _CAGE_LEVELS, _CAGE_WIDTH)) + 2
        x = 8 + (width - 8) * np.sin(turn) ** 0.85
        radius = np.interp(turn, (0.05, 0.5, 1.6, ends), (4.6, 5.6, 5.6, 6.6))
        radius[-1] = 2.5
        points = list(zip(x.tolist(), y.tolist(), strict=True))
        shadow.add_bone(_path(points, side, tuple(radius.tolist())), 0.0058)

    @staticmethod
    def _draw_shoulder(shadow: Shadow, side: int) -> None:
        blade = [(118, -128), (104, -96), (110, -50), (121, -14), (130, -40), (141, -88), (148, -112)]
        shadow.add_bone(_path(blade, side, (3, 2.4, 2.2, 3, 3.4, 4, 6)), 0.006)
        shadow.add_bone(_path([(112, -112), (136, -132), (156, -146)], side, (3.5, 4, 6)), 0.005)
        shadow.add_sheet([(side * x, y) for x, y in blade], 0.03)
        shadow.add_bone(
            _path([(166, -118), (170, -112), (188, -40), (196, 10)], side, (21, 20, 12, 11)), 0.0035
        )

    @staticmethod
    def _draw_vertebra(shadow: Shadow, y: float) -> None:
        width = float(np.interp(y, (-200, 0, 200), (14, 15, 20)))
        shadow.add_block(0, y, width, 9.5, 0.026)
        shadow.add_bone([Capsule((0, y + 4, 0), (0, y + 11, 0), 2.6, 2.2)], 0.007)
        for side in (-1, 1):
            shadow.add_bone(
                [Capsule((side * width * 0.68, y - 3, 0), (side * width * 0.68, y - 2, 0), 3.2, 3.2)], 0.006
            )
            shadow.add_bone(
                [Capsule((side * width, y - 3, 0), (side * (width + 11), y - 5, 0), 3.6, 3.0)], 0.004
            )

    def _detect(self, absorbed: FloatImage) -> FloatImage:
        """Process the picture as consoles do, equalising thick and thin parts, and add noise."""
        small = absorbed[::8, ::8]
        broad = blur(small, 0.3, passes=40)
        wide = double(double(double(broad)))
        equalised = absorbed - 0.35 * wide + 0.16
        tone = 1 / (1 + np.exp(-6.2 * (equalised - 0.48)))
        picture = double(tone.astype(np.float32))
        rng = np.random.default_rng((self.seed, 1))
        tile = textured_noise(rng, (600, 500), 0.002, 0.4)
        noise = np.tile(tile, (ROWS // 600, COLUMNS // 500))
        picture += noise * (np.float32(0.0035) + np.float32(0.006) * picture)
        return np.clip(picture, 0, 1, out=picture)


def _path(points: Sequence[tuple[float, float]], side: int, radii: tuple[float, ...]) -> list[Capsule]:
    return tube([(side * x, y, 0.0) for x, y in points], *radii)
