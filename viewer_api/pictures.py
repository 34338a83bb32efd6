"""Pictures as answers."""

from __future__ import annotations

from functools import partial
from typing import Final

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.pictures.presentations import PRESENTATION_STATES, show_presented
from pacs.pictures.rendering import ShownFrame, has_pixels
from viewer_api.caching import cache_headers, etag_of, not_modified
from viewer_api.retrieve_request import RetrieveRequest

# To hand a smaller image to another thread takes about as long as to draw it.
_SMALL_IMAGE_BYTES: Final = 1 << 20


async def answer_picture(asked: RetrieveRequest, shown: ShownFrame, cache_control: str) -> Response:
    """Answer with a picture, or with 304 before anything of the image is read.

    Of a presentation state it is the picture of its image. Raises what ``Pictures.make`` raises.
    """
    if shown.instance.sop_class_uid in PRESENTATION_STATES:
        shown = await run_in_threadpool(show_presented, asked.archive, shown)
    answer = _answer_from_memory(asked, shown, cache_control)
    if answer is None:
        answer = await run_in_threadpool(_answer_at_once, asked, shown, cache_control)
    if answer is None:
        picture = await asked.state.decodes.run(partial(asked.state.pictures.make, shown))
        answer = _answer(picture, shown, cache_control)
    return answer


def _answer_from_memory(asked: RetrieveRequest, shown: ShownFrame, cache_control: str) -> Response | None:
    """Answer what the client knows, or what memory has all of; None where there is more to do."""
    digest = shown.digest
    if (answer := not_modified(asked.request, etag_of(digest), cache_control)) is not None:
        return answer
    pictures = asked.state.pictures
    picture = pictures.find_in_memory(shown.instance, digest) or pictures.make_at_once(shown)
    return None if picture is None else _answer(picture, shown, cache_control)


def _answer_at_once(asked: RetrieveRequest, shown: ShownFrame, cache_control: str) -> Response | None:
    """Answer what is kept, or small, without waiting for a turn; None where there is more to do."""
    pictures = asked.state.pictures
    picture = pictures.find_picture(shown)
    if picture is None and _is_small(shown):
        picture = pictures.make(shown)
    return None if picture is None else _answer(picture, shown, cache_control)


def _is_small(shown: ShownFrame) -> bool:
    """Tell whether little is to be done; a presentation state may enlarge its image and has many layers."""
    instance, rendering = shown.instance, shown.rendering
    if rendering.is_cine or rendering.appearance.presentation is not None:
        return False
    syntax = TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    is_compressed = syntax.encapsulated or syntax.deflated or not has_pixels(instance)
    return not is_compressed and instance.location.size_bytes <= _SMALL_IMAGE_BYTES


def _answer(picture: bytes, shown: ShownFrame, cache_control: str) -> Response:
    headers = cache_headers(etag_of(shown.digest), cache_control)
    return Response(picture, headers=headers, media_type=shown.rendering.media_type)
