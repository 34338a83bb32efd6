"""Trees of vessels that fill a region: thick at the root, thin at the leaves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pacs.demo.phantoms.drawing import Capsule, Point

Points = npt.NDArray[np.float64]
Membership = Callable[[Points], npt.NDArray[np.bool_]]

_MURRAY = 2.5  # radius**2.5 is conserved where a vessel forks (3 by Murray's law; lungs come closer to this)


def scatter(rng: np.random.Generator, inside: Membership, low: Point, high: Point, count: int) -> Points:
    """Draw ``count`` random points of a region inside the box from ``low`` to ``high``, (count, 3)."""
    found = np.empty((0, 3))
    while len(found) < count:
        candidates = rng.uniform(low, high, size=(4 * count, 3))
        found = np.concatenate([found, candidates[inside(candidates)]])
    return found[:count]


def grow_tree(root: Point, targets: Points, leaf_radius: float, root_radius: float) -> list[Capsule]:
    """Connect ``targets``, (count, 3), to ``root`` by tapering tubes, nearest first.

    A target joins the node that gives it the best compromise between a short twig and a short way back to
    the root. A branch's radius follows from the number of leaves behind it.
    """
    nodes = np.concatenate([np.asarray(root)[np.newaxis], targets[np.argsort(_distance(targets, root))]])
    parents = _attach(nodes)
    leaves = _count_leaves(parents)
    radii = np.minimum(leaf_radius * leaves ** (1 / _MURRAY), root_radius)
    branches = []
    for node, parent in enumerate(parents[1:], start=1):
        start_radius = min(float(radii[parent]), 1.25 * float(radii[node]))
        branches.append(Capsule(_point(nodes[parent]), _point(nodes[node]), start_radius, float(radii[node])))
    return branches


def _distance(points: Points, origin: Point | Points) -> Points:
    distance: Points = np.linalg.norm(points - np.asarray(origin), axis=-1)
    return distance


def _attach(nodes: Points) -> npt.NDArray[np.intp]:
    parents = np.zeros(len(nodes), np.intp)
    way = np.zeros(len(nodes))
    for node in range(1, len(nodes)):
        twig = _distance(nodes[:node], nodes[node])
        parents[node] = np.argmin(twig + 0.35 * way[:node])
        way[node] = way[parents[node]] + twig[parents[node]]
    return parents


def _count_leaves(parents: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    leaves = np.ones(len(parents))
    for node in range(len(parents) - 1, 0, -1):
        leaves[parents[node]] += leaves[node]
    return leaves


def _point(node: Points) -> Point:
    return float(node[0]), float(node[1]), float(node[2])
