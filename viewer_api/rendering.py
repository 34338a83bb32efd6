"""From an instance in the archive to a picture for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.archive import Archive
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import InvalidRequest, PixelsUnavailable
from pacs.index.records import StoredInstance
from pacs.pixels.decode import decode_frame
from pacs.pixels.description import PixelDescription, describe_pixels
from pacs.pixels.encode import encode_jpeg, encode_png
from pacs.pixels.grayscale import read_transformation
from pacs.pixels.render import render_frame
from pacs.pixels.window import Window
from pacs.retrieve import read_attributes, read_frame
from viewer_api.params import Rendering

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"


def render(
    archive: Archive, instance: StoredInstance, frame_number: int, rendering: Rendering, media_type: str
) -> bytes:
    """Render a frame (1-based) to a file of ``media_type``.

    Raises
    ------
    pacs.errors.NotFound
        There is no such frame.
    pacs.errors.InvalidRequest
        The region is not within the image.
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
        The instance is not an image, of a kind that is not supported, or damaged.
    """
    attributes = read_attributes(archive, instance)
    description = describe_pixels(attributes, instance.transfer_syntax_uid)
    values = decode_frame(read_frame(archive, instance, frame_number).data, description)
    window, viewport = rendering.window, rendering.viewport
    if viewport is not None and viewport.region is not None:
        window = window or _window_of_all(values, attributes, description, frame_number - 1)
        values, description = _cut(values, description, viewport.region)
    size = None if viewport is None else (viewport.width, viewport.height)
    picture = render_frame(values, attributes, description, frame_number - 1, window=window, size=size)
    return encode_png(picture) if media_type == PNG else encode_jpeg(picture, rendering.quality)


def representative(instances: Sequence[StoredInstance]) -> StoredInstance:
    """Choose the instance that stands for others: the middle one of the first series that has images.

    Raises
    ------
    PixelsUnavailable
        None of them is an image.
    """
    images = [instance for instance in instances if _has_pixels(instance)]
    for _, members in groupby(images, key=lambda instance: instance.series_instance_uid):
        series = list(members)
        return series[len(series) // 2]
    raise PixelsUnavailable("there are no images")


def _has_pixels(instance: StoredInstance) -> bool:
    # Of a deflated object the index does not know; most are images.
    deflated = TRANSFER_SYNTAXES[instance.transfer_syntax_uid].deflated
    return deflated or instance.location.pixel_data_offset is not None


def _window_of_all(
    values: npt.NDArray[Any], attributes: Dataset, description: PixelDescription, frame_index: int
) -> Window | None:
    """Choose the window by the whole frame, so that a region looks as it does in its image."""
    if not description.is_monochrome:
        return None
    voi = read_transformation(values, attributes, description, frame_index, None).voi
    return voi if isinstance(voi, Window) else None


def _cut(
    values: npt.NDArray[Any], description: PixelDescription, region: tuple[int, int, int, int]
) -> tuple[npt.NDArray[Any], PixelDescription]:
    left, top, width, height = region
    if left + width > description.columns or top + height > description.rows:
        raise InvalidRequest("the viewport's region is not within the image")
    part = np.ascontiguousarray(values[top : top + height, left : left + width])
    return part, replace(description, rows=height, columns=width)
