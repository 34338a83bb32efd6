"""Rendered images and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from pacs import __version__
from pacs.errors import NotFound
from pacs.index.records import StoredInstance
from pacs.retrieve import find_instances
from viewer_api.caching import RENDERED, REVALIDATED, cache_headers, make_etag, not_modified
from viewer_api.negotiation import Acceptable, AcceptableTypes, Representation
from viewer_api.openapi import RENDERING_PARAMETERS, problems, success
from viewer_api.params import Rendering, RenderingParameters, Viewport, parse_frame_list
from viewer_api.problems import HttpProblem
from viewer_api.rendering import JPEG, PNG, render, representative
from viewer_api.routes.frames import FrameList
from viewer_api.state import (
    INSTANCE_PATH,
    SERIES_PATH,
    STUDY_PATH,
    InstanceUid,
    SeriesUid,
    State,
    StudyUid,
    ViewerState,
)

_IMAGE_TYPES: Final = (Representation(JPEG), Representation(PNG))
_THUMBNAIL: Final = Viewport(160, 160, None)
_THUMBNAIL_QUALITY: Final = 80

router = APIRouter(
    tags=["Rendered (WADO-RS)"],
    default_response_class=Response,
    responses=success("A picture", JPEG, PNG)
    | problems(
        HTTPStatus.NOT_MODIFIED,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


@router.get(INSTANCE_PATH + "/rendered", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_rendered_instance(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    rendering: RenderingParameters,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
) -> Response:
    """Retrieve a picture of an instance: of its first frame.

    The picture fits into the viewport with its aspect kept, and is never larger than the image itself.
    """
    uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
    return await _answer_frame(request, state, acceptable, rendering, uids)


@router.get(INSTANCE_PATH + "/frames/{frame_list}/rendered", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_rendered_frame(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    rendering: RenderingParameters,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
    frame_list: FrameList,
) -> Response:
    """Retrieve a picture of a frame; one at a time."""
    uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
    return await _answer_frame(request, state, acceptable, rendering, uids, frame_list)


@router.get(STUDY_PATH + "/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_study_thumbnail(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    rendering: RenderingParameters,
    study_instance_uid: StudyUid,
) -> Response:
    """Retrieve a small picture that stands for a study: of the middle image of its first series of images."""
    return await _answer_representative(request, state, acceptable, rendering, (study_instance_uid,))


@router.get(SERIES_PATH + "/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_series_thumbnail(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    rendering: RenderingParameters,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
) -> Response:
    """Retrieve a small picture that stands for a series: of its middle image."""
    uids = (study_instance_uid, series_instance_uid)
    return await _answer_representative(request, state, acceptable, rendering, uids)


@router.get(INSTANCE_PATH + "/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_instance_thumbnail(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    rendering: RenderingParameters,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
) -> Response:
    """Retrieve a small picture of an instance: of its first frame."""
    uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
    return await _answer_frame(request, state, acceptable, _small(request, rendering), uids)


@router.get(INSTANCE_PATH + "/frames/{frame_list}/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_frame_thumbnail(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    rendering: RenderingParameters,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
    frame_list: FrameList,
) -> Response:
    """Retrieve a small picture of a frame."""
    uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
    return await _answer_frame(request, state, acceptable, _small(request, rendering), uids, frame_list)


def _small(request: Request, rendering: Rendering) -> Rendering:
    """Fill in what a thumbnail is like where the client does not say."""
    quality = rendering.quality if request.query_params.get("quality") else _THUMBNAIL_QUALITY
    return replace(rendering, viewport=rendering.viewport or _THUMBNAIL, quality=quality)


async def _answer_frame(
    request: Request,
    state: ViewerState,
    acceptable: Acceptable,
    rendering: Rendering,
    uids: tuple[str, str, str],
    frame_list: str = "1",
) -> Response:
    frames = parse_frame_list(frame_list)
    media_type = acceptable.choose(_IMAGE_TYPES).media_type
    if len(frames) > 1:
        raise HttpProblem(HTTPStatus.NOT_IMPLEMENTED, "frames are rendered one at a time")
    (instance,) = await run_in_threadpool(find_instances, state.archive, *uids)
    if frames[0] > instance.number_of_frames:
        raise NotFound(f"there is no frame {frames[0]}, only 1 to {instance.number_of_frames}")
    return await _answer_picture(request, state, instance, frames[0], rendering, media_type, RENDERED)


async def _answer_representative(
    request: Request,
    state: ViewerState,
    acceptable: Acceptable,
    rendering: Rendering,
    uids: tuple[str, ...],
) -> Response:
    media_type = acceptable.choose(_IMAGE_TYPES).media_type
    instances = await run_in_threadpool(find_instances, state.archive, *uids)
    shown = representative(instances)
    rendering = _small(request, rendering)
    return await _answer_picture(request, state, shown, 1, rendering, media_type, REVALIDATED)


async def _answer_picture(
    request: Request,
    state: ViewerState,
    instance: StoredInstance,
    frame_number: int,
    rendering: Rendering,
    media_type: str,
    cache_control: str,
) -> Response:
    """Answer with a picture, or with 304 before anything of the object is read."""
    etag = make_etag(__version__, instance.location.sha256, frame_number, rendering, media_type)
    if (answer := not_modified(request, etag, cache_control)) is not None:
        return answer
    picture = state.rendered.get(etag)
    if picture is None:
        work = partial(render, state.archive, instance, frame_number, rendering, media_type)
        picture = await state.decodes.run(work)
        state.rendered.put(etag, picture)
    return Response(picture, headers=cache_headers(etag, cache_control), media_type=media_type)
