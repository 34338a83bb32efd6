"""A beating heart seen from its apex: four chambers, with the flow through the mitral valve in colour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pacs.demo.phantoms.drawing import Capsule, FloatImage, coverage, ellipse, smooth_union
from pacs.demo.phantoms.noise import Waves
from pacs.demo.phantoms.ultrasound import (
    ACCENT,
    GREY_TEXT,
    ROWS,
    Fan,
    Screen,
    Speckle,
    as_screen,
    compress,
    depth_scale,
    grey_bar,
    write,
)

FRAMES = 30
FRAME_TIME_MS = 33.0
FAN = Fan(apex_row=26, skin_mm=0, depth_mm=160, half_angle_degrees=42, pixel_mm=0.385)

_DOPPLER_DEPTHS = (56.0, 132.0)
_DOPPLER_ANGLES = (-0.10, 0.36)


@dataclass(frozen=True)
class Echocardiogram:
    """One beat of a heart in ``FRAMES`` frames; ``seed`` chooses the speckle."""

    seed: int

    @cached_property
    def _speckle(self) -> Speckle:
        return Speckle(self.seed)

    @cached_property
    def _flow_grain(self) -> Waves:
        return Waves(self.seed + 1, 9, waves=10)

    @cached_property
    def _swell(self) -> FloatImage:
        """Some walls answer better than others, depending on how the beam meets them."""
        swell: FloatImage = 1 + 0.38 * Waves(self.seed + 2, 40, waves=8).at(FAN.x, FAN.y, 0.0)
        return swell.clip(0.15)

    def frames(self) -> Iterator[Screen]:
        """Screens of one beat, each (480, 640, 3) uint8."""
        for index in range(FRAMES):
            yield self._frame(index)

    def _frame(self, index: int) -> Screen:
        phase = index / FRAMES
        squeeze = _squeeze(phase)
        screen = as_screen(compress(self._echo(phase, squeeze), FAN, gain_db=-6.0, range_db=54.0))
        self._paint_flow(screen, phase, squeeze)
        _draw_console(screen)
        _draw_ecg(screen, phase)
        return write(screen, _TEXT)

    def _echo(self, phase: float, squeeze: float) -> FloatImage:
        """Amplitudes of the echoes, 1 for the strongest."""
        x, y = FAN.x, FAN.y
        base = np.float32(squeeze * 11)  # the valves' plane moves towards the apex
        moved = y + base * np.clip((y - 20) / 80, 0, 1) * np.clip((170 - y) / 60, 0, 1)
        cavities = self._cavities(x, moved, squeeze)
        muscle = ellipse(x, moved - 93, 53 + 0.06 * (moved - 90), 84)
        inside = coverage(cavities, 3.2)
        tissue = 0.035 + 0.105 * coverage(muscle, 8)
        tissue = tissue * (1 - inside) + np.float32(0.004) * inside
        lining = np.exp(-((cavities / np.float32(1.5)) ** 2)) * 0.22 * coverage(muscle - 6, 8)
        sac = 0.34 * np.exp(-(((muscle - 1.5) / 2.0) ** 2))
        echo = tissue + lining + sac
        for leaflet in self._leaflets(phase, base):
            echo += 0.55 * coverage(leaflet.distance(x, y, 0.0, 0.0), 2.0)
        grain = self._speckle.at(FAN.depth + base * 0.8, FAN.angle * (1 + np.float32(0.10 * squeeze)))
        loss = np.exp(-FAN.depth / 210) * (0.55 + 0.45 * np.cos(FAN.angle * 1.75))
        near = 0.5 * np.exp(-FAN.depth / 6)
        amplitude: FloatImage = (echo * grain * self._swell * loss + near * grain + 0.0015).astype(np.float32)
        return amplitude

    @staticmethod
    def _cavities(x: FloatImage, y: FloatImage, squeeze: float) -> FloatImage:
        """Distance to the blood in the four chambers: ventricles shrink while the atria fill."""
        s, a = squeeze, 1 + 0.16 * squeeze
        left = ellipse(x - 15 - 0.13 * (y - 66), y - 66, 21 * (1 - 0.40 * s), 42 * (1 - 0.16 * s))
        right = ellipse(x + 25 + 0.16 * (y - 76), y - 76, 14 * (1 - 0.34 * s), 33 * (1 - 0.12 * s))
        left_atrium = ellipse(x - 21, y - 126, 21 * a, 21 * a)
        right_atrium = ellipse(x + 27, y - 125, 19 * a, 20 * a)
        lumps = 0.7 * np.sin(x * np.float32(0.7)) * np.sin(y * np.float32(0.5))
        blood = smooth_union(
            smooth_union(left, right, 0.5), smooth_union(left_atrium, right_atrium, 0.5), 0.5
        )
        distance: FloatImage = (blood + lumps).astype(np.float32)
        return distance

    @staticmethod
    def _leaflets(phase: float, base: np.float32) -> list[Capsule]:
        """Mitral and tricuspid leaflets: closed while the ventricles squeeze, open while they fill."""
        opening = _opening(phase)
        y = 105.0 - float(base)
        tips = []
        for middle, half in ((20.0, 17.0), (-29.0, 14.0)):
            for side in (-1, 1):
                reach = half * (1 - 0.72 * opening)
                root = (middle + side * half, y, 0.0)
                tip = (middle + side * (half - reach), y - 3 - 17 * opening, 0.0)
                tips.append(Capsule(root, tip, 1.2, 0.7))
        return tips

    def _paint_flow(self, screen: Screen, phase: float, squeeze: float) -> None:
        """Paint the Doppler patch: towards the probe red, away from it blue; in place."""
        box = self._doppler_box
        edge = box ^ (
            np.roll(box, 1, 0) & np.roll(box, -1, 0) & np.roll(box, 1, 1) & np.roll(box, -1, 1) & box
        )
        rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        x, y = FAN.x[:, window[1]], FAN.y[window[0]]
        blood = self._cavities(x, y + np.float32(squeeze * 11), squeeze) < -1
        speed = self._speed(x, y, phase, squeeze)
        shown = box[window] & blood & (np.abs(speed) > 0.2)
        screen[window][shown] = _velocity_colours(speed[shown])
        screen[edge] = (210, 210, 120)

    @cached_property
    def _doppler_box(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        (top, bottom), (first, last) = _DOPPLER_DEPTHS, _DOPPLER_ANGLES
        return (FAN.depth > top) & (FAN.depth < bottom) & (FAN.angle > first) & (FAN.angle < last)

    def _speed(self, x: FloatImage, y: FloatImage, phase: float, squeeze: float) -> FloatImage:
        """Speed towards the probe as a share of the scale: inflow, outflow, and a slight leak."""
        inflow = np.exp(-(((x - 20) / (7 + 0.12 * np.abs(y - 104))) ** 2))
        outflow = np.exp(-(((x - 7 - 0.05 * (y - 60)) / 6.5) ** 2)) / (1 + np.exp((y - 92) / 2))
        leak = np.exp(-(((x - 24) / 3.0) ** 2)) * np.exp(-(((y - 112) / 9) ** 2))
        speed = inflow * _opening(phase) * 0.95 - (0.8 * outflow + 1.1 * leak) * squeeze
        grain: FloatImage = speed * (1 + 0.22 * self._flow_grain.at(x, y, 25 * phase))
        return grain


def _squeeze(phase: float) -> float:
    """How far the ventricles have contracted at this part of the beat, 0 to 1."""
    if phase < 0.38:
        return float(np.sin(np.pi / 2 * phase / 0.38) ** 2)
    return float(np.cos(np.pi / 2 * min(1.0, (phase - 0.38) / 0.30)) ** 2)


def _opening(phase: float) -> float:
    """How far the mitral valve is open: early filling, then the atrium's kick."""
    early = np.exp(-(((phase - 0.58) / 0.075) ** 2))
    late = 0.75 * np.exp(-(((phase - 0.86) / 0.055) ** 2))
    return float(min(1.0, early + late + 0.25 * (0.5 < phase < 0.95)))


def _velocity_colours(speed: FloatImage) -> Screen:
    """Colours of the usual map, (..., 3): dark red to yellow towards the probe, dark blue to cyan away."""
    strength = np.clip(np.abs(speed), 0, 1)
    strong = (110 + 145 * strength).astype(np.uint8)
    weak = (225 * np.clip(strength - 0.45, 0, 1) / 0.55).astype(np.uint8)
    none = np.zeros_like(strong)
    towards = np.stack([strong, weak, none], axis=-1)
    away = np.stack([none, weak, strong], axis=-1)
    return np.where((speed > 0)[..., np.newaxis], towards, away)


_TEXT = [
    ((12, 8), "TIM NGUOI LON", GREY_TEXT, 13),
    ((12, 26), "FR 30Hz", GREY_TEXT, 11),
    ((12, 40), "16cm", GREY_TEXT, 11),
    ((12, 66), "2D", ACCENT, 11),
    ((12, 80), "60%  C 50", GREY_TEXT, 11),
    ((12, 94), "HPen", GREY_TEXT, 11),
    ((12, 114), "CF", ACCENT, 11),
    ((12, 128), "64%", GREY_TEXT, 11),
    ((12, 142), "2.5MHz", GREY_TEXT, 11),
    ((590, 8), "M3  M4", GREY_TEXT, 11),
    ((592, 28), "+61.6", GREY_TEXT, 11),
    ((592, 150), "-61.6", GREY_TEXT, 11),
    ((594, 164), "cm/s", GREY_TEXT, 11),
    ((480, 8), "TIS 0.9  MI 1.3", GREY_TEXT, 11),
    ((560, 460), "78 bpm", (120, 230, 120), 12),
]


def _draw_console(screen: Screen) -> None:
    """Draw scales and colour bar, in place."""
    grey_bar(screen, (180, 300), 616)
    depth_scale(screen, FAN, 588)
    speeds = np.linspace(1, -1, 104).astype(np.float32)
    screen[44:148, 616:628] = _velocity_colours(speeds)[:, np.newaxis]
    marker = (FAN.x + 14) ** 2 + (FAN.y + 4) ** 2 < 6
    screen[marker] = ACCENT


def _draw_ecg(screen: Screen, phase: float) -> None:
    """Draw the electrocardiogram up to now, and the place where it is being written; in place."""
    columns = np.arange(150, 540)
    beat = np.mod((columns - 150) / 195.0, 1.0)
    wave = 0.16 * _peak(beat, 0.84, 0.030) - 0.14 * _peak(beat, 0.955, 0.010) + 1.0 * _peak(beat, 0.98, 0.012)
    wave += -0.22 * _peak(beat, 0.005, 0.012) + 0.30 * _peak(beat, 0.27, 0.055)
    rows = np.round(ROWS - 16 - 30 * wave).astype(int)
    for column, row, before in zip(columns, rows, np.roll(rows, 1), strict=True):
        screen[min(row, before) : max(row, before) + 1, column] = (70, 200, 90)
    now = 150 + round(195 * (1 + phase))
    screen[ROWS - 56 : ROWS - 6, now : now + 2] = (235, 235, 235)


def _peak(beat: np.ndarray[tuple[int, ...], np.dtype[np.float64]], middle: float, width: float) -> FloatImage:
    peak: FloatImage = np.exp(-(((beat - middle) / width) ** 2)).astype(np.float32)
    return peak
