"""What a client needs to show stored values exactly as the server does, as JSON."""

from __future__ import annotations

import base64
from typing import Any

import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.pixels.description import PixelDescription
from pacs.pixels.geometry import read_pixel_aspect_ratio
from pacs.pixels.grayscale import read_transformation
from pacs.pixels.lookup_table import LookupTable
from pacs.pixels.modality_lut import ModalityLut
from pacs.pixels.presentation_lut import Polarity
from pacs.pixels.voi import Voi, list_vois


def describe_presentation(
    stored_values: npt.NDArray[Any], attributes: Dataset, description: PixelDescription, frame_index: int
) -> dict[str, Any]:
    """Describe how a grayscale frame (0-based) is shown unasked, for a client to do the same.

    A gray level is ``floor(255 x P + 1e-7)``, P being what Modality LUT, VOI and Presentation LUT make of the
    stored value, in double precision; padding is 0.

    Returns
    -------
    dict
        - ``modality_lut``: ``{"slope", "intercept"}``, or a table.
        - ``default_voi``: the window or table of a frame that nothing is asked of.
        - ``vois``: all windows and tables that the data set offers; the n-th is what ``voi=n`` asks for.
        - ``inverted``: whether the lowest value is white; ``presentation_lut``: a table, or None.
        - ``padding``: ``[lowest, highest]`` stored value that is no pixel, or None.
        - ``pixel_aspect_ratio``: height divided by width of a pixel.

        A window is ``{"center", "width", "function", "explanation"}``. A table is ``{"first_value",
        "bits_per_entry", "explanation", "entries"}``, the entries being base64 of unsigned little endian
        integers of 16 bits.

    Raises
    ------
    UndecodablePixels
        A lookup table is damaged.

    References
    ----------
    PS3.3 C.11.1, C.11.2, C.11.6; PS3.4 N.2
    """
    shown = read_transformation(stored_values, attributes, description, frame_index, None)
    lut = shown.presentation_lut
    return {
        "modality_lut": _describe_modality_lut(shown.modality_lut),
        "default_voi": _describe_voi(shown.voi),
        "vois": [
            _describe_voi(voi) for voi in list_vois(attributes, frame_index, shown.modality_lut, description)
        ],
        "inverted": isinstance(lut, Polarity) and lut.inverted,
        "presentation_lut": None if isinstance(lut, Polarity) else _describe_table(lut),
        "padding": None if shown.padding is None else [shown.padding.lowest, shown.padding.highest],
        "pixel_aspect_ratio": read_pixel_aspect_ratio(attributes, frame_index),
    }


def _describe_modality_lut(modality_lut: ModalityLut) -> dict[str, Any]:
    if isinstance(modality_lut, LookupTable):
        return _describe_table(modality_lut)
    return {"slope": modality_lut.slope, "intercept": modality_lut.intercept}


def _describe_voi(voi: Voi) -> dict[str, Any]:
    if isinstance(voi, LookupTable):
        return _describe_table(voi)
    return {
        "center": voi.center,
        "width": voi.width,
        "function": voi.function,
        "explanation": voi.explanation,
    }


def _describe_table(table: LookupTable) -> dict[str, Any]:
    return {
        "first_value": table.first_value,
        "bits_per_entry": table.bits_per_entry,
        "explanation": table.explanation,
        "entries": base64.b64encode(table.entries.astype("<u2").tobytes()).decode("ascii"),
    }
