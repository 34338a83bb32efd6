"""From stored values to the modality's own unit: a rescale or a table (PS3.3 C.11.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.pixels.description import PixelDescription
from pacs.pixels.elements import read_decimals, read_items, read_texts
from pacs.pixels.functional_groups import find_macro
from pacs.pixels.lookup_table import LookupTable, read_lookup_table

# For these the Modality LUT leads back to X-ray intensity and is not meant for display (PS3.3 C.8.7.1).
_NOT_FOR_DISPLAY = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.12.1",  # X-Ray Angiographic Image Storage
        "1.2.840.10008.5.1.4.1.1.12.2",  # X-Ray Radiofluoroscopic Image Storage
        "1.2.840.10008.5.1.4.1.1.12.3",  # X-Ray Angiographic Bi-Plane Image Storage, retired
    }
)


@dataclass(frozen=True, slots=True)
class Rescale:
    """The linear Modality LUT: output = slope x stored value + intercept."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Map values of any shape."""
        return np.asarray(values, np.float64) * self.slope + self.intercept


ModalityLut: TypeAlias = Rescale | LookupTable


def read_modality_lut(attributes: Dataset, frame_index: int, description: PixelDescription) -> ModalityLut:
    """Read the transformation from stored values to the modality's unit, for a frame (0-based).

    A table comes before a rescale, the Pixel Value Transformation functional group before the data set. A
    slope of zero or a damaged rescale leaves the values as they are.

    Raises
    ------
    UndecodablePixels
        The Modality LUT is damaged.

    References
    ----------
    PS3.3 C.11.1, C.7.6.16.2.9
    """
    if (read_texts(attributes, "SOPClassUID") or [""])[0] in _NOT_FOR_DISPLAY:
        return Rescale()
    source = find_macro(attributes, frame_index, "PixelValueTransformationSequence") or attributes
    return read_stated_modality_lut(source, description, table_source=attributes)


def read_stated_modality_lut(
    source: Dataset, description: PixelDescription, table_source: Dataset | None = None
) -> ModalityLut:
    """Read the Modality LUT that a data set or an item states, whatever its kind.

    Parameters
    ----------
    source
        Where the rescale is, and the table too unless ``table_source`` says otherwise.
    description
        The image that it is for.

    Raises
    ------
    UndecodablePixels
        The Modality LUT is damaged.
    """
    items = read_items(source if table_source is None else table_source, "ModalityLUTSequence")
    if items:
        return read_lookup_table(items[0], description.is_signed, description.transfer_syntax.big_endian)
    slope = (read_decimals(source, "RescaleSlope") or [1.0])[0]
    intercept = (read_decimals(source, "RescaleIntercept") or [0.0])[0]
    return Rescale(slope, intercept) if slope else Rescale()


def can_be_negative(modality_lut: ModalityLut, description: PixelDescription) -> bool:
    """Tell whether what comes next is described as signed (PS3.3 C.11.2.1.1)."""
    return isinstance(modality_lut, Rescale) and (description.is_signed or modality_lut.intercept < 0)


def output_range(modality_lut: ModalityLut, description: PixelDescription) -> tuple[float, float]:
    """Return the lowest and the highest value that the Modality LUT can put out for an image of integers."""
    if isinstance(modality_lut, LookupTable):
        return 0.0, float(modality_lut.highest_output)
    span = 1 << description.bits_stored
    lowest = -(span // 2) if description.is_signed else 0
    ends = modality_lut.apply(np.array([lowest, lowest + span - 1]))
    return float(ends.min()), float(ends.max())
