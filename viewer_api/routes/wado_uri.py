"""Retrieving one instance by query parameters: WADO-URI (PS3.18 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from pacs.conversion import has_pixel_data
from pacs.index.records import StoredInstance
from pacs.pictures.media_types import JPEG, PNG
from pacs.pictures.rendering import Rendering, ShownFrame
from pacs.pixels.appearance import Region
from pacs.pixels.description import describe_pixels
from pacs.retrieve import read_attributes, require_frame
from viewer_api.caching import RENDERED
from viewer_api.instance_parts import instance_representations
from viewer_api.media_types import DICOM
from viewer_api.negotiation import Acceptable, Representation
from viewer_api.openapi import WADO_PARAMETERS, partial_content, problems, success
from viewer_api.pictures import answer_picture
from viewer_api.problems import NotAcceptable
from viewer_api.retrieve_request import RetrieveRequest
from viewer_api.routes.retrieve import answer_instance
from viewer_api.state import Answer, State
from viewer_api.wado_parameters import WadoRequest, parse_wado

_OFFERED: Final = (Representation(JPEG), Representation(PNG), Representation(DICOM))

router = APIRouter(tags=["Retrieve (WADO-URI)"], default_response_class=Response)


@router.get(
    "/wado",
    openapi_extra=WADO_PARAMETERS,
    responses=success("The instance, or a picture of it", DICOM, JPEG, PNG)
    | partial_content("The range that was asked for", DICOM)
    | problems(
        HTTPStatus.NOT_MODIFIED,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.GONE,
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.NOT_IMPLEMENTED,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def retrieve_by_uri(request: Request, state: State) -> Response:
    """Retrieve an instance, or a picture of it, by `requestType=WADO`.

    Without `contentType` an image of one frame comes as JPEG, anything else as `application/dicom`; that in
    Explicit VR Little Endian, or in the `transferSyntax` that is asked for, if it can be had.
    """
    wado = parse_wado(request.query_params.multi_items())
    content_types = Acceptable(wado.content_types, ())
    asked = RetrieveRequest(request, state, content_types, wado.uids)
    (instance,) = await run_in_threadpool(asked.find_instances)
    chosen = _choose(asked, instance)
    if chosen.media_type == DICOM:
        answer = await run_in_threadpool(_answer_dicom, asked, instance, wado.transfer_syntax_uid)
        return await state.decodes.finish(answer)
    require_frame(wado.frame_number, instance.number_of_frames)
    rendering = await run_in_threadpool(_with_region, asked, instance, wado)
    rendering = replace(rendering, media_type=chosen.media_type)
    return await answer_picture(asked, ShownFrame(instance, wado.frame_number, rendering), RENDERED)


def _choose(asked: RetrieveRequest, instance: StoredInstance) -> Representation:
    if asked.acceptable.by_parameter:
        return asked.choose(_OFFERED)
    is_picture = has_pixel_data(instance) and instance.number_of_frames == 1
    return Representation(JPEG if is_picture else DICOM)


def _answer_dicom(asked: RetrieveRequest, instance: StoredInstance, wanted: str | None) -> Answer:
    """Answer in the wanted transfer syntax if it can be had, else in the default one (PS3.18 9.1.2.2.4)."""
    offered = instance_representations(instance.transfer_syntax_uid, multipart=False)
    stored, default = offered[:2]
    named = stored if wanted == "*" else _named(offered, wanted)
    try:
        return answer_instance(asked, instance, offered, named or default)
    except NotAcceptable:
        return answer_instance(asked, instance, offered, default)


def _named(offered: Sequence[Representation], wanted: str | None) -> Representation | None:
    return next((one for one in offered if wanted and one.transfer_syntax_uid == wanted), None)


def _with_region(asked: RetrieveRequest, instance: StoredInstance, wado: WadoRequest) -> Rendering:
    """Turn the region's fractions into pixels."""
    if wado.region is None:
        return wado.rendering
    attributes = read_attributes(asked.archive, instance)
    described = describe_pixels(attributes, instance.transfer_syntax_uid)
    left, right = (round(fraction * described.columns) for fraction in (wado.region[0], wado.region[2]))
    top, bottom = (round(fraction * described.rows) for fraction in (wado.region[1], wado.region[3]))
    left, top = min(left, described.columns - 1), min(top, described.rows - 1)
    region = Region(left, top, max(right - left, 1), max(bottom - top, 1))
    return replace(wado.rendering, appearance=replace(wado.rendering.appearance, region=region))
