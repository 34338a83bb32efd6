"""From a decoded frame to a picture for a browser."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs import __version__
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import InvalidRequest, PixelsUnavailable
from pacs.index.records import StoredInstance
from pacs.pictures.annotations import annotate
from pacs.pictures.color_profile import embed_in_jpeg, embed_in_png
from pacs.pictures.media_types import GIF, JP2, JPEG, PNG, PNG_16, WEBP
from pacs.pixels.appearance import AS_STORED, Appearance
from pacs.pixels.encode import (
    encode_gif,
    encode_jp2,
    encode_jpeg,
    encode_png,
    encode_png_16,
    encode_webp,
)
from pacs.pixels.grayscale import read_transformation
from pacs.pixels.pixel_description import PixelDescription
from pacs.pixels.render import render_frame

DEFAULT_QUALITY: Final = 90

Picture: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a frame is to become a file.

    Parameters
    ----------
    quality
        Of a lossy media type, 1 to 100.
    annotations
        What is burnt in: see :mod:`pacs.pictures.annotations`.
    has_profile
        Whether the file of a colour image says that its colours are sRGB.
    is_cine
        Whether all frames are shown, one after the other.
    """

    appearance: Appearance = AS_STORED
    media_type: str = JPEG
    quality: int = DEFAULT_QUALITY
    annotations: tuple[str, ...] = ()
    has_profile: bool = False
    is_cine: bool = False


@dataclass(frozen=True)
class ShownFrame:
    """A frame (1-based) of an instance, and how it is to be shown."""

    instance: StoredInstance
    frame_number: int
    rendering: Rendering

    @cached_property
    def digest(self) -> str:
        """Name of the picture before it is made: 64 hexadecimal digits of all that it depends on."""
        facts = (__version__, self.instance.location.sha256, self.frame_number, self.rendering)
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
    if rendering.media_type == PNG_16:
        return encode_png_16(_find_p_values(frame, rendering))
    return encode_picture(draw(frame, rendering), rendering)


def encode_picture(picture: Picture, rendering: Rendering) -> bytes:
    """Encode a picture as a file of the media type that is asked for.

    Raises
    ------
    pacs.errors.PixelsUnavailable
        The media type cannot hold it.
    """
    file = _ENCODERS[rendering.media_type](picture, rendering.quality)
    if rendering.has_profile and picture.ndim == 3:
        if rendering.media_type not in _PROFILED:
            raise PixelsUnavailable(f"{rendering.media_type} is not offered with an ICC profile")
        return _PROFILED[rendering.media_type](file)
    return file


def draw(frame: DecodedFrame, rendering: Rendering) -> Picture:
    """Render a frame with its annotations as ``(height, width[, 3])``; raises what `make_picture` raises."""
    picture = render_frame(
        frame.stored_values,
        frame.attributes,
        frame.description,
        frame.frame_index,
        rendering.appearance,
        frame.encoded_frame,
    )
    return annotate(picture, frame.attributes, rendering.annotations)


def _find_p_values(frame: DecodedFrame, rendering: Rendering) -> npt.NDArray[np.uint16]:
    """Return the P-Values of a whole grayscale frame, 0 to 65535, without overlays and annotations."""
    if not frame.description.is_monochrome:
        raise PixelsUnavailable("colour images have no P-Values of 16 bits")
    if rendering.annotations or rendering.appearance != Appearance(voi=rendering.appearance.voi):
        raise InvalidRequest("P-Values of 16 bits come of the whole image, with a window and nothing else")
    transformation = read_transformation(
        frame.stored_values,
        frame.attributes,
        frame.description,
        frame.frame_index,
        rendering.appearance.voi,
    )
    return transformation.compute_16_bits(frame.stored_values)


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
    WEBP: encode_webp,
    JP2: lambda picture, _: encode_jp2(picture),
    GIF: lambda picture, _: encode_gif([picture], 0),
}
_PROFILED: Final[Mapping[str, Callable[[bytes], bytes]]] = {JPEG: embed_in_jpeg, PNG: embed_in_png}
