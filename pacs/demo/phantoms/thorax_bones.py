"""The bones of an axial slice of the chest, painted last."""

from __future__ import annotations

import numpy as np

from pacs.demo.phantoms import thorax_shape as shape
from pacs.demo.phantoms.drawing import (
    Capsule,
    Cut,
    Ellipsoid,
    FloatImage,
    both_sides,
    coverage,
    ellipse,
    paint,
    paint_shape,
    tube,
)
from pacs.demo.phantoms.noise import Waves

_CLAVICLE = ((17, -66, 236), (44, -62, 246), (82, -42, 260), (124, -12, 272), (150, 2, 278))
_CLAVICLE_RADII = (8.0, 6.0, 5.5, 6.0, 7.0)
_JOINT_HEADS = (Ellipsoid((160, 14, 286), (24, 24, 26)), Ellipsoid((128, 30, 280), (10, 17, 20), -28))
_MARROW = Waves(24, 5.5, waves=10)


def paint_bones(image: FloatImage, cut: Cut, depth: FloatImage, skin: FloatImage) -> None:
    """Paint ribs, breast bone, shoulders and spine into ``image``, in HU.

    ``depth`` and ``skin`` are the distances to the chest's cavity and to the skin, on the coarse grid.
    """
    bone, gristle = shape.ribs(cut.coarse.x, cut.coarse.y, cut.z, depth)
    paint_shape(image, 95.0, gristle - 1, 0.4)
    paint_shape(image, 620.0, bone - 1, 0.35)
    paint_shape(image, 150.0, bone - 0.62, 0.35)
    _paint_breast_bone(image, cut)
    _paint_joints(image, cut)
    _paint_shoulder_blades(image, cut, depth, skin)
    _paint_spine(image, cut)


def _paint_breast_bone(image: FloatImage, cut: Cut) -> None:
    if not 78 < cut.z < 246:
        return
    width = float(np.interp(cut.z, (78, 110, 200, 212, 236, 246), (5, 14, 14, 17, 27, 22)))
    front = float(shape.cavity_front(cut.z)) - 8
    outline = ellipse(cut.coarse.x, cut.coarse.y - front, width, 6.5)
    cut.paint_shape(image, 420.0, outline)
    cut.paint_shape(image, 130 + 15 * _MARROW.at(cut.coarse.x, cut.coarse.y, cut.z), outline + 1.8)


def _paint_joints(image: FloatImage, cut: Cut) -> None:
    """Paint collar bones, heads of the upper arms and their sockets, each with its marrow."""
    for density, inset in ((720.0, 0.0), (250.0, 2.4)):
        clavicle = tube(_CLAVICLE, *(radius - inset for radius in _CLAVICLE_RADII))
        cut.paint_parts(image, density, both_sides(*clavicle))
    for head in _JOINT_HEADS:
        a, b, c = head.semi_axes
        marrow = Ellipsoid(head.centre, (a - 2.2, b - 2.2, c - 2.2), head.turn_degrees)
        cut.paint_parts(image, 560.0, both_sides(head))
        cut.paint_parts(image, 190.0, both_sides(marrow))


def _paint_shoulder_blades(image: FloatImage, cut: Cut, depth: FloatImage, skin: FloatImage) -> None:
    if not 118 < cut.z < 280:
        return
    angle = np.arctan2(np.abs(cut.coarse.x), cut.coarse.y - shape.cavity_middle(cut.z))
    reach = float(np.interp(cut.z, (118, 150, 250, 280), (0.05, 0.42, 0.42, 0.2)))
    lift = 19 + 5 * np.sin(angle * 5)
    thickness = 1.3 + 2.6 * np.clip((angle - 0.7) / 0.6, 0, 1) ** 2
    plates = [np.maximum(np.abs(depth - lift) - thickness, (np.abs(angle - 0.92) - reach) * 80)]
    if cut.z >= 205:  # the blade's spine
        plates.append(np.maximum(np.abs(angle - 0.85) * 70 - 2.5, np.abs(depth - lift - 8) - 9))
    for plate in plates:
        cut.paint_shape(image, 600.0, np.maximum(plate, skin + 11))


def _paint_spine(image: FloatImage, cut: Cut) -> None:
    """Paint the vertebra, or the disc between two, and the canal with the cord."""
    window = cut.grid.window((-50, 50), (shape.SPINE_Y - 24, shape.SPINE_Y + 68))
    part, x, y = image[window], cut.grid.x[:, window[1]], cut.grid.y[window[0]] - shape.SPINE_Y
    phase = (cut.z + 7) % shape.RIB_PITCH
    body = np.maximum(ellipse(x, y, 17.5, 15), -ellipse(x, y - 24, 16, 13))
    if phase < 4:
        paint(part, 88.0, coverage(body + 0.5, cut.edge_mm))
    else:
        end_plate = max(0.0, 1 - min(phase - 4, shape.RIB_PITCH - phase) / 3)
        paint(part, 460.0, coverage(body, cut.edge_mm))
        marrow = 175 + 22 * _MARROW.at(x, y, cut.z) + 220 * end_plate
        paint(part, marrow, coverage(body + 1.9, cut.edge_mm))
    for bone in _arches(phase):
        distance = bone.distance(x, y, 0.0, cut.slab_mm)
        paint(part, 520.0, coverage(distance, cut.edge_mm))
        paint(part, 260.0, coverage(distance + 2.0, cut.edge_mm))
    paint(part, 12.0, coverage(ellipse(x, y - 20.5, 9.5, 8.5), cut.edge_mm))
    paint(part, 42.0, coverage(ellipse(x, y - 20.5, 5.2, 4.2), cut.edge_mm))


def _arches(phase: float) -> list[Capsule]:
    """Place the vertebra's pedicles, laminae and processes at this part of its height."""
    bones = [Capsule((0, 38, 0), (0, 56, 0), 3.6, 3.0)]
    bones += _sides(Capsule((12, 24, 0), (0, 36, 0), 3.2, 3.4))
    if phase > 11:
        bones += _sides(Capsule((12.5, 10, 0), (13, 24, 0), 3.6, 3.6))
    if phase > 13:
        bones += _sides(Capsule((14, 24, 0), (33, 33, 0), 4.6, 3.8))
    return bones


def _sides(bone: Capsule) -> list[Capsule]:
    return [bone, bone.mirrored()]
