"""Which images and frames a part of a presentation state is for (PS3.3 Table 10-3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataset import Dataset

from pacs.pixels.elements import read_items, read_texts, read_value


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image, and which of its frames (1-based); no frames stand for all of them."""

    sop_instance_uid: str
    frames: frozenset[int] = frozenset()

    def covers(self, sop_instance_uid: str, frame_number: int) -> bool:
        """Tell whether a frame is meant."""
        is_frame = not self.frames or frame_number in self.frames
        return sop_instance_uid == self.sop_instance_uid and is_frame


def read_references(item: Dataset) -> tuple[ImageReference, ...]:
    """Read a Referenced Image Sequence; empty stands for all images of the presentation state."""
    references = []
    for reference in read_items(item, "ReferencedImageSequence"):
        uid = (read_texts(reference, "ReferencedSOPInstanceUID") or [""])[0]
        references.append(ImageReference(uid, _read_frames(reference)))
    return tuple(references)


def covers(references: Iterable[ImageReference], sop_instance_uid: str, frame_number: int) -> bool:
    """Tell whether one of the references means a frame, or there are none, which means all."""
    references = tuple(references)
    return not references or any(one.covers(sop_instance_uid, frame_number) for one in references)


def _read_frames(reference: Dataset) -> frozenset[int]:
    value = read_value(reference, "ReferencedFrameNumber")
    try:
        values = [value] if isinstance(value, int | str) else list(value or ())
        return frozenset(int(each) for each in values)
    except (TypeError, ValueError):
        return frozenset()
