"""Pictures as files for a browser."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from pacs.errors import InvalidRequest, PixelsUnavailable

_MAX_JPEG_DIMENSION = 65500  # libjpeg's limit
_MAX_WEBP_DIMENSION = 16383
# Run-length strategy and the Sub filter: twice as fast as level 1 alone, and smaller.
_PNG_OPTIONS = {"level": 1, "strategy": 3, "filter": 16}


def encode_jpeg(image: npt.NDArray[np.uint8], quality: int) -> bytes:
    """Encode a picture as JPEG, colour without subsampling.

    Parameters
    ----------
    image
        ``(height, width)`` or ``(height, width, 3)`` uint8.
    quality
        1 to 100 as libjpeg has it (PS3.18 8.3.5.1.2).

    Raises
    ------
    InvalidRequest
        The quality is out of range.
    PixelsUnavailable
        The picture is larger than JPEG can be.
    """
    if not 1 <= quality <= 100:
        raise InvalidRequest("the quality is 1 to 100")
    if max(image.shape[:2]) > _MAX_JPEG_DIMENSION:
        raise PixelsUnavailable(f"a JPEG has at most {_MAX_JPEG_DIMENSION} rows and columns")
    options: dict[str, Any] = {"subsampling": "444"} if image.ndim == 3 else {}
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(image), level=quality, **options))


def encode_png(image: npt.NDArray[np.uint8]) -> bytes:
    """Encode ``(height, width)`` or ``(height, width, 3)`` uint8 as PNG, lossless and quickly."""
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(image), **_PNG_OPTIONS))


def encode_png_16(p_values: npt.NDArray[np.uint16]) -> bytes:
    """Encode ``(height, width)`` uint16 as PNG, lossless."""
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(p_values), level=1))


def encode_webp(image: npt.NDArray[np.uint8], quality: int) -> bytes:
    """Encode a picture as WebP; its largest sides are 16383 pixels.

    Raises
    ------
    PixelsUnavailable
        The picture is larger.
    """
    if max(image.shape[:2]) > _MAX_WEBP_DIMENSION:
        raise PixelsUnavailable(f"a WebP has at most {_MAX_WEBP_DIMENSION} rows and columns")
    return bytes(imagecodecs.webp_encode(_as_rgb(image), level=quality))


def encode_jp2(image: npt.NDArray[np.uint8]) -> bytes:
    """Encode a picture as JPEG 2000 in its own file format (JP2), lossless."""
    return bytes(imagecodecs.jpeg2k_encode(np.ascontiguousarray(image), level=0, codecformat="jp2"))


def encode_gif(images: Iterable[npt.NDArray[np.uint8]], frame_time_ms: float) -> bytes:
    """Encode pictures of one size as a GIF, which is played again and again if there are several.

    Colour is brought to 256 colours for each picture.
    """
    first, *rest = (Image.fromarray(image) for image in images)
    file = io.BytesIO()
    duration_ms = max(round(frame_time_ms / 10), 2) * 10  # browsers take less than 20 ms for a mistake
    options: dict[str, Any] = {"save_all": True, "append_images": rest, "loop": 0, "duration": duration_ms}
    first.save(file, "GIF", **(options if rest else {}))
    return file.getvalue()


def _as_rgb(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2))
