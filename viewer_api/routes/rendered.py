"""Rendered images and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4)."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from itertools import islice
from typing import Final

from fastapi import APIRouter, Response

from pacs.conversion import has_pixel_data
from pacs.dicomweb_urls import DICOM_WEB_PATH
from pacs.index.records import StoredInstance
from pacs.pictures.cine import can_make_videos
from pacs.pictures.media_types import GIF, JP2, JPEG, MP4, PNG, PNG_16, WEBP
from pacs.pictures.rendering import Rendering, ShownFrame, representative
from pacs.retrieve import require_frame
from viewer_api.caching import RENDERED, REVALIDATED
from viewer_api.documents import HTML, PDF, TEXT, answer_document, is_document
from viewer_api.lean_route import LeanRoute
from viewer_api.media_types import MULTIPART_RELATED
from viewer_api.negotiation import Representation
from viewer_api.openapi import RENDERING_PARAMETERS, problems, success
from viewer_api.params import PreviewParameters, RenderingParameters, ThumbnailParameters, parse_frame_list
from viewer_api.picture_parts import answer_pictures
from viewer_api.pictures import answer_picture
from viewer_api.retrieve_request import OfInstance, OfSeries, OfStudy, RetrieveRequest
from viewer_api.routes.frames import FrameList
from viewer_api.state import INSTANCE_PATH, SERIES_PATH, STUDY_PATH

_ALONE: Final = (
    *map(Representation, (JPEG, PNG, PNG_16)),
    *(Representation(one, source_quality=0.5) for one in (WEBP, JP2, GIF)),
)
_PARTS: Final = tuple(replace(one, multipart=True) for one in _ALONE)
_VIDEO: Final = Representation(MP4, source_quality=0.5)
_MAX_PREVIEWS: Final = 10_000

router = APIRouter(
    prefix=DICOM_WEB_PATH,
    tags=["Rendered (WADO-RS)"],
    route_class=LeanRoute,
    default_response_class=Response,
    responses=success(
        "A picture, or pictures", JPEG, PNG, GIF, WEBP, JP2, MP4, HTML, TEXT, PDF, MULTIPART_RELATED
    )
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
    """Retrieve a picture of an instance: of its first frame; of a presentation state, of the image it is for.

    All frames of a multi-frame image come as an animated `image/gif`, or as `video/mp4` if PyAV is installed.
    A structured report comes as `text/html` or `text/plain`, an encapsulated PDF as `application/pdf`.

    The picture fits into the viewport with its aspect kept, and is never larger than the image itself. As
    `image/png; bits=16` it has the P-Values of a grayscale image from 0 to 65535.
    """
    (instance,) = await asked.find_soon()
    if is_document(instance):
        return await answer_document(asked, instance, rendering)
    if instance.number_of_frames > 1:
        return await _answer_multi_frame(asked, instance, rendering)
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
    return await _answer_previews(asked, preview)


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
    (instance,) = await asked.find_soon()
    require_frame(max(frames), instance.number_of_frames)
    rendering = replace(rendering, media_type=chosen.media_type)
    shown = [ShownFrame(instance, frame, rendering) for frame in frames]
    if not chosen.multipart:
        return await answer_picture(asked, shown[0], RENDERED)
    return await answer_pictures(asked, shown, chosen.media_type, all_or_nothing=True)


async def _answer_multi_frame(
    asked: RetrieveRequest, instance: StoredInstance, rendering: Rendering
) -> Response:
    """Answer with all frames where that is what the media type is for, else with the first one."""
    videos = (_VIDEO,) if can_make_videos() else ()
    chosen = asked.choose([*_ALONE, *_PARTS, *videos])
    if chosen.media_type not in (GIF, MP4):
        return await _answer_frames(asked, rendering, "1")
    rendering = replace(rendering, media_type=chosen.media_type, is_cine=True)
    return await answer_picture(asked, ShownFrame(instance, 1, rendering), RENDERED)


async def _answer_all(asked: RetrieveRequest, rendering: Rendering) -> Response:
    chosen = asked.choose([*_PARTS, *_ALONE])
    if not chosen.multipart:
        return await _answer_representative(asked, rendering)
    rendering = replace(rendering, media_type=chosen.media_type)
    images = filter(has_pixel_data, await asked.find_soon())
    shown = [ShownFrame(instance, 1, rendering) for instance in images]
    return await answer_pictures(asked, shown, chosen.media_type, all_or_nothing=False)


async def _answer_representative(asked: RetrieveRequest, rendering: Rendering) -> Response:
    rendering = replace(rendering, media_type=asked.choose(_ALONE).media_type)
    shown = ShownFrame(representative(await asked.find_soon()), 1, rendering)
    return await answer_picture(asked, shown, REVALIDATED)


async def _answer_previews(asked: RetrieveRequest, preview: Rendering) -> Response:
    """Answer with pictures of all frames; how many an instance has is its sender's word, and is bounded."""
    preview = replace(preview, media_type=asked.choose(_PARTS).media_type)
    images = filter(has_pixel_data, await asked.find_soon())
    frames = (
        ShownFrame(one, number, preview) for one in images for number in range(1, one.number_of_frames + 1)
    )
    shown = list(islice(frames, _MAX_PREVIEWS))
    return await answer_pictures(asked, shown, preview.media_type, all_or_nothing=False)
