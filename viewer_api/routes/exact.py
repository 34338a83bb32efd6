"""Stored values for clients that window and measure by themselves. Not of the Standard."""

from __future__ import annotations

import gzip
from functools import partial
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Response

from pacs import __version__
from pacs.dicomweb_urls import DICOM_WEB_PATH
from pacs.errors import InvalidRequest
from pacs.index.records import StoredInstance
from pacs.pictures.exact_frames import ExactEncoding
from pacs.retrieve import require_frame
from viewer_api.caching import RENDERED, cache_headers, make_etag, not_modified
from viewer_api.compression import HEADERS as GZIP
from viewer_api.compression import accepts_gzip
from viewer_api.lean_route import LeanRoute
from viewer_api.media_types import JSON
from viewer_api.negotiation import Representation
from viewer_api.openapi import problems, success
from viewer_api.params import parse_frame_list
from viewer_api.retrieve_request import OfInstance, RetrieveRequest
from viewer_api.routes.frames import FrameList
from viewer_api.state import INSTANCE_PATH

PLANES: Final = "application/vnd.filmless.exact-frame"
HTJ2K: Final = "application/vnd.filmless.exact-frame+jphc"
_ENCODINGS: Final = {PLANES: ExactEncoding.PLANES, HTJ2K: ExactEncoding.HTJ2K}
_OFFERED: Final = (Representation(PLANES), Representation(HTJ2K))

_PROBLEMS: Final = problems(
    HTTPStatus.NOT_MODIFIED,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.GONE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

router = APIRouter(
    prefix=DICOM_WEB_PATH, tags=["Exact pixels"], route_class=LeanRoute, default_response_class=Response
)


@router.get(
    INSTANCE_PATH + "/frames/{frame_list}/exact",
    responses=success("The frame", PLANES, HTJ2K) | _PROBLEMS,
)
async def retrieve_exact_frame(asked: OfInstance, frame_list: FrameList) -> Response:
    """Retrieve the stored values of one frame, and all that it takes to show them as `/rendered` does.

    Four bytes, little endian, tell the length of a description in JSON (size, type, windows, tables), which
    comes next. The rest are the stored values. Of each integer it is the difference to the one before, the
    sign in the lowest bit, and the bytes of all plane by plane, the lowest first; colours one after the
    other; floating point numbers plane by plane as they are. Or, where that is acceptable and the planes are
    not, an HTJ2K codestream. Planes are compressed by gzip, as a content coding.
    """
    media_type = asked.choose(_OFFERED).media_type
    instance, frame = await _find_frame(asked, frame_list)
    is_coded = media_type == PLANES and accepts_gzip(asked.request)
    etag = make_etag(__version__, instance.location.sha256, frame, media_type, is_coded)
    if (answer := not_modified(asked.request, etag, RENDERED)) is not None:
        return answer
    file = await asked.state.decodes.run(
        partial(_write, asked, instance, frame, _ENCODINGS[media_type], is_coded)
    )
    headers = {**cache_headers(etag, RENDERED), "Vary": "Accept, Accept-Encoding"}
    return Response(file, headers=headers | (GZIP if is_coded else {}), media_type=media_type)


@router.get(
    INSTANCE_PATH + "/frames/{frame_list}/presentation",
    responses=success("How it is shown", JSON) | _PROBLEMS,
)
async def retrieve_presentation(asked: OfInstance, frame_list: FrameList) -> Response:
    """Retrieve how the stored values of one grayscale frame are shown, without the values themselves.

    It is what `/exact` says under `presentation`: rescale, the window that is used where none is asked for,
    all windows and tables of the image, padding.
    """
    asked.choose((Representation(JSON),))
    instance, frame = await _find_frame(asked, frame_list)
    etag = make_etag(__version__, instance.location.sha256, frame, "presentation")
    if (answer := not_modified(asked.request, etag, RENDERED)) is not None:
        return answer
    file = await asked.state.decodes.run(partial(asked.state.pictures.write_presentation, instance, frame))
    return Response(file, headers=cache_headers(etag, RENDERED), media_type=JSON)


async def _find_frame(asked: RetrieveRequest, frame_list: str) -> tuple[StoredInstance, int]:
    frames = parse_frame_list(frame_list)
    if len(frames) > 1:
        raise InvalidRequest("one frame at a time comes with its exact pixels")
    (instance,) = await asked.find_soon()
    require_frame(frames[0], instance.number_of_frames)
    return instance, frames[0]


def _write(
    asked: RetrieveRequest, instance: StoredInstance, frame: int, encoding: ExactEncoding, is_coded: bool
) -> bytes:
    file = asked.state.pictures.write_exact(instance, frame, encoding)
    return gzip.decompress(file) if encoding is ExactEncoding.PLANES and not is_coded else file
