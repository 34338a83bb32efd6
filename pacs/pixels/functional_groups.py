"""Attributes of one frame of an enhanced multi-frame object (PS3.3 C.7.6.16)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from pacs.pixels.elements import read_items


def find_macro(attributes: Dataset, frame_index: int, sequence_keyword: str) -> Dataset | None:
    """Return the item of a functional group macro for a frame (0-based), its own before the shared one.

    None where the object has no such macro, as all objects that are not enhanced multi-frame ones.
    """
    per_frame = read_items(attributes, "PerFrameFunctionalGroupsSequence")
    groups = [per_frame[frame_index]] if frame_index < len(per_frame) else []
    groups += list(read_items(attributes, "SharedFunctionalGroupsSequence"))[:1]
    for group in groups:
        items = read_items(group, sequence_keyword)
        if items:
            return items[0]
    return None
