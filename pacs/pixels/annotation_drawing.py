"""Drawing graphics and words of a presentation state onto a picture (PS3.3 C.10.5)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from pacs.pixels.annotations import (
    CIRCLE,
    DISPLAY,
    ELLIPSE,
    INTERPOLATED,
    POINT,
    Annotation,
    Graphic,
    Words,
)
from pacs.pixels.text import draw_text, fit_text
from pacs.pixels.view import Point, View

Points: TypeAlias = npt.NDArray[np.float64]  # (number of points, 2): column and row

_STEPS_OF_A_CURVE = 8
_POINTS_OF_AN_ELLIPSE = 360
_LINE_OF_PICTURE = 1024  # a line is this part of the picture's shorter side, and at least a pixel
_LETTERS_OF_PICTURE = 36
_LEAST_LETTERS_OF_PICTURE = 64
_FAR = 100_000
# Clockwise, by whether the second corner of a box lies further right, and further down.
_TURNS_BY_DIRECTION = {(True, True): 0, (False, True): 1, (False, False): 2, (True, False): 3}
_SLACK_BEFORE = {"left": 0.0, "center": 0.5, "right": 1.0}


def draw_graphics(annotations: Iterable[Annotation], view: View) -> npt.NDArray[np.uint8]:
    """Draw the shapes of one layer.

    Returns
    -------
    ndarray
        ``(height, width)`` uint8: how much of each pixel of the picture they cover, 255 for all of it.
    """
    mask = Image.new("L", view.picture_size)
    for annotation in annotations:
        for graphic in annotation.graphics:
            _draw_graphic(mask, graphic, view)
    return np.asarray(mask)


def draw_words(annotations: Iterable[Annotation], view: View) -> npt.NDArray[np.uint8]:
    """Draw the texts of one layer, as :func:`draw_graphics` does the shapes."""
    mask = Image.new("L", view.picture_size)
    for annotation in annotations:
        for words in annotation.words:
            _draw_words(mask, words, view)
    return np.asarray(mask)


def _draw_graphic(mask: Image.Image, graphic: Graphic, view: View) -> None:
    points = _map_points(np.array(_outline(graphic)), graphic.units, view)
    draw = ImageDraw.Draw(mask)
    width = max(round(min(mask.size) / _LINE_OF_PICTURE), 1)
    if graphic.kind == POINT:
        x, y = _near(points)[0]
        draw.rectangle((x - width // 2, y - width // 2, x + width // 2, y + width // 2), fill=255)
        return
    if graphic.filled:
        draw.polygon([tuple(point) for point in _near(points).tolist()], fill=255)
    for start, end in _clip_lines(points, mask.size):
        draw.line((*start, *end), fill=255, width=width)


def _outline(graphic: Graphic) -> Points:
    """Turn a shape into the corners of a line, in the shape's own units."""
    points = np.array(graphic.points)
    if graphic.kind == CIRCLE:
        radius = math.dist(*graphic.points[:2])
        return _ellipse(points[0], np.array([radius, 0]), np.array([0, radius]))
    if graphic.kind == ELLIPSE:
        center = points[:2].mean(axis=0)
        return _ellipse(center, points[1] - center, (points[3] - points[2]) / 2)
    return _curve(points) if graphic.kind == INTERPOLATED else points


def _ellipse(center: Points, major: Points, minor: Points) -> Points:
    angles = np.linspace(0, 2 * math.pi, _POINTS_OF_AN_ELLIPSE + 1)[:, None]
    return np.asarray(center + np.cos(angles) * major + np.sin(angles) * minor)


def _curve(points: Points) -> Points:
    """Lead a smooth line through points: a Catmull-Rom spline, closed if its ends meet."""
    is_closed = bool((points[0] == points[-1]).all())
    before = points[-2] if is_closed else points[0]
    after = points[1] if is_closed else points[-1]
    padded = np.vstack((before, points, after))
    t = (np.arange(_STEPS_OF_A_CURVE) / _STEPS_OF_A_CURVE)[None, :, None]
    p0, p1, p2, p3 = (padded[n : n + len(points) - 1, None] for n in range(4))
    linear, square = (p2 - p0) * t, (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
    curve = 2 * p1 + linear + square + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    return np.vstack((curve.reshape(-1, 2) / 2, points[-1:]))


def _map_points(points: Points, units: str, view: View) -> Points:
    if units == DISPLAY:
        return np.asarray(points * np.array(view.picture_size))
    # A view maps straight lines to straight lines, so three points tell all.
    origin, right, down = (np.array(view.map_point(point)) for point in ((0, 0), (1, 0), (0, 1)))
    return np.asarray(origin + points[:, :1] * (right - origin) + points[:, 1:] * (down - origin))


def _near(points: Points) -> npt.NDArray[np.int64]:
    """Return the pixels that points lie in; those far beyond the picture are brought to where they fit."""
    return np.clip(np.floor(points), -_FAR, _FAR).astype(np.int64)


def _clip_lines(points: Points, size: tuple[int, int]) -> list[tuple[list[float], list[float]]]:
    """Cut the lines between points off at the picture's edges, so that no line costs more than it shows.

    References
    ----------
    Liang and Barsky, ACM Transactions on Graphics 3 (1984) 1-22
    """
    start, step = points[:-1], np.diff(points, axis=0)
    enter, leave = np.zeros(len(start)), np.ones(len(start))
    visible = np.ones(len(start), np.bool_)
    for axis in (0, 1):
        for sign, limit in ((-1, 1.0), (1, size[axis] + 1.0)):  # a pixel of margin on each side
            slope, room = sign * step[:, axis], limit - sign * start[:, axis]
            visible &= (slope != 0) | (room >= 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                at = room / slope
            enter = np.where(slope < 0, np.maximum(enter, at), enter)
            leave = np.where(slope > 0, np.minimum(leave, at), leave)
    visible &= enter <= leave
    first = np.floor(start + enter[:, None] * step)[visible]
    last = np.floor(start + leave[:, None] * step)[visible]
    return list(zip(first.tolist(), last.tolist(), strict=True))


def _draw_words(mask: Image.Image, words: Words, view: View) -> None:
    if not words.text:
        return
    anchor = None if words.anchor is None else _map_point(words.anchor, words.anchor_units, view)
    if words.box is not None:
        place = _draw_in_box(mask, words, words.box, view)
    else:
        drawn = draw_text(words.text, round(min(mask.size) / _LETTERS_OF_PICTURE), words.align)
        x, y = anchor if anchor is not None else (0.0, 0.0)
        place = _paste(mask, drawn, x, y)
    if anchor is not None and words.is_anchor_visible:
        nearest = [min(max(anchor[axis], place[axis]), place[axis + 2]) for axis in (0, 1)]
        for start, end in _clip_lines(np.array([anchor, nearest]), mask.size):
            ImageDraw.Draw(mask).line((*start, *end), fill=255)


def _draw_in_box(
    mask: Image.Image, words: Words, box: tuple[Point, Point], view: View
) -> tuple[float, float, float, float]:
    """Write from the corner that was top left in the image to the one that was bottom right (C.10.5.1.1).

    A picture that is turned has its words turned with it; a mirrored one has them turned, never mirrored.
    """
    (x1, y1), (x2, y2) = (_map_point(corner, words.box_units, view) for corner in box)
    quarter_turns = _TURNS_BY_DIRECTION[x2 >= x1, y2 >= y1]
    width, height = abs(x2 - x1), abs(y2 - y1)
    length, breadth = (height, width) if quarter_turns % 2 else (width, height)
    drawn = fit_text(words.text, length, breadth, min(mask.size) // _LEAST_LETTERS_OF_PICTURE, words.align)
    slack = _SLACK_BEFORE[words.align] * max(length - drawn.shape[1], 0)
    drawn = np.rot90(drawn, -quarter_turns)
    rows, columns = drawn.shape
    left, top = min(x1, x2), min(y1, y2)
    x, y = {
        0: (left + slack, top),
        1: (left + width - columns, top + slack),
        2: (left + width - columns - slack, top + height - rows),
        3: (left, top + height - rows - slack),
    }[quarter_turns]
    return _paste(mask, drawn, x, y)


def _map_point(point: Point, units: str, view: View) -> tuple[float, float]:
    x, y = _map_points(np.array([point], np.float64), units, view)[0].tolist()
    return x, y


def _paste(
    mask: Image.Image, drawn: npt.NDArray[np.uint8], x: float, y: float
) -> tuple[float, float, float, float]:
    image = Image.fromarray(np.ascontiguousarray(drawn))
    place = tuple(_near(np.array([x, y])).tolist())
    mask.paste(255, (*place, place[0] + image.width, place[1] + image.height), image)
    return (*place, place[0] + image.width, place[1] + image.height)
