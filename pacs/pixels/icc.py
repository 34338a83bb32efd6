"""Stored colours to those of any screen: ICC profiles to sRGB (PS3.3 C.11.15, PS3.4 N.2.2)."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms
from pydicom.dataset import Dataset

from pacs.errors import UndecodablePixels
from pacs.pixels.elements import read_items, read_texts, read_value

_MAX_PROFILE_BYTES = 4 * 1024 * 1024
_RGB = "RGB "  # ICC.1 7.2.6


def read_profile(attributes: Dataset) -> bytes | None:
    """Read the ICC profile of an image or a presentation state; None where there is none to be applied.

    A colour space that is sRGB by name needs none. Of a slide with one optical path it is that path's.

    References
    ----------
    PS3.3 C.11.15, C.8.12.5
    """
    paths = read_items(attributes, "OpticalPathSequence")
    for source in (attributes, *(paths if len(paths) == 1 else ())):
        if "SRGB" in read_texts(source, "ColorSpace"):
            return None
        try:
            profile = read_value(source, "ICCProfile")
        except UndecodablePixels:
            continue
        if isinstance(profile, bytes) and len(profile) <= _MAX_PROFILE_BYTES:
            return profile
    return None


def convert_to_srgb(picture: npt.NDArray[np.uint8], profile: bytes | None) -> npt.NDArray[np.uint8]:
    """Convert ``(height, width, 3)`` uint8 from the colours of a profile to sRGB.

    Without a profile, and with a damaged one or one of other colours than RGB, the picture stays as it is.
    """
    transform = None if profile is None else _make_transform(profile)
    if transform is None:
        return picture
    image = Image.fromarray(picture)
    ImageCms.applyTransform(image, transform, inPlace=True)
    return np.asarray(image)


@lru_cache(maxsize=8)
def _make_transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _RGB:
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, "RGB", "RGB", ImageCms.Intent.PERCEPTUAL)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
