"""Rendered images and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pacs.conversion import has_pixel_data
from pacs.errors import ArchiveError, NotFound, PixelsUnavailable
from pacs.index.records import StoredInstance
from storage.errors import ObjectNotFound
from viewer_api import multipart
from viewer_api.caching import RENDERED, REVALIDATED
from viewer_api.lean_route import LeanRoute
from viewer_api.media_types import MULTIPART_RELATED
from viewer_api.negotiation import Representation
from viewer_api.openapi import RENDERING_PARAMETERS, problems, success
from viewer_api.params import Rendering, RenderingParameters, Viewport, parse_frame_list
from viewer_api.pictures import answer_picture, draw_picture
from viewer_api.rendering import JPEG, PNG, representative
from viewer_api.retrieve_request import OfInstance, OfSeries, OfStudy, RetrieveRequest
from viewer_api.routes.frames import FrameList
from viewer_api.state import INSTANCE_PATH, SERIES_PATH, STUDY_PATH, ViewerState
from viewer_api.streaming import primed_async

_ALONE: Final = (Representation(JPEG), Representation(PNG))
_PARTS: Final = tuple(replace(one, multipart=True) for one in _ALONE)
_THUMBNAIL: Final = Viewport(160, 160, None)
_THUMBNAIL_QUALITY: Final = 80

router = APIRouter(
    tags=["Rendered (WADO-RS)"],
    route_class=LeanRoute,
    default_response_class=Response,
    responses=success("A picture, or pictures", JPEG, PNG, MULTIPART_RELATED)
    | problems(
        HTTPStatus.NOT_MODIFIED,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.GONE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


@router.get(STUDY_PATH + "/rendered", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_rendered_study(asked: OfStudy, rendering: RenderingParameters) -> Response:
    """Retrieve pictures of all images of a study, each of its first frame, as `multipart/related`.

    Who accepts a single picture only gets that of the middle image of the first series. What is no image, or
    a damaged one, is left out.
    """
    return await _answer_all(asked, rendering)


@router.get(SERIES_PATH + "/rendered", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_rendered_series(asked: OfSeries, rendering: RenderingParameters) -> Response:
    """Retrieve pictures of all images of a series; see the study."""
    return await _answer_all(asked, rendering)


@router.get(INSTANCE_PATH + "/rendered", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_rendered_instance(asked: OfInstance, rendering: RenderingParameters) -> Response:
    """Retrieve a picture of an instance: of its first frame.

    The picture fits into the viewport with its aspect kept, and is never larger than the image itself.
    """
    return await _answer_frames(asked, rendering, "1")


@router.get(INSTANCE_PATH + "/frames/{frame_list}/rendered", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_rendered_frames(
    asked: OfInstance, rendering: RenderingParameters, frame_list: FrameList
) -> Response:
    """Retrieve pictures of frames; several as `multipart/related`, in the order of the list."""
    return await _answer_frames(asked, rendering, frame_list)


@router.get(STUDY_PATH + "/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_study_thumbnail(asked: OfStudy, rendering: RenderingParameters) -> Response:
    """Retrieve a small picture that stands for a study: of the middle image of its first series of images."""
    return await _answer_representative(asked, _small(asked.request, rendering))


@router.get(SERIES_PATH + "/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_series_thumbnail(asked: OfSeries, rendering: RenderingParameters) -> Response:
    """Retrieve a small picture that stands for a series: of its middle image."""
    return await _answer_representative(asked, _small(asked.request, rendering))


@router.get(INSTANCE_PATH + "/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_instance_thumbnail(asked: OfInstance, rendering: RenderingParameters) -> Response:
    """Retrieve a small picture of an instance: of its first frame."""
    return await _answer_frames(asked, _small(asked.request, rendering), "1")


@router.get(INSTANCE_PATH + "/frames/{frame_list}/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_frame_thumbnails(
    asked: OfInstance, rendering: RenderingParameters, frame_list: FrameList
) -> Response:
    """Retrieve small pictures of frames."""
    return await _answer_frames(asked, _small(asked.request, rendering), frame_list)


def _small(request: Request, rendering: Rendering) -> Rendering:
    """Fill in what a thumbnail is like where the client does not say."""
    quality = rendering.quality if request.query_params.get("quality") else _THUMBNAIL_QUALITY
    return replace(rendering, viewport=rendering.viewport or _THUMBNAIL, quality=quality)


async def _answer_frames(asked: RetrieveRequest, rendering: Rendering, frame_list: str) -> Response:
    frames = parse_frame_list(frame_list)
    chosen = asked.choose([*_ALONE, *_PARTS] if len(frames) == 1 else _PARTS)
    (instance,) = await run_in_threadpool(asked.find_instances)
    if max(frames) > instance.number_of_frames:
        raise NotFound(f"there is no frame {max(frames)}, only 1 to {instance.number_of_frames}")
    if not chosen.multipart:
        return await answer_picture(asked, instance, frames[0], rendering, chosen.media_type, RENDERED)
    shown = [(instance, frame) for frame in frames]
    return await _answer_parts(asked, shown, rendering, chosen.media_type, all_or_nothing=True)


async def _answer_all(asked: RetrieveRequest, rendering: Rendering) -> Response:
    chosen = asked.choose([*_PARTS, *_ALONE])
    if not chosen.multipart:
        return await _answer_representative(asked, rendering)
    instances = await run_in_threadpool(asked.find_instances)
    shown = [(instance, 1) for instance in instances if has_pixel_data(instance)]
    return await _answer_parts(asked, shown, rendering, chosen.media_type, all_or_nothing=False)


async def _answer_representative(asked: RetrieveRequest, rendering: Rendering) -> Response:
    media_type = asked.choose(_ALONE).media_type
    shown = representative(await run_in_threadpool(asked.find_instances))
    return await answer_picture(asked, shown, 1, rendering, media_type, REVALIDATED)


async def _answer_parts(
    asked: RetrieveRequest,
    shown: Sequence[tuple[StoredInstance, int]],
    rendering: Rendering,
    media_type: str,
    *,
    all_or_nothing: bool,
) -> Response:
    boundary = secrets.token_hex(16)
    parts = await primed_async(_parts(asked.state, shown, rendering, media_type, boundary, all_or_nothing))
    answer_type = multipart.content_type(boundary, media_type)
    return StreamingResponse(parts, headers={"Vary": "Accept"}, media_type=answer_type)


async def _parts(
    state: ViewerState,
    shown: Sequence[tuple[StoredInstance, int]],
    rendering: Rendering,
    media_type: str,
    boundary: str,
    all_or_nothing: bool,
) -> AsyncIterator[bytes]:
    refusal: Exception = PixelsUnavailable("there are no images")
    is_empty = True
    for instance, frame in shown:
        try:
            picture = await draw_picture(state, instance, frame, rendering, media_type)
        except (ArchiveError, ObjectNotFound) as error:
            if all_or_nothing:
                raise
            refusal = error
            continue
        uids = instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
        location = f"{state.urls.instance(*uids)}/frames/{frame}/rendered"
        yield multipart.part_head(boundary, media_type, location=location) + picture + b"\r\n"
        is_empty = False
    if is_empty:
        raise refusal
    yield multipart.closing(boundary)
