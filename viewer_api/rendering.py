"""From an instance in the archive to a picture for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from pacs.archive import Archive
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import PixelsUnavailable
from pacs.index.records import StoredInstance
from pacs.pixels.appearance import Appearance, Region
from pacs.pixels.description import describe_pixels
from pacs.pixels.encode import encode_jpeg, encode_png
from pacs.pixels.render import render_frame
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
    values = archive.decoding.decode(read_frame(archive, instance, frame_number).data, description)
    picture = render_frame(values, attributes, description, frame_number - 1, _appearance(rendering))
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


def _appearance(rendering: Rendering) -> Appearance:
    viewport = rendering.viewport
    if viewport is None:
        return Appearance(voi=rendering.window)
    region = None if viewport.region is None else Region(*viewport.region)
    return Appearance(voi=rendering.window, region=region, size=(viewport.width, viewport.height))
