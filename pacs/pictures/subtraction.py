"""Frames as they are to be viewed: less their mask, where the image recommends that."""

from __future__ import annotations

from collections.abc import Callable

from pacs.pictures.rendering import DecodedFrame
from pacs.pixels.mask_subtraction import describe_difference, read_mask_operation, subtract


def as_viewed(frame: DecodedFrame, decode: Callable[[int], DecodedFrame]) -> DecodedFrame:
    """Subtract its mask from a frame, or return it as it is where there is none.

    Parameters
    ----------
    decode
        Gives another frame of the image by its number, 1-based. What it raises is passed on.
    """
    number = frame.frame_index + 1
    if not frame.description.is_monochrome:
        return frame
    operation = read_mask_operation(frame.attributes, number, frame.description.number_of_frames)
    if operation is None:
        return frame
    contrast, masks = (
        (frame.stored_values if one == number else decode(one).stored_values for one in numbers)
        for numbers in (operation.contrast_frames, operation.mask_frames)
    )
    difference = subtract(contrast, masks, operation.shift)
    attributes, description = describe_difference(frame.attributes, frame.description)
    return DecodedFrame(difference, attributes, description, frame.frame_index)
