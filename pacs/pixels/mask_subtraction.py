"""Digital subtraction: an angiogram less what it showed before the contrast medium came (PS3.3 C.7.6.10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from pacs.pixels.description import PixelDescription
from pacs.pixels.elements import read_decimals, read_items, read_texts

# Enhanced ones shift by frame, and may have to be brought to logarithms first (PS3.3 C.7.6.16.2.13).
_SOP_CLASSES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.12.1",  # X-Ray Angiographic Image Storage
        "1.2.840.10008.5.1.4.1.1.12.2",  # X-Ray Radiofluoroscopic Image Storage
        "1.2.840.10008.5.1.4.1.1.12.3",  # X-Ray Angiographic Bi-Plane Image Storage, retired
    }
)
_MAX_FRAMES: Final = 32  # that are averaged: more is no mask of a device
_MAX_OPERATIONS: Final = 1024
# What the data set says of its own values; those of a difference are others.
_OF_NATIVE_VALUES: Final = (
    *("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction", "VOILUTSequence"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
)


@dataclass(frozen=True, slots=True)
class MaskOperation:
    """What is subtracted from what, for one frame of the picture.

    Parameters
    ----------
    contrast_frames, mask_frames
        1-based; each group is averaged, and the masks are taken from the contrast.
    shift
        By how many pixels the mask is moved before: towards the lower rows, and towards the left columns.
    """

    contrast_frames: tuple[int, ...]
    mask_frames: tuple[int, ...]
    shift: tuple[float, float] = (0.0, 0.0)


def read_mask_operation(
    attributes: Dataset, frame_number: int, number_of_frames: int
) -> MaskOperation | None:
    """Read what is to be subtracted from a frame (1-based); None where it is viewed as it is stored.

    So it is, unless the image recommends subtraction, and an operation of it applies to the frame: AVG_SUB or
    TID. A frame that is part of the mask, and one whose mask is not there, is viewed as it is stored.

    References
    ----------
    PS3.3 C.7.6.10, C.7.6.10.1
    """
    is_angiogram = (read_texts(attributes, "SOPClassUID") or [""])[0] in _SOP_CLASSES
    if not is_angiogram or read_texts(attributes, "RecommendedViewingMode")[:1] != ["SUB"]:
        return None
    for item in islice(read_items(attributes, "MaskSubtractionSequence"), _MAX_OPERATIONS):
        if not _applies(item, frame_number):
            continue
        masks = _mask_frames(item, frame_number)
        contrast = _contrast_frames(item, frame_number)
        is_possible = masks and len(masks) <= _MAX_FRAMES and len(contrast) <= _MAX_FRAMES
        if is_possible and all(1 <= one <= number_of_frames for one in (*masks, *contrast)):
            return None if frame_number in masks else MaskOperation(contrast, masks, _shift(item))
    return None


def subtract(
    contrast: Iterable[npt.NDArray[Any]],
    masks: Iterable[npt.NDArray[Any]],
    shift: tuple[float, float] = (0.0, 0.0),
) -> npt.NDArray[np.float32]:
    """Subtract the average of masks, all ``(rows, columns)``, from that of contrast frames.

    Where a shifted mask has no pixel, that of its edge is taken.

    References
    ----------
    PS3.3 C.7.6.10.1.1, C.7.6.10.1.2
    """
    difference: npt.NDArray[np.float32] = (_average(contrast) - _moved(_average(masks), shift)).astype(
        np.float32
    )
    return difference


def describe_difference(
    attributes: Dataset, description: PixelDescription
) -> tuple[Dataset, PixelDescription]:
    """Describe a difference: floating point numbers, of which no window of the image is right."""
    own = Dataset()
    for tag in attributes.keys():  # noqa: SIM118 - what is iterated over is not the keys
        own[tag] = attributes.get_item(tag)
    for keyword in _OF_NATIVE_VALUES:
        if keyword in own:
            del own[keyword]
    difference = replace(
        description,
        keyword="FloatPixelData",
        bits_allocated=32,
        bits_stored=32,
        high_bit=31,
        pixel_representation=1,
    )
    return own, difference


def _applies(item: Dataset, frame_number: int) -> bool:
    ends = read_decimals(item, "ApplicableFrameRange")
    pairs = zip(ends[::2], ends[1::2], strict=False)
    return not ends or any(first <= frame_number <= last for first, last in pairs)


def _mask_frames(item: Dataset, frame_number: int) -> tuple[int, ...]:
    operation = (read_texts(item, "MaskOperation") or [""])[0]
    if operation == "AVG_SUB":
        return tuple(map(int, read_decimals(item, "MaskFrameNumbers")[: _MAX_FRAMES + 1]))
    if operation == "TID":
        return (frame_number - int((read_decimals(item, "TIDOffset") or [1])[0]),)
    return ()


def _contrast_frames(item: Dataset, frame_number: int) -> tuple[int, ...]:
    averaged = int((read_decimals(item, "ContrastFrameAveraging") or [1])[0])
    return tuple(range(frame_number, frame_number + min(max(averaged, 1), _MAX_FRAMES + 1)))


def _shift(item: Dataset) -> tuple[float, float]:
    shift = read_decimals(item, "MaskSubPixelShift")
    return (shift[0], shift[1]) if len(shift) == 2 else (0.0, 0.0)


def _average(frames: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    total, number = None, 0
    for frame in frames:
        total = frame.astype(np.float64) if total is None else total + frame
        number += 1
    if total is None:
        raise ValueError("no frames to average")
    return np.asarray(total / number)


def _moved(mask: npt.NDArray[np.float64], shift: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Move a mask down and to the left, between pixels in proportion."""
    down, left = shift
    if not (down or left):
        return mask
    rows, columns = mask.shape
    return _between(_between(mask, np.arange(rows) - down, 0), np.arange(columns) + left, 1)


def _between(
    mask: npt.NDArray[np.float64], places: npt.NDArray[np.floating[Any]], axis: int
) -> npt.NDArray[np.float64]:
    places = np.clip(places, 0, mask.shape[axis] - 1)
    before = places.astype(np.intp)
    behind = np.minimum(before + 1, mask.shape[axis] - 1)
    part = (places - before).reshape((-1, 1) if axis == 0 else (1, -1))
    return np.asarray(mask.take(before, axis) * (1 - part) + mask.take(behind, axis) * part)
