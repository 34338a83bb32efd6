"""DICOM files on a disk, read by the archive's own rules."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs.dicom.beginning import recognise_bare_dataset
from pacs.dicom.deflated import inflate
from pacs.dicom.header import PixelData, scan_header
from pacs.dicom.part10 import encode_file_meta, split_part10
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES, TransferSyntax
from pacs.errors import UnreadableInstance
from pacs.pixels.decode import decode_frame
from pacs.pixels.description import PixelDescription, describe_pixels
from pacs.pixels.frames import read_encoded_frames

_KEYWORDS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}


@dataclass(frozen=True)
class ImageFile:
    """The pixel data of a file; ``stream`` is the data set without what stands before it, inflated."""

    transfer_syntax_uid: str
    stream: BinaryIO
    pixel_data: PixelData
    attributes: Dataset

    def describe(self) -> PixelDescription:
        """Describe the pixels as the archive would; raises what ``describe_pixels`` raises."""
        return describe_pixels(self.attributes, self.transfer_syntax_uid, _KEYWORDS[self.pixel_data.tag])

    def read_frames(self, description: PixelDescription, frame_indices: Iterable[int]) -> Iterator[bytes]:
        """Read frames as they are stored; raises what ``read_encoded_frames`` raises."""
        found = self.pixel_data
        return read_encoded_frames(
            self.stream, found.offset, found.size_bytes, description, frame_indices, self.attributes
        )

    def decode(self, description: PixelDescription, frame_index: int) -> np.ndarray:
        """Decode a frame to its stored values; raises what ``decode_frame`` raises."""
        (encoded,) = self.read_frames(description, [frame_index])
        return decode_frame(encoded, description)


def open_image(path: Path) -> ImageFile | None:
    """Open a file at its pixel data; None where it has none.

    Raises
    ------
    pacs.errors.UnreadableInstance
        It is not a DICOM file, or a damaged one.
    """
    syntax, encoded = _split(path.read_bytes())
    pixel_data = scan_header(encoded, syntax).pixel_data
    if pixel_data is None:
        return None
    written = EXPLICIT_VR_LITTLE_ENDIAN if syntax.deflated else syntax.uid
    head = encode_file_meta("", "", written) + encoded[: pixel_data.offset]
    try:
        attributes = dcmread(io.BytesIO(head), stop_before_pixels=True, force=True)
    except Exception as error:  # what pydicom raises on damage is not one tree
        raise UnreadableInstance(f"pydicom cannot read the data set: {type(error).__name__}") from error
    return ImageFile(syntax.uid, io.BytesIO(encoded), pixel_data, attributes)


def _split(content: bytes) -> tuple[TransferSyntax, bytes]:
    """Return transfer syntax and data set of a file, also of one without preamble or without any head."""
    if content[128:132] != b"DICM":
        syntax = recognise_bare_dataset(content[:4096])
        if syntax is not None:
            return syntax, content
        if content.startswith(b"\x02\x00"):
            content = bytes(128) + b"DICM" + content
    meta, rest = split_part10([content])
    if meta.transfer_syntax_uid not in TRANSFER_SYNTAXES:
        raise UnreadableInstance(f"the transfer syntax {meta.transfer_syntax_uid!r} is not known")
    syntax, encoded = TRANSFER_SYNTAXES[meta.transfer_syntax_uid], b"".join(rest)
    return syntax, inflate(encoded) if syntax.deflated else encoded
