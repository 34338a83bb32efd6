"""Windows: which range of values is shown, from black to white (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.errors import InvalidRequest
from pacs.pixels.elements import read_decimals, read_texts
from pacs.pixels.functional_groups import find_macro

LINEAR = "LINEAR"
LINEAR_EXACT = "LINEAR_EXACT"
SIGMOID = "SIGMOID"
FUNCTIONS = (LINEAR, LINEAR_EXACT, SIGMOID)


@dataclass(frozen=True, slots=True)
class Window:
    """A window in the unit of the modality's output (Hounsfield units, for CT), with its VOI LUT Function.

    Raises
    ------
    InvalidRequest
        Center or width is not finite, the width not above zero, or the function not one of the Standard's.
    """

    center: float
    width: float
    function: str = LINEAR
    explanation: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.center) and math.isfinite(self.width) and self.width > 0):
            raise InvalidRequest("a window needs a finite center and a width above zero")
        if self.function not in FUNCTIONS:
            raise InvalidRequest(f"the window's function is not one of {', '.join(FUNCTIONS)}")

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Map values of any shape to 0 (black) up to 1 (white).

        References
        ----------
        PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT)
        """
        if self.function == SIGMOID:
            # Beyond 700 the exponential overflows, and the outcome is 0 or 1 all the same.
            exponent = np.clip(-4 * (values - self.center) / self.width, -700, 700)
            return np.asarray(1 / (1 + np.exp(exponent)))
        center, width = self.center, self.width
        if self.function == LINEAR and width >= 1:  # a smaller width is only defined for LINEAR_EXACT
            center, width = center - 0.5, width - 1
        if width == 0:
            return (np.asarray(values) > center).astype(np.float64)
        return np.clip((values - np.float64(center)) / width + 0.5, 0, 1)


def default_windows(attributes: Dataset, frame_index: int) -> list[Window]:
    """List the windows that the data set offers for a frame, the preferred one first.

    Parameters
    ----------
    attributes
        The data set without pixel data.
    frame_index
        0-based. The Frame VOI LUT functional group, of the frame or shared, comes before the data set itself.

    Returns
    -------
    list of Window
        With their explanations. Windows that cannot be used (no width, a function of the device's own) are
        left out; the list is empty where none is left.

    References
    ----------
    PS3.3 C.11.2, C.7.6.16.2.10
    """
    macro = find_macro(attributes, frame_index, "FrameVOILUTSequence")
    return (read_windows(macro) if macro is not None else []) or read_windows(attributes)


def read_windows(attributes: Dataset) -> list[Window]:
    """List the usable windows of a data set or of an item, in their order (PS3.3 C.11.2)."""
    centers, widths = read_decimals(attributes, "WindowCenter"), read_decimals(attributes, "WindowWidth")
    explanations = read_texts(attributes, "WindowCenterWidthExplanation")
    functions = read_texts(attributes, "VOILUTFunction") or [LINEAR]
    windows = []
    for index, (center, width) in enumerate(zip(centers, widths, strict=False)):
        explanation = explanations[index] if index < len(explanations) else ""
        try:
            windows.append(Window(center, width, functions[0].upper() or LINEAR, explanation))
        except InvalidRequest:
            continue
    return windows
