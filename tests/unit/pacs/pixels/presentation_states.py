"""Presentation states made by hand, for an image whose UID is IMAGE_UID."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from pacs.pixels.appearance import Appearance
from pacs.pixels.description import describe_pixels
from pacs.pixels.presentation_state import read_presentation_state
from pacs.pixels.render import render_frame
from tests.unit.pacs.pixels.images import EXPLICIT, image_attributes

IMAGE_UID = "1.2.3.4"
GRAYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def reference(uid: str = IMAGE_UID, frames: Any = None) -> Dataset:
    made = item(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID=uid)
    if frames is not None:
        made.ReferencedFrameNumber = frames
    return made


def state_attributes(**changes: Any) -> Dataset:
    """Make a presentation state that shows the whole image as it is; None removes an attribute."""
    values: dict[str, Any] = {
        "SOPClassUID": GRAYSCALE,
        "SOPInstanceUID": "1.2.3.5",
        "ReferencedSeriesSequence": [item(ReferencedImageSequence=[reference()])],
        "PresentationLUTShape": "IDENTITY",
        **changes,
    }
    return item(**{keyword: value for keyword, value in values.items() if value is not None})


def displayed_area(
    top_left: tuple[int, int], bottom_right: tuple[int, int], mode: str = "SCALE TO FIT", **more: Any
) -> Dataset:
    return item(
        DisplayedAreaTopLeftHandCorner=list(top_left),
        DisplayedAreaBottomRightHandCorner=list(bottom_right),
        PresentationSizeMode=mode,
        **more,
    )


def annotation(
    graphics: list[Dataset] | None = None, words: list[Dataset] | None = None, layer: str = "L", **more: Any
) -> Dataset:
    made = item(GraphicLayer=layer, **more)
    if graphics:
        made.GraphicObjectSequence = graphics
    if words:
        made.TextObjectSequence = words
    return made


def graphic(kind: str, *numbers: float, units: str = "PIXEL", filled: str = "N") -> Dataset:
    return item(
        GraphicAnnotationUnits=units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(numbers) // 2,
        GraphicData=list(numbers),
        GraphicType=kind,
        GraphicFilled=filled,
    )


def words(text: str, box: tuple[float, float, float, float], units: str = "PIXEL", **more: Any) -> Dataset:
    return item(
        UnformattedTextValue=text,
        BoundingBoxAnnotationUnits=units,
        BoundingBoxTopLeftHandCorner=list(box[:2]),
        BoundingBoxBottomRightHandCorner=list(box[2:]),
        BoundingBoxTextHorizontalJustification="LEFT",
        **more,
    )


def show(stored: np.ndarray, state: Dataset, image: dict[str, Any] | None = None, **asked: Any) -> np.ndarray:
    """Show an image of eight bits, unless ``image`` says otherwise, through a presentation state."""
    values = {"BitsAllocated": 8, "BitsStored": 8, "SOPInstanceUID": IMAGE_UID, **(image or {})}
    attributes = image_attributes(Rows=stored.shape[0], Columns=stored.shape[1], **values)
    appearance = Appearance(presentation=read_presentation_state(state), **asked)
    return render_frame(stored, attributes, describe_pixels(attributes, EXPLICIT), 0, appearance)


def black(rows: int, columns: int) -> np.ndarray:
    return np.zeros((rows, columns), np.uint8)
