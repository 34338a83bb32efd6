from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms
from pydicom.dataset import Dataset

from pacs.pixels.icc import convert_to_srgb, read_profile
from tests.unit.pacs.pixels.test_grayscale import dataset

COLORS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 100, 50], [128, 128, 128]]], np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile_with_red_and_blue_exchanged() -> bytes:
    """Take sRGB, and let the tags of its red and blue colorants point to one another's values."""
    profile = bytearray(SRGB)
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, blue = entries[b"rXYZ"], entries[b"bXYZ"]
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    return bytes(profile)


def test_stored_colours_become_those_of_srgb() -> None:
    shown = convert_to_srgb(COLORS, profile_with_red_and_blue_exchanged())
    assert np.abs(shown.astype(int) - COLORS[..., ::-1]).max() <= 2


def test_srgb_stays_as_it_is() -> None:
    assert np.abs(convert_to_srgb(COLORS, SRGB).astype(int) - COLORS).max() <= 1
    assert convert_to_srgb(COLORS, None) is COLORS


def test_a_profile_of_other_colours_is_not_applied() -> None:
    lab = io.BytesIO(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()).getvalue()
    assert convert_to_srgb(COLORS, lab) is COLORS


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(SRGB) - 1), st.binary(min_size=1, max_size=8), st.integers(0, len(SRGB)))
def test_a_damaged_profile_changes_colours_at_most(place: int, noise: bytes, length: int) -> None:
    damaged = (SRGB[:place] + noise + SRGB[place + len(noise) :])[: max(length, place)]
    assert convert_to_srgb(COLORS, damaged).shape == COLORS.shape


def path(**values: Any) -> Dataset:
    return dataset(ICCProfile=b"path", **values)


@pytest.mark.parametrize(
    ("values", "profile"),
    [
        ({}, None),
        ({"ICCProfile": b"own!"}, b"own!"),
        ({"ICCProfile": b"own!", "ColorSpace": "SRGB"}, None),
        ({"ICCProfile": b"own!", "ColorSpace": "ADOBERGB"}, b"own!"),
        ({"OpticalPathSequence": [path()]}, b"path"),
        ({"OpticalPathSequence": [path(), path()]}, None),
        ({"ICCProfile": bytes(5 * 1024 * 1024)}, None),
    ],
)
def test_the_profile_of_a_data_set(values: dict[str, Any], profile: bytes | None) -> None:
    assert read_profile(dataset(**values)) == profile
