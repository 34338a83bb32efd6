"""From an instance in the archive to a picture for a browser."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs import __version__
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import PixelsUnavailable
from pacs.index.records import StoredInstance
from pacs.pixels.appearance import AS_STORED, Appearance
from pacs.pixels.encode import encode_jpeg, encode_png
from pacs.pixels.pixel_description import PixelDescription
from pacs.pixels.render import render_frame

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
DEFAULT_QUALITY: Final = 90

Picture: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a frame is to become a file: its looks, its media type, and how much a lossy one may lose."""

    appearance: Appearance = AS_STORED
    media_type: str = JPEG
    quality: int = DEFAULT_QUALITY

    def digest(self, instance: StoredInstance, frame_number: int) -> str:
        """Name the file before it is made: 64 hexadecimal digits of all that it depends on."""
        facts = (__version__, instance.location.sha256, frame_number, self)
        return hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One frame with what is needed to show it; ``frame_index`` is 0-based.

    ``encoded_frame`` is what native stored values were decoded from: overlays may lie in its unused bits.
    """

    stored_values: npt.NDArray[Any]
    attributes: Dataset
    description: PixelDescription
    frame_index: int
    encoded_frame: bytes | None = None


def make_picture(frame: DecodedFrame, rendering: Rendering) -> bytes:
    """Render a frame to a file.

    Raises
    ------
    pacs.errors.InvalidRequest
        The region is not within the image, the size is impossible, or the window not one of the data set's.
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
        The image is of a kind that is not supported, or a table of it is damaged.
    """
    picture = render_frame(
        frame.stored_values,
        frame.attributes,
        frame.description,
        frame.frame_index,
        rendering.appearance,
        frame.encoded_frame,
    )
    return _ENCODERS[rendering.media_type](picture, rendering.quality)


def has_pixels(instance: StoredInstance) -> bool:
    """Tell whether an instance may be an image; of a deflated object the index does not know, most are."""
    deflated = TRANSFER_SYNTAXES[instance.transfer_syntax_uid].deflated
    return deflated or instance.location.pixel_data_offset is not None


def representative(instances: Sequence[StoredInstance]) -> StoredInstance:
    """Choose the instance that stands for others: the middle one of the first series that has images.

    Raises
    ------
    PixelsUnavailable
        None of them is an image.
    """
    images = [instance for instance in instances if has_pixels(instance)]
    for _, members in groupby(images, key=lambda instance: instance.series_instance_uid):
        series = list(members)
        return series[len(series) // 2]
    raise PixelsUnavailable("there are no images")


_ENCODERS: Final[Mapping[str, Callable[[Picture, int], bytes]]] = {
    JPEG: encode_jpeg,
    PNG: lambda picture, _: encode_png(picture),
}
