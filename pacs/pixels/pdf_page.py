"""The first page of a PDF as a picture, where the optional package pypdfium2 is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from pacs.errors import PixelsUnavailable, UndecodablePixels
from pacs.pixels.pixel_description import PixelDescription

Samples: TypeAlias = npt.NDArray[Any]

DOCUMENT_KEYWORD: Final = "EncapsulatedDocument"
# A4 at 150 dots an inch; other pages are fitted into it, on white.
_PAGE: Final = PixelDescription(
    rows=1754,
    columns=1240,
    samples_per_pixel=3,
    bits_allocated=8,
    bits_stored=8,
    high_bit=7,
    pixel_representation=0,
    photometric_interpretation="RGB",
    planar_configuration=0,
    number_of_frames=1,
    keyword=DOCUMENT_KEYWORD,
    transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
)


def page_description() -> PixelDescription:
    """Describe the picture of a page, as :func:`draw_page` gives it.

    Raises
    ------
    PixelsUnavailable
        pypdfium2 is not installed.
    """
    if find_spec("pypdfium2") is None:
        raise PixelsUnavailable("pictures of PDFs need the package pypdfium2: pip install filmless[pdf]")
    return _PAGE


def draw_page(document: bytes, description: PixelDescription) -> Samples:
    """Draw the first page of a PDF as ``(rows, columns, 3)`` uint8, RGB, without running anything in it.

    PDFium reads what anybody may have sent: it belongs into a process of its own,
    :mod:`pacs.pixels.decoding_processes`.

    Raises
    ------
    UndecodablePixels
        It is damaged, has no page, or wants a password.
    """
    import pypdfium2  # noqa: PLC0415 - an extra

    try:
        with pypdfium2.PdfDocument(document) as opened:
            page = opened[0]
            scale = min(description.columns / page.get_width(), description.rows / page.get_height())
            drawn = page.render(scale=scale, may_draw_forms=False, rev_byteorder=True).to_numpy()
    except (pypdfium2.PdfiumError, IndexError, ZeroDivisionError, ValueError) as error:
        raise UndecodablePixels("the PDF cannot be read") from error
    picture = np.full(description.frame_shape, 255, np.uint8)
    part = drawn[: description.rows, : description.columns, :3]
    picture[: part.shape[0], : part.shape[1]] = part
    return picture
