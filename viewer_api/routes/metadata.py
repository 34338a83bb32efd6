"""Retrieving metadata: the data sets without their bulk, WADO-RS (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from pacs.metadata.instance import instance_metadata, metadata_array
from pacs.retrieve import find_instances
from viewer_api import multipart
from viewer_api.compression import HEADERS as GZIP_HEADERS
from viewer_api.compression import accepts_gzip, compress_stream
from viewer_api.dicom_xml import native_model_parts
from viewer_api.media_types import DICOM_JSON, DICOM_XML, MULTIPART_RELATED
from viewer_api.negotiation import DATASETS_REPRESENTATIONS, Acceptable, AcceptableTypes
from viewer_api.openapi import problems, success
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
from viewer_api.streaming import gathered, primed

_RESPONSES: Final = success(
    f"Data sets, their bulk data by URI: in the DICOM JSON Model, or each a part of type `{DICOM_XML}`",
    DICOM_JSON,
    MULTIPART_RELATED,
) | problems(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

router = APIRouter(tags=["Retrieve (WADO-RS)"], default_response_class=Response, responses=_RESPONSES)


@router.get(STUDY_PATH + "/metadata")
def retrieve_study_metadata(
    request: Request, state: State, acceptable: AcceptableTypes, study_instance_uid: StudyUid
) -> Response:
    """Retrieve the metadata of all instances of a study."""
    return _answer_metadata(request, state, acceptable, (study_instance_uid,))


@router.get(SERIES_PATH + "/metadata")
def retrieve_series_metadata(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
) -> Response:
    """Retrieve the metadata of all instances of a series."""
    return _answer_metadata(request, state, acceptable, (study_instance_uid, series_instance_uid))


@router.get(INSTANCE_PATH + "/metadata")
def retrieve_instance_metadata(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
) -> Response:
    """Retrieve the metadata of an instance."""
    uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
    return _answer_metadata(request, state, acceptable, uids)


def _answer_metadata(
    request: Request, state: ViewerState, acceptable: Acceptable, uids: Sequence[str]
) -> Response:
    chosen = acceptable.choose(DATASETS_REPRESENTATIONS)
    instances = find_instances(state.archive, *uids)
    datasets = (instance_metadata(state.archive, instance, state.urls) for instance in instances)
    media_type = chosen.media_type
    if chosen.multipart:
        boundary = secrets.token_hex(16)
        media_type = multipart.content_type(boundary, chosen.media_type)
        chunks = primed(native_model_parts(datasets, boundary))
    else:
        chunks = primed(metadata_array(datasets))
    headers = {"Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(request):
        chunks, headers = compress_stream(chunks), headers | GZIP_HEADERS
    return StreamingResponse(gathered(chunks), headers=headers, media_type=media_type)
