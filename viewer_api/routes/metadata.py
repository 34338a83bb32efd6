"""Retrieving metadata: the data sets without their bulk, WADO-RS (PS3.18 10.4.1.1.2)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import chain
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from pacs.dicom.json_model import encode_dataset
from pacs.dicomweb_urls import DICOM_WEB_PATH
from pacs.errors import NotFound
from pacs.index.series_contents import SeriesContents
from pacs.metadata.instance import instance_metadata
from pacs.metadata.json_lines import compress, decompress, read_array, write_array
from pacs.metadata.series import public_urls, read_series_metadata, with_addresses
from viewer_api import multipart
from viewer_api.caching import NOT_STORED, cache_headers, etag_of, not_modified
from viewer_api.compression import HEADERS as GZIP_HEADERS
from viewer_api.compression import accepts_gzip
from viewer_api.dicom_xml import native_model_parts
from viewer_api.lean_route import LeanRoute
from viewer_api.media_types import DICOM_JSON, DICOM_XML, MULTIPART_RELATED
from viewer_api.negotiation import DATASETS_REPRESENTATIONS, Representation
from viewer_api.openapi import problems, success
from viewer_api.retrieve_request import OfInstance, OfSeries, OfStudy, RetrieveRequest
from viewer_api.state import INSTANCE_PATH, SERIES_PATH, STUDY_PATH
from viewer_api.streaming import gathered

_RESPONSES: Final = success(
    f"Data sets, their bulk data by URI: in the DICOM JSON Model, or each a part of type `{DICOM_XML}`",
    DICOM_JSON,
    MULTIPART_RELATED,
) | problems(
    HTTPStatus.NOT_MODIFIED,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

router = APIRouter(
    prefix=DICOM_WEB_PATH,
    tags=["Retrieve (WADO-RS)"],
    default_response_class=Response,
    responses=_RESPONSES,
    route_class=LeanRoute,
)


@router.get(STUDY_PATH + "/metadata")
def retrieve_study_metadata(asked: OfStudy) -> Response:
    """Retrieve the metadata of all instances of a study.

    An instance whose object the store has lost comes with what the index knows of it.
    """
    chosen = asked.choose(DATASETS_REPRESENTATIONS)
    return _answer(asked, chosen, _find_series(asked))


@router.get(SERIES_PATH + "/metadata")
def retrieve_series_metadata(asked: OfSeries) -> Response:
    """Retrieve the metadata of all instances of a series.

    An instance whose object the store has lost comes with what the index knows of it.
    """
    chosen = asked.choose(DATASETS_REPRESENTATIONS)
    (contents,) = found = _find_series(asked)
    if chosen.multipart or asked.state.urls != public_urls(asked.archive.settings):
        return _answer(asked, chosen, found)
    return _stream(asked.request, read_series_metadata(asked.archive, contents), chosen.media_type)


@router.get(INSTANCE_PATH + "/metadata")
def retrieve_instance_metadata(asked: OfInstance) -> Response:
    """Retrieve the metadata of an instance."""
    chosen = asked.choose(DATASETS_REPRESENTATIONS)
    (instance,) = asked.find_instances()
    encoded = encode_dataset(instance_metadata(asked.archive, instance, asked.state.urls))
    return _answer_encoded(asked.request, chosen, [encoded])


def _find_series(asked: RetrieveRequest) -> list[SeriesContents]:
    found = asked.archive.index.list_series_contents(*asked.uids)
    if not found:
        raise NotFound("there is no such study or series")
    return found


def _answer(asked: RetrieveRequest, chosen: Representation, found: Iterable[SeriesContents]) -> Response:
    """Answer with the data sets of series, one after the other."""
    kept = (read_array(decompress(read_series_metadata(asked.archive, contents))) for contents in found)
    encoded = with_addresses(
        chain.from_iterable(kept), public_urls(asked.archive.settings), wanted=asked.state.urls
    )
    return _answer_encoded(asked.request, chosen, encoded)


def _answer_encoded(request: Request, chosen: Representation, encoded: Iterable[bytes]) -> Response:
    if not chosen.multipart:
        return _stream(request, compress(write_array(encoded)), chosen.media_type)
    boundary = secrets.token_hex(16)
    parts = native_model_parts(map(orjson.loads, encoded), boundary)
    return _stream(request, compress(parts), multipart.content_type(boundary, chosen.media_type))


def _stream(request: Request, compressed: Iterator[bytes], media_type: str) -> Response:
    """Answer with what is compressed, for the client that takes it so, and decompressed for others."""
    headers = {"Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(request):
        pieces, headers = gathered(compressed), headers | GZIP_HEADERS
    else:
        pieces = gathered(decompress(compressed))
    first, second = next(pieces), next(pieces, None)
    if second is None:  # nearly always: and what fails is told with a status, not by a cut answer
        return _answer_whole(request, first, headers, media_type)
    return StreamingResponse(chain((first, second), pieces), headers=headers, media_type=media_type)


def _answer_whole(request: Request, body: bytes, headers: dict[str, str], media_type: str) -> Response:
    """Answer with metadata, unless the client has just this; no browser keeps it, as it names patients."""
    etag = etag_of(hashlib.sha256(body).hexdigest())
    if (answer := not_modified(request, etag, NOT_STORED)) is not None:
        return answer
    headers = {**cache_headers(etag, NOT_STORED), **headers}
    return Response(body, headers=headers, media_type=media_type)
