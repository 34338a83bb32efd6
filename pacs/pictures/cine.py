"""All frames of an image one after the other: as an animated GIF, or as a video where PyAV is installed."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.errors import DecodingInterrupted, InvalidRequest, PixelsUnavailable
from pacs.pictures.media_types import GIF, MP4
from pacs.pictures.rendering import Picture
from pacs.pixels.elements import read_decimals
from pacs.pixels.encode import encode_gif
from pacs.pixels.pixel_description import PixelDescription

MAX_FRAMES: Final = 2000
MAX_PIXELS: Final = 1 << 26  # of all frames together, as they are shown: 256 of 512 x 512
MAX_DECODED_BYTES: Final = 4 << 30  # of all frames together, before they are made smaller
TIMEOUT_S: Final = 60.0  # for all frames together
_DEFAULT_TIME_MS: Final = 1000 / 15
_SHORTEST_MS, _LONGEST_MS = 10.0, 5000.0


def can_make_videos() -> bool:
    """Tell whether PyAV is installed."""
    return find_spec("av") is not None


def read_frame_time_ms(attributes: Dataset) -> float:
    """Return how long each frame is shown, in ms; 15 frames a second where the data set does not say.

    References
    ----------
    PS3.3 C.7.6.5, C.7.6.6
    """
    times = read_decimals(attributes, "FrameTime") or read_decimals(attributes, "FrameTimeVector")[1:2]
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        rates = [] if times else read_decimals(attributes, keyword)
        times = times or [1000 / rate for rate in rates[:1] if rate > 0]
    time_ms = times[0] if times and times[0] > 0 else _DEFAULT_TIME_MS
    return min(max(time_ms, _SHORTEST_MS), _LONGEST_MS)


def make_cine(
    pictures: Iterable[Picture], description: PixelDescription, frame_time_ms: float, media_type: str
) -> bytes:
    """Write pictures of one size as GIF or MP4.

    Parameters
    ----------
    description
        Of the frames that they will be made of.

    Raises
    ------
    InvalidRequest
        There are more than 2,000, they are made of more than 4 GiB, or together have more than 2**26 pixels.
    DecodingInterrupted
        They take longer than a minute.
    PixelsUnavailable
        A video is wanted and PyAV is not installed.
    """
    number = description.number_of_frames
    if number > MAX_FRAMES:
        raise InvalidRequest(f"more than {MAX_FRAMES} frames are not shown in one file")
    if number * description.frame_size_bytes > MAX_DECODED_BYTES:
        raise InvalidRequest(f"frames of more than {MAX_DECODED_BYTES} bytes are not shown in one file")
    bounded = _bounded(pictures, number)
    if media_type == GIF:
        return encode_gif(bounded, frame_time_ms)
    if media_type == MP4 and can_make_videos():
        return _encode_mp4(bounded, frame_time_ms)
    raise PixelsUnavailable("videos need the package av: pip install filmless[video]")


def _bounded(pictures: Iterable[Picture], number: int) -> Iterator[Picture]:
    deadline = time.monotonic() + TIMEOUT_S
    for picture in pictures:
        if time.monotonic() >= deadline:
            raise DecodingInterrupted(f"all frames together take longer than {TIMEOUT_S:g} s")
        if number * picture.shape[0] * picture.shape[1] > MAX_PIXELS:
            raise InvalidRequest("all frames together are too large: ask for a smaller viewport")
        yield picture


def _encode_mp4(pictures: Iterable[Picture], frame_time_ms: float) -> bytes:
    """Encode as H.264 in an MP4 that every browser plays; odd sides lose their last row or column."""
    import av  # noqa: PLC0415 - an extra

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        rate = Fraction(1000 / frame_time_ms).limit_denominator(1000)
        stream: Any = None
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(_with_even_sides(picture), format="rgb24")
            if stream is None:
                stream = container.add_stream("libx264", rate=rate)
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                stream.options = {"crf": "18", "preset": "veryfast"}
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def _with_even_sides(picture: Picture) -> npt.NDArray[np.uint8]:
    """Return ``(height, width, 3)`` with sides that H.264 can halve; a single row or column is doubled."""
    rows, columns = (max(side // 2 * 2, 2) for side in picture.shape[:2])
    colored = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    padding = ((0, max(rows - colored.shape[0], 0)), (0, max(columns - colored.shape[1], 0)), (0, 0))
    return np.ascontiguousarray(np.pad(colored, padding, mode="edge")[:rows, :columns])
