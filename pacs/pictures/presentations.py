"""Presentation states of the archive, and the images that they are for (PS3.4 N)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pacs.archive import Archive
from pacs.errors import PixelsUnavailable
from pacs.pictures.rendering import ShownFrame
from pacs.pixels.presentation_state import COLOR, GRAYSCALE, PSEUDO_COLOR, read_presentation_state
from pacs.retrieve import read_attributes, require_frame

PRESENTATION_STATES: Final = frozenset({GRAYSCALE, COLOR, PSEUDO_COLOR})
_MAX_LOOKED_FOR: Final = 64  # images: each one that is not here costs a query


def show_presented(archive: Archive, shown: ShownFrame) -> ShownFrame:
    """Return the image to which a presentation state is to be applied; what is none stays as it is.

    Of several images it is the first one that the study has, among the first 64; of its frames it is the
    first that is meant.

    Raises
    ------
    pacs.errors.NotFound
        The image has no such frame.
    pacs.errors.PixelsUnavailable
        The archive has none of these images, or the state is of a kind that is not supported.
    pacs.errors.UndecodablePixels
        The state is damaged.
    """
    state_instance = shown.instance
    if state_instance.sop_class_uid not in PRESENTATION_STATES:
        return shown
    identity, syntax = state_instance.location.sha256, state_instance.transfer_syntax_uid
    state = read_presentation_state(read_attributes(archive, state_instance), syntax, identity)
    for reference in state.references[:_MAX_LOOKED_FOR]:
        found = archive.index.find_instances(
            state_instance.study_instance_uid, None, reference.sop_instance_uid
        )
        if found:
            appearance = replace(shown.rendering.appearance, presentation=state)
            rendering = replace(shown.rendering, appearance=appearance)
            frame_number = min(reference.frames, default=1)
            require_frame(frame_number, found[0].number_of_frames)
            return ShownFrame(found[0], frame_number, rendering)
    raise PixelsUnavailable("the images of the presentation state are not here")
