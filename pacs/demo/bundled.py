"""Real images that ship inside the wheel of pydicom: small, of many makers, in many transfer syntaxes."""

from __future__ import annotations

from pathlib import Path

import pydicom.data

# Complete instances with valid UIDs, each SOP Instance once (pydicom's tests hold many variants of some).
_NAMES = (
    "CT_small.dcm",  # CT, Explicit VR Little Endian
    "MR_small_implicit.dcm",  # MR, Implicit VR Little Endian
    "examples_overlay.dcm",  # MR with an overlay
    "JPEG2000.dcm",  # NM as secondary capture, JPEG 2000
    "examples_rgb_color.dcm",  # US, RGB
    "examples_palette.dcm",  # US, palette
    "examples_ybr_color.dcm",  # US clip, JPEG Baseline
    "examples_jpeg2k.dcm",  # US, JPEG 2000 in colour
    "SC_rgb_rle.dcm",  # secondary capture, RLE
    "SC_rgb_jpeg_dcmtk.dcm",  # secondary capture, JPEG Baseline
)


def bundled_files() -> list[Path]:
    """Name those of the files that this installation of pydicom has; nothing is downloaded."""
    folder = Path(pydicom.data.__file__).parent / "test_files"
    return [path for path in (folder / name for name in _NAMES) if path.is_file()]
