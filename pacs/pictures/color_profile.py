"""Saying inside a picture's file that its colours are those of sRGB (PS3.18 8.3.5.1.5)."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Final

from PIL import ImageCms

_JPEG_START: Final = b"\xff\xd8"
_PNG_HEAD_SIZE_BYTES: Final = 8 + 25  # the signature and IHDR


@cache
def srgb_profile() -> bytes:
    """Return an ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def embed_in_jpeg(file: bytes) -> bytes:
    """Put the profile into a JPEG, as the one chunk of its APP2 segments (ICC.1 Annex B.4)."""
    content = b"ICC_PROFILE\0\x01\x01" + srgb_profile()
    return _JPEG_START + b"\xff\xe2" + struct.pack(">H", len(content) + 2) + content + file[2:]


def embed_in_png(file: bytes) -> bytes:
    """Put the profile into a PNG, as its chunk iCCP."""
    content = b"iCCP" + b"sRGB\0\0" + zlib.compress(srgb_profile())
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return file[:_PNG_HEAD_SIZE_BYTES] + chunk + file[_PNG_HEAD_SIZE_BYTES:]
