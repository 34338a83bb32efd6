"""Storing: STOW-RS (PS3.18 10.5)."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Final

import orjson
from anyio import to_thread
from fastapi import APIRouter, Request, Response

from viewer_api.dicom_xml import encode_native_model
from viewer_api.media_types import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    MULTIPART_RELATED,
    MediaType,
    parse_media_type,
)
from viewer_api.negotiation import DICOM_JSON_REPRESENTATIONS, AcceptableTypes, Representation
from viewer_api.openapi import problems, success
from viewer_api.problems import RETRY_AFTER_S, HttpProblem
from viewer_api.state import STUDY_PATH, State, StudyUid, ViewerState
from viewer_api.storing.transaction import PAYLOADS, Payload, store_payload
from viewer_api.upload import UploadedBody

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_REPRESENTATIONS: Final = (*DICOM_JSON_REPRESENTATIONS, Representation(DICOM_XML))
_EXTRA: Final = {
    "requestBody": {
        "required": True,
        "content": {
            **{f'{MULTIPART_RELATED}; type="{name}"': _BINARY for name in (DICOM, DICOM_JSON, DICOM_XML)},
            **dict.fromkeys((DICOM, DICOM_JSON, DICOM_XML), _BINARY),
        },
    }
}
router = APIRouter(
    tags=["Store (STOW-RS)"],
    default_response_class=Response,
    responses=success("All instances are stored", DICOM_JSON, DICOM_XML)
    | {
        status.value: {"description": description, "content": {DICOM_JSON: {}, DICOM_XML: {}}}
        for status, description in (
            (HTTPStatus.ACCEPTED, "Some are stored, others failed or came with a warning"),
            (HTTPStatus.CONFLICT, "None of the instances was stored; the answer tells why"),
        )
    }
    | problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.INSUFFICIENT_STORAGE,
    ),
)


@router.post("/studies", openapi_extra=_EXTRA)
async def store_instances(request: Request, state: State, acceptable: AcceptableTypes) -> Response:
    """Store instances: DICOM files, or metadata in JSON or XML with bulk data beside it.

    The answer names every instance: what is durable and indexed (Referenced SOP Sequence), and what was
    refused and why (Failed SOP Sequence). The same instance sent again is a success that changes nothing;
    other content under a known SOP Instance UID is kept beside the first and told by Warning Reason B000H.
    """
    return await _store(request, state, acceptable.choose(_REPRESENTATIONS).media_type, None)


@router.post(STUDY_PATH, openapi_extra=_EXTRA)
async def store_instances_of_study(
    request: Request, state: State, acceptable: AcceptableTypes, study_instance_uid: StudyUid
) -> Response:
    """Store instances of one study; those of another are refused with Failure Reason A900H."""
    media_type = acceptable.choose(_REPRESENTATIONS).media_type
    return await _store(request, state, media_type, study_instance_uid)


async def _store(
    request: Request, state: ViewerState, media_type: str, study_instance_uid: str | None
) -> Response:
    body = UploadedBody(request, state.archive.settings.network_timeout_s)
    try:
        payload = _payload(request)
        work = partial(store_payload, state.archive, payload, body.chunks(), study_instance_uid)
        report = await to_thread.run_sync(work, limiter=state.uploads)
    finally:
        await body.drain()
    retry = report.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    answer = report.to_json(state.urls)
    return Response(
        encode_native_model(answer) if media_type == DICOM_XML else orjson.dumps(answer),
        report.status,
        {"Retry-After": str(RETRY_AFTER_S)} if retry else None,
        media_type,
    )


def _payload(request: Request) -> Payload:
    """Tell what the body is; 415 where it is nothing that can be read."""
    content_type = parse_media_type(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HttpProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a compressed body is not taken")
    if content_type is None:
        raise _unsupported()
    if content_type.name != MULTIPART_RELATED:
        return Payload(_known(content_type.name), content_type, None)
    part_type = parse_media_type(content_type.parameters.get("type", "")) or MediaType("", {})
    return Payload(_known(part_type.name), part_type, content_type.parameters.get("boundary", ""))


def _known(media_type: str) -> str:
    if media_type not in PAYLOADS:
        raise _unsupported()
    return media_type


def _unsupported() -> HttpProblem:
    return HttpProblem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"the body is one of {', '.join(PAYLOADS)}, alone or as the type of {MULTIPART_RELATED}",
    )
