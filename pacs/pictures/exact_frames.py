"""Frames with all that a client needs to show them as the server does, and to measure in them.

The file is the length of a description (four bytes, little endian), the description (JSON in UTF-8), and the
stored values: in planes (:mod:`pacs.pixels.planes`), or as an HTJ2K codestream.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, Final

from pacs.errors import PixelsUnavailable
from pacs.pictures.rendering import DecodedFrame
from pacs.pixels.planes import encode_planes
from pacs.pixels.presentation_description import describe_presentation
from pacs.pixels.transcode import HTJ2K_LOSSLESS, encode_frame, transcodable_syntaxes

FORMAT: Final = 1  # of the file; a change that an older client would read wrongly gets a new number


class ExactEncoding(Enum):
    """How the stored values are written."""

    PLANES = "planes"
    HTJ2K = "htj2k"


def write_exact_frame(frame: DecodedFrame, encoding: ExactEncoding) -> bytes:
    """Write a frame with its description.

    Raises
    ------
    PixelsUnavailable
        HTJ2K cannot hold these pixels.
    UndecodablePixels
        A lookup table is damaged.
    """
    description = json.dumps(_describe(frame, encoding), separators=(",", ":")).encode()
    is_planes = encoding is ExactEncoding.PLANES
    values = encode_planes(frame.stored_values) if is_planes else _encode_htj2k(frame)
    return len(description).to_bytes(4, "little") + description + values


def write_presentation(frame: DecodedFrame) -> bytes:
    """Write how the stored values of a grayscale frame are shown, as JSON in UTF-8.

    Raises
    ------
    PixelsUnavailable
        The frame has colours, which are shown as they are.
    UndecodablePixels
        A lookup table is damaged.
    """
    if not frame.description.is_monochrome:
        raise PixelsUnavailable("colours have no window")
    return json.dumps(_present(frame), separators=(",", ":")).encode()


def _present(frame: DecodedFrame) -> dict[str, Any]:
    return describe_presentation(frame.stored_values, frame.attributes, frame.description, frame.frame_index)


def _describe(frame: DecodedFrame, encoding: ExactEncoding) -> dict[str, Any]:
    pixels = frame.description
    return {
        "format": FORMAT,
        "encoding": encoding.value,
        "rows": pixels.rows,
        "columns": pixels.columns,
        "samples_per_pixel": pixels.samples_per_pixel,
        "type": frame.stored_values.dtype.name,
        "bits_stored": pixels.bits_stored,
        "photometric_interpretation": pixels.photometric_interpretation,
        "presentation": _present(frame) if pixels.is_monochrome else None,
    }


def _encode_htj2k(frame: DecodedFrame) -> bytes:
    is_stored = frame.description.transfer_syntax_uid == HTJ2K_LOSSLESS
    if not is_stored and HTJ2K_LOSSLESS not in transcodable_syntaxes(frame.description):
        raise PixelsUnavailable("these pixels cannot be written as HTJ2K")
    return encode_frame(frame.stored_values, frame.description, HTJ2K_LOSSLESS)
