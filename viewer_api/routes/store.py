"""Storing: STOW-RS (PS3.18 10.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import orjson
from anyio import to_thread
from fastapi import APIRouter, Request, Response

from pacs.archive import Archive
from pacs.errors import ArchiveError, InvalidRequest, UnreadableInstance
from pacs.ingest import IncomingInstance, Origin, open_part10, store_instance
from storage.errors import StoreError
from viewer_api.media_types import DICOM, DICOM_JSON, MULTIPART_RELATED, parse_media_type
from viewer_api.multipart import MalformedMultipart, Part, read_parts
from viewer_api.negotiation import DICOM_JSON_REPRESENTATIONS, AcceptableTypes
from viewer_api.openapi import problems, success
from viewer_api.problems import RETRY_AFTER_S, HttpProblem
from viewer_api.state import STUDY_PATH, State, StudyUid, ViewerState
from viewer_api.store_report import Failure, StoreReport
from viewer_api.upload import UploadedBody

_ORIGIN: Final = Origin("stow")
_UNENCODED: Final = ("", "binary", "8bit", "7bit", "identity")

_EXTRA: Final = {
    "requestBody": {
        "required": True,
        "content": {
            f'{MULTIPART_RELATED}; type="{DICOM}"': {"schema": {"type": "string", "format": "binary"}}
        },
    }
}
router = APIRouter(
    tags=["Store (STOW-RS)"],
    default_response_class=Response,
    responses=success("All instances are stored", DICOM_JSON)
    | {
        HTTPStatus.ACCEPTED.value: {
            "description": "Some are stored, others failed or came with a warning",
            "content": {DICOM_JSON: {}},
        }
    }
    | problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


@router.post("/studies", openapi_extra=_EXTRA)
async def store_instances(request: Request, state: State, acceptable: AcceptableTypes) -> Response:
    """Store instances, each one a part of the body.

    The answer names every part: what is durable and indexed (Referenced SOP Sequence), and what was refused
    and why (Failed SOP Sequence). The same instance sent again is a success that changes nothing; other
    content under a known SOP Instance UID is kept beside the first and told by Warning Reason B000H.
    """
    return await _store(request, state, acceptable.choose(DICOM_JSON_REPRESENTATIONS).media_type, None)


@router.post(STUDY_PATH, openapi_extra=_EXTRA)
async def store_instances_of_study(
    request: Request, state: State, acceptable: AcceptableTypes, study_instance_uid: StudyUid
) -> Response:
    """Store instances of one study; those of another are refused with Failure Reason A900H."""
    media_type = acceptable.choose(DICOM_JSON_REPRESENTATIONS).media_type
    return await _store(request, state, media_type, study_instance_uid)


async def _store(
    request: Request, state: ViewerState, media_type: str, study_instance_uid: str | None
) -> Response:
    body = UploadedBody(request, state.archive.settings.network_timeout_s)
    try:
        boundary = _boundary(request)
        parts = read_parts(body.chunks(), boundary)
        report = await to_thread.run_sync(
            _store_parts, state.archive, parts, study_instance_uid, limiter=state.uploads
        )
    finally:
        await body.drain()
    retry = report.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Response(
        orjson.dumps(report.to_json(state.urls)),
        report.status,
        {"Retry-After": str(RETRY_AFTER_S)} if retry else None,
        media_type,
    )


def _boundary(request: Request) -> str:
    """Return the boundary of a body that can be read; 415 where it cannot."""
    content_type = parse_media_type(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HttpProblem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a compressed body is not taken")
    if (
        content_type is None
        or content_type.name != MULTIPART_RELATED
        or content_type.parameters.get("type", "").lower() != DICOM
    ):
        raise HttpProblem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f'the body is {MULTIPART_RELATED}; type="{DICOM}"'
        )
    return content_type.parameters.get("boundary", "")


def _store_parts(archive: Archive, parts: Iterator[Part], study_instance_uid: str | None) -> StoreReport:
    """Store part after part while they arrive; a refused one does not keep the others out."""
    report = StoreReport()
    try:
        for part in parts:
            _store_part(archive, part, study_instance_uid, report)
            if report.too_large:
                break  # there may be no end to it
    except MalformedMultipart as error:
        if not report.stored:
            raise  # 400: nothing is kept of what cannot be read
        report.failures.append(Failure(error))
    if not report.stored and not report.failures:
        raise InvalidRequest("the body has no parts")
    return report


def _store_part(archive: Archive, part: Part, study_instance_uid: str | None, report: StoreReport) -> None:
    incoming: IncomingInstance | None = None
    try:
        _require_plain_dicom(part)
        incoming = replace(open_part10(part.chunks), study_instance_uid=study_instance_uid)
        report.stored.append(store_instance(archive, incoming, _ORIGIN))
    except MalformedMultipart:
        raise
    except (ArchiveError, StoreError) as error:
        uids = (incoming.sop_class_uid, incoming.sop_instance_uid) if incoming else ()
        report.failures.append(Failure(error, *uids))


def _require_plain_dicom(part: Part) -> None:
    media_type = parse_media_type(part.headers.get("content-type", DICOM))
    encodings = (part.headers.get(name, "") for name in ("content-transfer-encoding", "content-encoding"))
    if media_type is None or media_type.name != DICOM:
        raise UnreadableInstance(f"a part is not {DICOM}")
    if any(encoding.lower() not in _UNENCODED for encoding in encodings):
        raise UnreadableInstance("a part is encoded")
