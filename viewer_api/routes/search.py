"""Searching: QIDO-RS (PS3.18 10.6)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response

from pacs.dicom.attributes import Level
from pacs.dicom.json_model import JsonDataset, encode_dataset
from pacs.index.records import Match
from viewer_api import multipart
from viewer_api.compression import compressed_response
from viewer_api.dicom_json import match_to_json
from viewer_api.dicom_xml import native_model_parts
from viewer_api.included_fields import read_fields
from viewer_api.media_types import DICOM_JSON, DICOM_XML, MULTIPART_RELATED
from viewer_api.negotiation import DATASETS_REPRESENTATIONS, Acceptable, AcceptableTypes
from viewer_api.openapi import SEARCH_PARAMETERS, problems, success
from viewer_api.search_params import Search, parse_search
from viewer_api.state import SERIES_PATH, STUDY_PATH, SeriesUid, State, StudyUid, ViewerState

TRUNCATED: Final = '299 filmless "There are more results; they can be requested with limit and offset"'

RESPONSES: Final = (
    success(
        "Data sets, newest study first: in the DICOM JSON Model, an empty array where nothing matches; "
        f"or each a part of type `{DICOM_XML}`",
        DICOM_JSON,
        MULTIPART_RELATED,
        Warning="299 where there are more results behind these (PS3.18 8.3.4.4)",
    )
    | {HTTPStatus.NO_CONTENT.value: {"description": "Nothing matches, and XML was asked for"}}
    | problems(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.SERVICE_UNAVAILABLE)
)

router = APIRouter(tags=["Search (QIDO-RS)"], default_response_class=Response, responses=RESPONSES)


@router.get("/studies", openapi_extra=SEARCH_PARAMETERS)
def search_for_studies(request: Request, state: State, acceptable: AcceptableTypes) -> Response:
    """Search for studies.

    Names match blind to case, diacritics and the order of their words; names with the diacritics that were
    typed come first. `ModalitiesInStudy` and UIDs take lists (`CT,MR`), dates and times ranges
    (`20260101-20260131`; a range of both is one from moment to moment), text the wildcards `*` and `?`.
    """
    return answer_search(request, state, acceptable, _parse(request, Level.STUDY))


@router.get("/series", openapi_extra=SEARCH_PARAMETERS)
def search_for_all_series(request: Request, state: State, acceptable: AcceptableTypes) -> Response:
    """Search for series of all studies; the attributes of the studies are returned as well."""
    return answer_search(request, state, acceptable, _parse(request, Level.SERIES))


@router.get("/instances", openapi_extra=SEARCH_PARAMETERS)
def search_for_all_instances(request: Request, state: State, acceptable: AcceptableTypes) -> Response:
    """Search for instances of all studies; the attributes of studies and series are returned as well."""
    return answer_search(request, state, acceptable, _parse(request, Level.INSTANCE))


@router.get(STUDY_PATH + "/series", openapi_extra=SEARCH_PARAMETERS)
def search_for_series(
    request: Request, state: State, acceptable: AcceptableTypes, study_instance_uid: StudyUid
) -> Response:
    """Search for series of a study."""
    return answer_search(request, state, acceptable, _parse(request, Level.SERIES, study_instance_uid))


@router.get(STUDY_PATH + "/instances", openapi_extra=SEARCH_PARAMETERS)
def search_for_instances_of_study(
    request: Request, state: State, acceptable: AcceptableTypes, study_instance_uid: StudyUid
) -> Response:
    """Search for instances of a study."""
    return answer_search(request, state, acceptable, _parse(request, Level.INSTANCE, study_instance_uid))


@router.get(SERIES_PATH + "/instances", openapi_extra=SEARCH_PARAMETERS)
def search_for_instances(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
) -> Response:
    """Search for instances of a series."""
    search = _parse(request, Level.INSTANCE, study_instance_uid, series_instance_uid)
    return answer_search(request, state, acceptable, search)


def answer_search(request: Request, state: ViewerState, acceptable: Acceptable, search: Search) -> Response:
    """Search, and answer with what was found.

    Nothing found is an empty array, which clients that parse every answer as JSON can read; PS3.18 8.3.4.4
    would have 204 without a body. That is the answer in XML, as a multipart message has one part at least.
    """
    representation = acceptable.choose(DATASETS_REPRESENTATIONS)
    result = state.archive.index.search(search.query)
    matches = [_match_to_json(state, match, search) for match in result.matches]
    headers = {"Warning": TRUNCATED} if result.truncated else {}
    if not representation.multipart:
        return compressed_response(request, _encode(matches), representation.media_type, headers)
    if not matches:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    boundary = secrets.token_hex(16)
    parts = b"".join(native_model_parts(matches, boundary))
    return compressed_response(
        request, parts, multipart.content_type(boundary, representation.media_type), headers
    )


def _encode(matches: Sequence[JsonDataset]) -> bytes:
    """Encode answers; in what objects say there may be what has no place in JSON, which is written empty."""
    try:
        return orjson.dumps(matches)
    except orjson.JSONEncodeError:
        return b"[" + b",".join(map(encode_dataset, matches)) + b"]"


def _match_to_json(state: ViewerState, match: Match, search: Search) -> JsonDataset:
    """Write an answer: what the index has of it, and then what it does not."""
    level, urls = search.query.level, state.urls
    written = match_to_json(match, level, search.returned, urls)
    if not search.read:
        return written
    return dict(sorted((written | read_fields(state.archive, match, level, search.read, urls)).items()))


def _parse(
    request: Request,
    level: Level,
    study_instance_uid: str | None = None,
    series_instance_uid: str | None = None,
) -> Search:
    parameters = request.query_params.multi_items()
    return parse_search(parameters, level, study_instance_uid, series_instance_uid)
