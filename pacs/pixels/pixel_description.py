"""What is known of an image before its pixel data is read.

Apart from :mod:`pacs.pixels.description`, which fills it in, so that decoding processes need no pydicom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The Image Pixel module (PS3.3 C.7.6.3) with its gaps filled; every value is in range.

    ``keyword`` names the element that holds the pixels: ``PixelData``, ``FloatPixelData`` or
    ``DoubleFloatPixelData``; for the page of a document, ``EncapsulatedDocument``.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    photometric_interpretation: str
    planar_configuration: int
    number_of_frames: int
    keyword: str
    transfer_syntax_uid: str

    @property
    def transfer_syntax(self) -> TransferSyntax:
        """How the data set is encoded."""
        return TRANSFER_SYNTAXES[self.transfer_syntax_uid]

    @property
    def is_signed(self) -> bool:
        """Whether stored values are two's complement integers."""
        return self.pixel_representation == 1

    @property
    def is_monochrome(self) -> bool:
        """Whether the frame goes through the grayscale pipeline."""
        return self.photometric_interpretation in ("MONOCHROME1", "MONOCHROME2")

    @property
    def pixels_per_frame(self) -> int:
        """Rows x columns."""
        return self.rows * self.columns

    @property
    def samples_per_frame(self) -> int:
        """Rows x columns x samples, in a decoded frame."""
        return self.pixels_per_frame * self.samples_per_pixel

    @property
    def frame_size_bytes(self) -> int:
        """Size of a decoded frame."""
        return self.samples_per_frame * self.dtype.itemsize

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of a decoded frame: ``(rows, columns)`` or ``(rows, columns, samples)``."""
        if self.samples_per_pixel == 1:
            return (self.rows, self.columns)
        return (self.rows, self.columns, self.samples_per_pixel)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of a decoded sample, in the machine's byte order."""
        if self.keyword in ("FloatPixelData", "DoubleFloatPixelData"):
            return np.dtype(f"f{self.bits_allocated // 8}")
        size_bytes = next(size for size in (1, 2, 4) if self.bits_allocated <= 8 * size)
        return np.dtype(f"{'i' if self.is_signed else 'u'}{size_bytes}")

    @property
    def is_packed(self) -> bool:
        """Whether pixel cells lie bit by bit behind one another, and not in one, two or four bytes each."""
        return self.keyword == "PixelData" and self.bits_allocated not in (8, 16, 32)
