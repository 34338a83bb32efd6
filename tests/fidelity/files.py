"""Which DICOM files the fidelity tests look at: those of a folder of yours, or of the shared data."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from pacs.errors import PixelsUnavailable, UnreadableInstance
from pacs.pixels.description import PixelDescription
from tests.data import read_manifest, shared_data
from tests.fidelity.image_files import ImageFile, open_image

# `make fidelity DATA=folder` says so; every file of it is looked at.
DATA = os.environ.get("FIDELITY_DATA")
_OF_EACH_FOLDER = 4  # of the shared data, in the suite: the slices of a series are alike


def folders() -> dict[str, list[Path]]:
    """List files by folder, without those of the shared data that are broken on purpose."""
    found: dict[str, list[Path]] = defaultdict(list)
    if DATA:
        for path in sorted(Path(DATA).rglob("*")):
            if path.is_file():
                found[str(path.parent.relative_to(DATA))].append(path)
        return dict(found)
    for row in read_manifest():
        folder = row["file"].split("/")[0]
        if not folder.startswith("malformed"):
            found[folder].append(shared_data(row["file"]))
    return {folder: _pick(files) for folder, files in found.items()}


def open_if_grayscale(path: Path) -> tuple[ImageFile, PixelDescription] | None:
    """Open an image that has gray levels; None where a file is none, or nobody can read it."""
    try:
        image = open_image(path)
        description = None if image is None else image.describe()
    except (UnreadableInstance, PixelsUnavailable):
        return None
    return (image, description) if image and description and description.is_monochrome else None


def _pick(files: list[Path]) -> list[Path]:
    """Pick evenly from those long series whose files are of one size; take all of the others."""
    sizes = {path.stat().st_size // 4096 for path in files}
    return files if len(sizes) > _OF_EACH_FOLDER else files[:: -(-len(files) // _OF_EACH_FOLDER)]
