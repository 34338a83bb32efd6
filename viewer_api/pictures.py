"""Pictures of frames as answers, kept for a while."""

from __future__ import annotations

from functools import partial

from fastapi import Response

from pacs import __version__
from pacs.index.records import StoredInstance
from viewer_api.caching import cache_headers, make_etag, not_modified
from viewer_api.params import Rendering
from viewer_api.rendering import render
from viewer_api.retrieve_request import RetrieveRequest
from viewer_api.state import ViewerState


async def answer_picture(
    asked: RetrieveRequest,
    instance: StoredInstance,
    frame_number: int,
    rendering: Rendering,
    media_type: str,
    cache_control: str,
) -> Response:
    """Answer with a picture, or with 304 before anything of the object is read."""
    etag = _picture_etag(instance, frame_number, rendering, media_type)
    if (answer := not_modified(asked.request, etag, cache_control)) is not None:
        return answer
    picture = await draw_picture(asked.state, instance, frame_number, rendering, media_type)
    return Response(picture, headers=cache_headers(etag, cache_control), media_type=media_type)


async def draw_picture(
    state: ViewerState, instance: StoredInstance, frame_number: int, rendering: Rendering, media_type: str
) -> bytes:
    """Render a frame (1-based), or take the picture that was kept. Raises what ``render`` raises."""
    etag = _picture_etag(instance, frame_number, rendering, media_type)
    picture = state.rendered.get(etag)
    if picture is None:
        work = partial(render, state.archive, instance, frame_number, rendering, media_type)
        picture = await state.decodes.run(work)
        state.rendered.put(etag, picture)
    return picture


def _picture_etag(instance: StoredInstance, frame_number: int, rendering: Rendering, media_type: str) -> str:
    return make_etag(__version__, instance.location.sha256, frame_number, rendering, media_type)
