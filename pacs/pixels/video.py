"""A picture that stands for a video: its first frame, where the optional package PyAV is installed.

Videos themselves go to browsers as they are stored; only who wants a picture gets this.
"""

from __future__ import annotations

import io
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.pixel_description import PixelDescription

Samples: TypeAlias = npt.NDArray[Any]

# Most of a minute of video, and the index of an MP4 of that length where it stands at the end.
BEGINNING_SIZE_BYTES: Final = 64 << 20

_MPEG_TS_PACKET_SIZE_BYTES: Final = 188
_HEVC: Final = frozenset({"1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.108"})


def poster_description(description: PixelDescription) -> PixelDescription:
    """Describe the picture that stands for a video, as :func:`decode_poster` gives it.

    Raises
    ------
    PixelsUnavailable
        PyAV is not installed.
    """
    if find_spec("av") is None:
        raise PixelsUnavailable("pictures of videos need the package av: pip install filmless[video]")
    return replace(
        description,
        samples_per_pixel=3,
        bits_allocated=8,
        bits_stored=8,
        high_bit=7,
        pixel_representation=0,
        photometric_interpretation="RGB",
        planar_configuration=0,
        number_of_frames=1,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
    )


def decode_poster(data: bytes, description: PixelDescription) -> Samples:
    """Decode the first frame of a video.

    Parameters
    ----------
    data
        The beginning of the video, its fragments joined.
    description
        Of the object as it is stored.

    Returns
    -------
    ndarray
        ``(rows, columns, 3)`` uint8, RGB.

    Raises
    ------
    UndecodablePixels
        It is no video of this transfer syntax, damaged, or of another size than the data set says.

    References
    ----------
    PS3.5 8.2.5 to 8.2.8, 8.2.12, 8.2.13
    """
    import av  # noqa: PLC0415 - optional, and 40 MB

    try:
        with av.open(io.BytesIO(data), "r", format=_container(data, description)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            values = next(container.decode(stream)).to_ndarray(format="rgb24")
    except Exception as error:  # FFmpeg's own, and those of PyAV on a file without streams or codecs
        raise UndecodablePixels(f"the video cannot be decoded ({type(error).__name__})") from error
    if values.shape != (description.rows, description.columns, 3):
        raise UndecodablePixels(f"the video is {values.shape}, not what the data set says")
    return np.ascontiguousarray(values)


def _container(data: bytes, description: PixelDescription) -> str:
    """Name the format; left to itself FFmpeg would also take playlists, and fetch what they name."""
    if data[4:8] == b"ftyp":
        return "mp4"
    if data[:1] == b"G" == data[_MPEG_TS_PACKET_SIZE_BYTES : _MPEG_TS_PACKET_SIZE_BYTES + 1]:
        return "mpegts"
    if data.startswith(b"\0\0\1\xba"):
        return "mpeg"
    if data.startswith(b"\0\0\1\xb3"):
        return "mpegvideo"
    if data.startswith((b"\0\0\0\1", b"\0\0\1")):
        return "hevc" if description.transfer_syntax_uid in _HEVC else "h264"
    raise UndecodablePixels("the pixel data does not begin like a video")
