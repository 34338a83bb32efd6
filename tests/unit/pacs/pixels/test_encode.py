from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pacs.errors import InvalidRequest, PixelsUnavailable
from pacs.pixels.encode import encode_jpeg, encode_png
from tests.unit.pacs.pixels.images import gradient

GRAY = gradient(highest=255).astype(np.uint8)
RGB = np.stack([GRAY, GRAY, 255 - GRAY], axis=-1)


@pytest.mark.parametrize("image", [GRAY, RGB, GRAY[::2, ::2], RGB[:, ::-1]])
def test_a_png_gives_back_every_pixel(image: np.ndarray) -> None:
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(image)))), image)


@pytest.mark.parametrize("image", [GRAY, RGB, GRAY[::2, ::2], RGB[:, ::-1]])
def test_a_jpeg_is_close(image: np.ndarray) -> None:
    opened = Image.open(io.BytesIO(encode_jpeg(image, 100)))
    assert opened.format == "JPEG" and opened.mode == ("L" if image.ndim == 2 else "RGB")
    assert np.abs(np.asarray(opened).astype(int) - image).max() <= 4


def test_a_jpeg_keeps_the_colour_of_single_pixels() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, ::2, 0] = 255  # subsampled chroma would smear these
    decoded = np.asarray(Image.open(io.BytesIO(encode_jpeg(image, 100))))
    assert np.abs(decoded.astype(int) - image).max() <= 8


def test_quality_counts() -> None:
    assert len(encode_jpeg(GRAY, 10)) < len(encode_jpeg(GRAY, 95))


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_an_impossible_quality_is_an_invalid_request(quality: int) -> None:
    with pytest.raises(InvalidRequest):
        encode_jpeg(GRAY, quality)


def test_a_picture_beyond_jpeg_is_unavailable() -> None:
    with pytest.raises(PixelsUnavailable):
        encode_jpeg(np.zeros((1, 65501), np.uint8), 90)
