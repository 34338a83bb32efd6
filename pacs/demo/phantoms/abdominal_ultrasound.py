"""Liver, gall bladder and right kidney under a curved probe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pacs.demo.phantoms.drawing import Capsule, FloatImage, coverage, ellipse, tube
from pacs.demo.phantoms.noise import Waves
from pacs.demo.phantoms.ultrasound import (
    ACCENT,
    GREY_TEXT,
    Fan,
    Screen,
    Speckle,
    as_screen,
    compress,
    depth_scale,
    grey_bar,
    write,
)

FAN = Fan(apex_row=-94, skin_mm=52, depth_mm=150, half_angle_degrees=33, pixel_mm=0.367)

Calliper = tuple[tuple[float, float], tuple[float, float]]  # two points of the fan, mm

_LIVER = 0.085
_VEINS = (
    *tube([(-52, 150, 0), (-30, 128, 0), (-8, 120, 0)], 3.2, 4.0, 4.6),
    *tube([(-30, 128, 0), (-44, 112, 0), (-58, 108, 0)], 3.0, 2.2, 1.6),
    *tube([(-6, 86, 0), (14, 96, 0), (30, 98, 0)], 1.4, 2.0, 2.6),
)
_PORTAL = tube([(18, 142, 0), (0, 134, 0), (-16, 138, 0), (-34, 150, 0)], 5.6, 5.2, 4.0, 2.6)


@dataclass(frozen=True)
class AbdominalUltrasound:
    """Still pictures of an upper abdomen; ``seed`` chooses speckle and small irregularities."""

    seed: int

    def gall_bladder(self) -> Screen:
        """Gall bladder with a stone and its shadow, (480, 640, 3) uint8."""
        x, y = FAN.x, FAN.y
        echo = self._liver(_VEINS)
        bladder = _turned(x - 26, y - 128, 36, 15.5, 38) + 0.8 * self._swell
        stone = ellipse(x - 38, y - 141, 5.4, 4.4)
        behind = coverage(np.abs(FAN.angle - np.float32(np.arctan2(38, 141))) * FAN.radius - 5.0, 3) * (
            FAN.depth > 96
        )
        bright_behind = coverage(np.abs(FAN.angle - 0.18) * FAN.radius - 16, 12) * coverage(
            140 - y - 0.3 * x, 10
        )
        echo *= 1 + 1.5 * bright_behind
        echo += 0.22 * np.exp(-((bladder / 1.3) ** 2))
        _fill(echo, 0.0012, coverage(bladder, 1.6))
        _fill(echo, 0.9, coverage(np.maximum(stone, stone - (144 - y) * 0.6), 1.4))
        echo *= 1 - 0.965 * behind * (stone > 0)
        return self._screen(echo, "TUI MAT", "+ D1 11 mm", ((34, 136), (44, 145)))

    def kidney(self) -> Screen:
        """Right kidney beside the liver, (480, 640, 3) uint8."""
        x, y = FAN.x, FAN.y
        echo = self._liver(_VEINS[:2])
        kidney = _turned(x - 14, y - 140, 55, 25, 14) + 0.7 * self._swell
        sinus = _turned(x - 15, y - 141, 34, 9.5, 14) + 2.5 * self._swell
        echo += 0.30 * np.exp(-(((kidney - 1.2) / 1.5) ** 2))
        _fill(echo, 0.040, coverage(kidney, 2.0))
        for turn in np.linspace(0, 2 * np.pi, 11)[:-1]:
            pyramid = (
                x - 15 - 42 * float(np.cos(turn)),
                y - 141 - 16.5 * float(np.sin(turn)) - 9 * float(np.cos(turn)),
            )
            _fill(echo, 0.020, coverage(ellipse(*pyramid, 5.0, 4.2), 3.0) * coverage(kidney + 3, 3))
        _fill(echo, 0.22, coverage(sinus, 5.0) * 0.9)
        _fill(echo, 0.10, coverage(170 - y + 0.18 * x, 10) * coverage(-kidney, 3))
        return self._screen(echo, "THAN PHAI", "+ D1 106 mm", ((-38, 126), (67, 154)))

    @property
    def _swell(self) -> FloatImage:
        return Waves(self.seed, 30, waves=9).at(FAN.x, FAN.y, 0.0)

    def _liver(self, veins: tuple[Capsule, ...]) -> FloatImage:
        """Amplitudes of abdominal wall, liver with vessels, and the bowel's gas beyond."""
        x, y = FAN.x, FAN.y
        swell = self._swell
        echo = np.full(np.broadcast_shapes(x.shape, y.shape), _LIVER, np.float32) * (1 + 0.10 * swell)
        for part in _PORTAL:
            echo += 0.10 * np.exp(-((part.distance(x, y, 0, 0) / np.float32(1.6)) ** 2))
        for part in (*_PORTAL, *veins):
            _fill(echo, 0.004, coverage(part.distance(x, y, 0, 0), 1.8))
        diaphragm = np.abs(np.hypot(x + 2, y - 96) - 86 - 2 * swell)
        echo += 0.5 * np.exp(-((diaphragm / 1.8) ** 2)) * coverage(x + 12, 26) * coverage(114 - y, 8)
        _fill(
            echo,
            0.030,
            coverage(86 + 2 * swell - np.hypot(x + 2, y - 96), 2) * coverage(x + 12, 26) * (y > 100),
        )
        layers = 0.10 + 0.13 * np.sin(FAN.depth * np.float32(1.9) + swell) ** 2
        _fill(echo, layers.astype(np.float32), coverage(FAN.depth - 13 - swell, 1.5))
        echo += 0.35 * np.exp(-(((FAN.depth - 13.5 - swell) / 0.8) ** 2))
        return echo

    def _screen(self, echo: FloatImage, title: str, length: str, calliper: Calliper) -> Screen:
        grain = Speckle(self.seed).at(FAN.depth, FAN.angle)
        loss = np.exp(-FAN.depth / 260)
        screen = as_screen(compress(echo * grain * loss + np.float32(0.0012), FAN, range_db=50))
        grey_bar(screen, (60, 180), 616)
        depth_scale(screen, FAN, 600)
        for x, y in calliper:
            column, row = round(FAN.apex_column + x / FAN.pixel_mm), round(FAN.apex_row + y / FAN.pixel_mm)
            screen[row, column - 4 : column + 5] = ACCENT
            screen[row - 4 : row + 5, column] = ACCENT
        return write(screen, [*_TEXT, ((12, 420), length, GREY_TEXT, 12), ((12, 440), title, ACCENT, 15)])


def _fill(echo: FloatImage, amplitude: float | FloatImage, share: FloatImage) -> None:
    echo += share * (amplitude - echo)


def _turned(x: FloatImage, y: FloatImage, a: float, b: float, degrees: float) -> FloatImage:
    cos, sin = np.float32(np.cos(np.deg2rad(degrees))), np.float32(np.sin(np.deg2rad(degrees)))
    return ellipse(x * cos + y * sin, y * cos - x * sin, a, b)


_TEXT = [
    ((12, 8), "BUNG TONG QUAT", GREY_TEXT, 13),
    ((12, 26), "FR 24Hz", GREY_TEXT, 11),
    ((12, 40), "15cm", GREY_TEXT, 11),
    ((12, 66), "2D", ACCENT, 11),
    ((12, 80), "58%  C 56", GREY_TEXT, 11),
    ((12, 94), "P Low", GREY_TEXT, 11),
    ((480, 8), "TIS 0.4  MI 1.2", GREY_TEXT, 11),
]
