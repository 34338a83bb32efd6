"""The picture that stands for a video."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels import video
from pacs.pixels.decoding_processes import DecodingProcesses
from pacs.pixels.description import PixelDescription
from pacs.pixels.frames import read_video
from tests.unit.pacs.pixels.images import describe, encapsulate
from tests.unit.pacs.pixels.test_decoding_processes import processes

MPEG2, H264, HEVC = (f"1.2.840.10008.1.2.4.{number}" for number in (100, 102, 107))
ROWS, COLUMNS = 96, 128
COLOR = (200, 120, 40)

# Containers and elementary streams, by what FFmpeg calls format and encoder.
KINDS = {
    "MPEG2 elementary": (MPEG2, "mpeg2video", "mpeg2video"),
    "MPEG2 program stream": (MPEG2, "mpeg", "mpeg2video"),
    "H.264 in MP4": (H264, "mp4", "libx264"),
    "H.264 in a transport stream": (H264, "mpegts", "libx264"),
    "H.264 elementary": (H264, "h264", "libx264"),
    "HEVC in MP4": (HEVC, "mp4", "libx265"),
    "HEVC elementary": (HEVC, "hevc", "libx265"),
}


@pytest.fixture(scope="module")
def decoding() -> Iterator[DecodingProcesses]:
    with processes(1) as pool:
        yield pool


def describe_video(transfer_syntax_uid: str, **changes: object) -> PixelDescription:
    values = {
        "Rows": ROWS,
        "Columns": COLUMNS,
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "YBR_PARTIAL_420",
        "BitsAllocated": 8,
        "BitsStored": 8,
        "NumberOfFrames": 5,
    }
    return describe(transfer_syntax_uid, **{**values, **changes})


def film(container: str, codec: str) -> bytes:
    """Encode five frames: the first of one colour, the others black."""
    written = io.BytesIO()
    with av.open(written, "w", format=container) as output:
        stream = output.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = COLUMNS, ROWS, "yuv420p"
        for number in range(5):
            image = np.full((ROWS, COLUMNS, 3), COLOR if number == 0 else 0, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())
    return written.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_frame_is_decoded(decoding: DecodingProcesses, kind: str) -> None:
    uid, container, codec = KINDS[kind]
    values = decoding.decode_poster(film(container, codec), describe_video(uid))
    assert values.shape == (ROWS, COLUMNS, 3) and values.dtype == np.uint8
    assert np.abs(values.astype(int) - COLOR).max() <= 12


def test_what_is_made_of_a_video_is_described_as_rgb() -> None:
    made = video.poster_description(describe_video(H264))
    assert (made.photometric_interpretation, made.samples_per_pixel, made.bits_stored) == ("RGB", 3, 8)
    assert (made.number_of_frames, made.frame_size_bytes) == (1, ROWS * COLUMNS * 3)


@pytest.mark.parametrize("changes", [{"Rows": ROWS + 16}, {"Columns": COLUMNS - 2}])
def test_a_video_of_another_size_is_refused(decoding: DecodingProcesses, changes: dict[str, int]) -> None:
    with pytest.raises(UndecodablePixels):
        decoding.decode_poster(film("mp4", "libx264"), describe_video(H264, **changes))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(1000),
        b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:9,\nhttp://127.0.0.1:1/secret.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\0\0\0\x20ftypisom" + bytes(500),
        b"\0\0\1\xb3" + bytes(500),
        film("mp4", "libx264")[:60],
    ],
)
def test_what_is_no_video_is_refused(decoding: DecodingProcesses, data: bytes) -> None:
    with pytest.raises(UndecodablePixels):
        decoding.decode_poster(data, describe_video(H264))


def test_damaged_videos_are_decoded_or_refused(decoding: DecodingProcesses) -> None:
    sound = film("mp4", "libx264")
    random = np.random.default_rng(3)
    for _ in range(60):
        damaged = np.frombuffer(sound, np.uint8).copy()
        damaged[random.integers(0, len(damaged), 20)] = random.integers(0, 256, 20)
        try:
            values = decoding.decode_poster(damaged.tobytes(), describe_video(H264))
        except UndecodablePixels as error:
            assert "died" not in str(error)
        else:
            assert values.shape == (ROWS, COLUMNS, 3)


def test_without_its_package_there_is_no_picture(
    decoding: DecodingProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "find_spec", lambda _: None)
    with pytest.raises(PixelsUnavailable) as caught:
        decoding.decode_poster(film("mp4", "libx264"), describe_video(H264))
    assert not isinstance(caught.value, UndecodablePixels) and "filmless[video]" in str(caught.value)


def test_only_the_beginning_of_a_long_video_is_read() -> None:
    value = io.BytesIO(encapsulate([b"first ", b"second", b"third "]))
    assert read_video(value, 0, None, 100) == b"first secondthird "
    assert read_video(value, 0, None, 9) == b"first sec"
    assert read_video(value, 0, None, 6) == b"first "
