from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from pacs.pixels.planes import encode_planes

TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32"]


def decode_planes(data: bytes, dtype: str, count: int) -> list[int]:
    """Decode as the viewer does: one value after the other, in whole numbers of any size."""
    size, signed = np.dtype(dtype).itemsize, np.dtype(dtype).kind == "i"
    values, before = [], 0
    for place in range(count):
        coded = sum(data[plane * count + place] << (8 * plane) for plane in range(size))
        difference = (coded >> 1) ^ -(coded & 1)
        before = (before + difference) % (1 << (8 * size))
        values.append(before - (1 << (8 * size)) if signed and before >> (8 * size - 1) else before)
    return values


@pytest.mark.parametrize("dtype", TYPES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_integers_come_back_exactly(dtype: str, data: st.DataObject) -> None:
    values = data.draw(numpy_strategies.arrays(dtype, st.tuples(st.integers(1, 6), st.integers(1, 6))))
    encoded = encode_planes(values)
    assert len(encoded) == values.nbytes
    assert decode_planes(encoded, dtype, values.size) == values.reshape(-1).tolist()


def test_the_samples_of_colours_follow_one_another() -> None:
    values = np.arange(2 * 3 * 3, dtype="u1").reshape(2, 3, 3)
    assert decode_planes(encode_planes(values), "u1", 18) == np.moveaxis(values, 2, 0).reshape(-1).tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floating_point_numbers_are_written_plane_by_plane_as_they_are(dtype: str) -> None:
    values = np.array([[0.1, -1e30], [np.nan, 3]], dtype)
    planes = np.frombuffer(encode_planes(values), np.uint8).reshape(values.itemsize, -1)
    back = np.ascontiguousarray(planes.T).view(values.dtype.newbyteorder("<")).reshape(2, 2)
    np.testing.assert_array_equal(back, values)


def test_what_varies_little_becomes_small_planes() -> None:
    values = (1000 + np.arange(4096) % 7).astype("u2").reshape(64, 64)
    encoded = encode_planes(values)
    assert not any(encoded[values.size + 1 :])  # the high bytes, but that of the first value
