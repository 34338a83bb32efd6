"""Rendered images and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from itertools import islice
from typing import Final

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from pacs.conversion import has_pixel_data
from pacs.errors import NotFound
from pacs.pictures.rendering import JPEG, PNG, Rendering, representative
from viewer_api.caching import RENDERED, REVALIDATED
from viewer_api.lean_route import LeanRoute
from viewer_api.media_types import MULTIPART_RELATED
from viewer_api.negotiation import Representation
from viewer_api.openapi import RENDERING_PARAMETERS, problems, success
from viewer_api.params import PreviewParameters, RenderingParameters, ThumbnailParameters, parse_frame_list
from viewer_api.picture_parts import answer_pictures
from viewer_api.pictures import ShownFrame, answer_picture
from viewer_api.retrieve_request import OfInstance, OfSeries, OfStudy, RetrieveRequest
from viewer_api.routes.frames import FrameList
from viewer_api.state import INSTANCE_PATH, SERIES_PATH, STUDY_PATH

_ALONE: Final = (Representation(JPEG), Representation(PNG))
_PARTS: Final = tuple(replace(one, multipart=True) for one in _ALONE)
_MAX_PREVIEWS: Final = 10_000

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


@router.get(SERIES_PATH + "/previews", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_series_previews(asked: OfSeries, preview: PreviewParameters) -> Response:
    """Retrieve small pictures of all frames of a series in one `multipart/related` answer, in its order.

    Not of the Standard. Each part has a Content-Location; what cannot be shown is left out. They fit into
    256 x 256 pixels unless `viewport` says otherwise, and are sent while the next ones are made.
    """
    preview = replace(preview, media_type=asked.choose(_PARTS).media_type)
    shown = await run_in_threadpool(_find_all_frames, asked)
    return await answer_pictures(asked, shown, preview, all_or_nothing=False)


@router.get(STUDY_PATH + "/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_study_thumbnail(asked: OfStudy, thumbnail: ThumbnailParameters) -> Response:
    """Retrieve a small picture that stands for a study: of the middle image of its first series of images."""
    return await _answer_representative(asked, thumbnail)


@router.get(SERIES_PATH + "/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_series_thumbnail(asked: OfSeries, thumbnail: ThumbnailParameters) -> Response:
    """Retrieve a small picture that stands for a series: of its middle image."""
    return await _answer_representative(asked, thumbnail)


@router.get(INSTANCE_PATH + "/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_instance_thumbnail(asked: OfInstance, thumbnail: ThumbnailParameters) -> Response:
    """Retrieve a small picture of an instance: of its first frame."""
    return await _answer_frames(asked, thumbnail, "1")


@router.get(INSTANCE_PATH + "/frames/{frame_list}/thumbnail", openapi_extra=RENDERING_PARAMETERS)
async def retrieve_frame_thumbnails(
    asked: OfInstance, thumbnail: ThumbnailParameters, frame_list: FrameList
) -> Response:
    """Retrieve small pictures of frames."""
    return await _answer_frames(asked, thumbnail, frame_list)


async def _answer_frames(asked: RetrieveRequest, rendering: Rendering, frame_list: str) -> Response:
    frames = parse_frame_list(frame_list)
    chosen = asked.choose([*_ALONE, *_PARTS] if len(frames) == 1 else _PARTS)
    rendering = replace(rendering, media_type=chosen.media_type)
    if not chosen.multipart:
        return await answer_picture(asked, lambda: _find_frames(asked, frames)[0], rendering, RENDERED)
    shown = await run_in_threadpool(_find_frames, asked, frames)
    return await answer_pictures(asked, shown, rendering, all_or_nothing=True)


def _find_frames(asked: RetrieveRequest, frames: Sequence[int]) -> list[ShownFrame]:
    (instance,) = asked.find_instances()
    if max(frames) > instance.number_of_frames:
        raise NotFound(f"there is no frame {max(frames)}, only 1 to {instance.number_of_frames}")
    return [(instance, frame) for frame in frames]


def _find_all_frames(asked: RetrieveRequest) -> list[ShownFrame]:
    """List the frames of a series; the number of an instance's frames is the sender's word, and bounded."""
    images = filter(has_pixel_data, asked.find_instances())
    frames = ((one, number) for one in images for number in range(1, one.number_of_frames + 1))
    return list(islice(frames, _MAX_PREVIEWS))


async def _answer_all(asked: RetrieveRequest, rendering: Rendering) -> Response:
    chosen = asked.choose([*_PARTS, *_ALONE])
    if not chosen.multipart:
        return await _answer_representative(asked, rendering)
    instances = await run_in_threadpool(asked.find_instances)
    shown = [(instance, 1) for instance in instances if has_pixel_data(instance)]
    rendering = replace(rendering, media_type=chosen.media_type)
    return await answer_pictures(asked, shown, rendering, all_or_nothing=False)


async def _answer_representative(asked: RetrieveRequest, rendering: Rendering) -> Response:
    rendering = replace(rendering, media_type=asked.choose(_ALONE).media_type)
    return await answer_picture(
        asked, lambda: (representative(asked.find_instances()), 1), rendering, REVALIDATED
    )
