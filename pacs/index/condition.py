"""One condition of a search."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from pacs.index.paths import Moments, Path


@dataclass(frozen=True, slots=True)
class Condition:
    """What rows must have, and where there is one, a way to the studies that may have it.

    ``where`` is enough by itself; the way is there to begin with. Where the way is ``exact``, it leads to
    those that match and to no others. ``moments`` are those of the studies that can match. A ``unique`` one
    names so few rows that an index on its column is the way.
    """

    where: ColumnElement[bool]
    path: Path | None = None
    exact: bool = False
    moments: Moments | None = None
    unique: bool = False
