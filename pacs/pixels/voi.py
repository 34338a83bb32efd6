"""Values of interest: the windows and tables that a data set offers, and the choice (PS3.3 C.11.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest
from pacs.pixels.description import PixelDescription
from pacs.pixels.elements import read_items
from pacs.pixels.functional_groups import find_macro
from pacs.pixels.lookup_table import LookupTable, read_lookup_table
from pacs.pixels.modality_lut import ModalityLut, can_be_negative
from pacs.pixels.window import Window, default_windows

Voi: TypeAlias = Window | LookupTable

MAX_ALTERNATIVES = 256


@dataclass(frozen=True, slots=True)
class VoiChoice:
    """One of the alternatives of a data set: by its place, counted from 1, or by its explanation.

    Raises
    ------
    InvalidRequest
        Not exactly one of the two is given, or the place is not positive.
    """

    index: int | None = None
    explanation: str | None = None

    def __post_init__(self) -> None:
        if (self.index is None) == (self.explanation is None):
            raise InvalidRequest("a VOI is chosen by its place or by its explanation")
        if self.index is not None and self.index < 1:
            raise InvalidRequest("the places of VOIs are counted from 1")


def list_vois(
    attributes: Dataset, frame_index: int, modality_lut: ModalityLut, description: PixelDescription
) -> Iterator[Voi]:
    """List the alternatives of a frame (0-based), the preferred one first: the tables, then the windows.

    A table is the more exact statement of the two. What a frame says of itself, or the object of all frames,
    comes before what the data set says.

    Raises
    ------
    UndecodablePixels
        A table is damaged.

    References
    ----------
    PS3.3 C.11.2.1, C.7.6.16.2.10
    """
    macro = find_macro(attributes, frame_index, "FrameVOILUTSequence")
    items = (() if macro is None else read_items(macro, "VOILUTSequence")) or read_items(
        attributes, "VOILUTSequence"
    )
    is_signed = can_be_negative(modality_lut, description)
    for item in islice(items, MAX_ALTERNATIVES):
        yield read_lookup_table(item, is_signed, description.transfer_syntax.big_endian)
    yield from default_windows(attributes, frame_index)[:MAX_ALTERNATIVES]


def choose_voi(
    attributes: Dataset,
    frame_index: int,
    modality_lut: ModalityLut,
    description: PixelDescription,
    choice: VoiChoice,
) -> Voi:
    """Return the alternative that was asked for.

    Raises
    ------
    InvalidRequest
        The data set does not offer it.
    UndecodablePixels
        A table is damaged.
    """
    wanted = (choice.explanation or "").strip().casefold()
    for place, voi in enumerate(list_vois(attributes, frame_index, modality_lut, description), 1):
        if place == choice.index or (wanted and voi.explanation.casefold() == wanted):
            return voi
    raise InvalidRequest("the image offers no such window or VOI LUT")
