"""What every ultrasound picture shares: a probe's fan of beams, speckle, and the screen around it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pacs.demo.phantoms.drawing import FloatImage, coverage
from pacs.demo.phantoms.noise import blur

ROWS, COLUMNS = 480, 640
Screen = npt.NDArray[np.uint8]
Rgb = tuple[int, int, int]

GREY_TEXT: Rgb = (196, 204, 210)
ACCENT: Rgb = (232, 190, 74)


@dataclass(frozen=True)
class Fan:
    """The sector that a probe sees.

    Parameters
    ----------
    apex_row
        Row of the point where the beams meet; above the screen for a curved probe.
    skin_mm
        Distance from that point to the skin.
    depth_mm
        Depth of the picture.
    half_angle_degrees
        Half of the sector's opening.
    pixel_mm
        Size of a screen's pixel at the patient.
    """

    apex_row: float
    skin_mm: float
    depth_mm: float
    half_angle_degrees: float
    pixel_mm: float
    apex_column: float = 320.0

    @cached_property
    def x(self) -> FloatImage:
        """Distance from the probe's axis, to the screen's right, (1, 640), mm."""
        return ((np.arange(COLUMNS) - self.apex_column) * self.pixel_mm).astype(np.float32)[np.newaxis, :]

    @cached_property
    def y(self) -> FloatImage:
        """Distance below the meeting point of the beams, (480, 1), mm."""
        return ((np.arange(ROWS) - self.apex_row) * self.pixel_mm).astype(np.float32)[:, np.newaxis]

    @cached_property
    def radius(self) -> FloatImage:
        """Distance from the meeting point of the beams, (480, 640), mm."""
        return np.hypot(self.x, self.y)

    @cached_property
    def angle(self) -> FloatImage:
        """Angle to the probe's axis, (480, 640), radians."""
        angle: FloatImage = np.arctan2(self.x, self.y)
        return angle

    @cached_property
    def depth(self) -> FloatImage:
        """Depth below the skin, (480, 640), mm."""
        return self.radius - np.float32(self.skin_mm)

    @cached_property
    def visible(self) -> FloatImage:
        """1 inside of the sector, 0 outside, soft at its edges."""
        across = (np.abs(self.angle) - np.float32(np.deg2rad(self.half_angle_degrees))) * self.radius
        along = np.maximum(-self.depth, self.depth - np.float32(self.depth_mm))
        return coverage(np.maximum(across, along), 1.5 * self.pixel_mm)


class Speckle:
    """The grain of coherent echoes: fixed to the tissue, long across the beam and short along it."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        field = rng.standard_normal((2, 1024, 512), np.float32)
        real, imaginary = (blur(blur(part, 0.25, 1), 0.25, 1) for part in field)
        envelope = np.hypot(real, imaginary)
        self._tile: FloatImage = (envelope / envelope.mean()).astype(np.float32)

    def at(self, depth: FloatImage, angle: FloatImage) -> FloatImage:
        """Grain of mean 1 at points of the tissue, which may have moved since they lay at depth and angle."""
        rows = np.mod(np.floor(depth * np.float32(3.4)).astype(np.intp), self._tile.shape[0])
        columns = np.mod(np.floor(angle * np.float32(150)).astype(np.intp), self._tile.shape[1])
        grain: FloatImage = self._tile[rows, columns]
        return grain


def compress(echo: FloatImage, fan: Fan, gain_db: float = 0.0, range_db: float = 60.0) -> FloatImage:
    """Turn echo amplitudes into grey levels 0 to 1 the way that scanners do, by logarithm."""
    level = 20 * np.log10(np.maximum(echo, np.float32(1e-6))) + np.float32(gain_db)
    grey = np.clip(1 + level / np.float32(range_db), 0, 1)
    shade: FloatImage = blur(grey, 0.18) * fan.visible
    return shade


def as_screen(grey: FloatImage) -> Screen:
    """Grey levels 0 to 1 as a screen, (480, 640, 3) uint8, with the faint warm tint of most consoles."""
    tint = np.array([255, 252, 244], np.float32)
    screen: Screen = (grey[:, :, np.newaxis] * tint).astype(np.uint8)
    return screen


def write(screen: Screen, lines: list[tuple[tuple[int, int], str, Rgb, int]]) -> Screen:
    """Write ``lines`` of ((column, row), text, colour, size) on the screen."""
    image = Image.fromarray(screen)
    draw = ImageDraw.Draw(image)
    for place, text, colour, size in lines:
        draw.text(place, text, fill=colour, font=ImageFont.load_default(size))
    return np.asarray(image).copy()


def depth_scale(screen: Screen, fan: Fan, column: int) -> None:
    """Draw a tick for every centimetre and a longer one for every fifth, in place."""
    top = fan.apex_row + fan.skin_mm / fan.pixel_mm
    for centimetre in range(int(fan.depth_mm // 10) + 1):
        row = round(top + centimetre * 10 / fan.pixel_mm)
        length = 9 if centimetre % 5 == 0 else 4
        if 0 <= row < ROWS:
            screen[row, column - length : column] = GREY_TEXT


def grey_bar(screen: Screen, rows: tuple[int, int], column: int) -> None:
    """Draw the ramp of grey levels, in place."""
    ramp = np.linspace(255, 0, rows[1] - rows[0]).astype(np.uint8)
    screen[rows[0] : rows[1], column : column + 9] = ramp[:, np.newaxis, np.newaxis]
