"""Stored values in a form that a browser decodes exactly, and that gzip makes small.

Each integer is written as its difference to the one before it, in the width of its type (which wraps around),
with the sign in the lowest bit (zigzag), and the bytes of all of them plane by plane: all lowest bytes first,
the highest ones last. Samples of colour follow one another, first all of the red ones. Floating point numbers
are written plane by plane as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def encode_planes(values: npt.NDArray[Any]) -> bytes:
    """Encode ``(rows, columns[, samples])`` stored values of any type; as many bytes as they have."""
    if values.ndim == 3:
        values = np.moveaxis(values, 2, 0)
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype.kind in "iu":
        flat = _zigzag(flat)
    little_endian = flat.astype(flat.dtype.newbyteorder("<"), copy=False)
    planes = little_endian.view(np.uint8).reshape(flat.size, flat.dtype.itemsize)
    return np.ascontiguousarray(planes.T).tobytes()


def _zigzag(flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
    size_bytes = flat.dtype.itemsize
    unsigned = flat.view(f"u{size_bytes}")
    differences = np.diff(unsigned, prepend=unsigned.dtype.type(0)).view(f"i{size_bytes}")
    return (differences << 1) ^ (differences >> (8 * size_bytes - 1))
