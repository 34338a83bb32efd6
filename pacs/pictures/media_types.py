"""The media types that a frame can be written in (PS3.18 8.7.4)."""

from __future__ import annotations

from typing import Final

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
GIF: Final = "image/gif"
WEBP: Final = "image/webp"
JP2: Final = "image/jp2"
MP4: Final = "video/mp4"
PNG_16: Final = "image/png; bits=16"  # P-Values from 0 to 65535, of grayscale
