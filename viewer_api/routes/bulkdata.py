"""Retrieving bulk data, by the URIs of metadata or all of a resource (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pacs.archive import Archive
from pacs.conversion import has_pixel_data
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.errors import ArchiveError, NotFound
from pacs.index.records import StoredInstance
from pacs.metadata.instance import PIXEL_DATA_TAGS
from pacs.retrieve import read_attributes, split_by_presence
from storage.errors import ObjectNotFound
from viewer_api import multipart
from viewer_api.bulk_values import find_value, list_values, parse_bulkdata_path
from viewer_api.byte_ranges import Piece, answer_pieces, piece_of
from viewer_api.caching import IMMUTABLE, cache_headers, make_etag, not_modified
from viewer_api.frame_bytes import frame_representations
from viewer_api.media_types import MULTIPART_RELATED, OCTET_STREAM
from viewer_api.negotiation import Representation
from viewer_api.openapi import partial_content, problems, success
from viewer_api.pixel_parts import BulkPart, list_pixel_parts, pieces_of_value
from viewer_api.retrieve_request import OfInstance, OfSeries, OfStudy, RetrieveRequest
from viewer_api.state import INSTANCE_PATH, SERIES_PATH, STUDY_PATH, Answer
from viewer_api.streaming import gathered, primed

# Opened by itself, nothing of it runs or loads.
_DOWNLOAD_HEADERS: Final = {
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_RESPONSES: Final = (
    success("The values", MULTIPART_RELATED)
    | partial_content("Not those of all instances: a Warning tells why", MULTIPART_RELATED)
    | problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.GONE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
)

router = APIRouter(tags=["Retrieve (WADO-RS)"], default_response_class=Response, responses=_RESPONSES)


@router.get(
    INSTANCE_PATH + "/bulkdata/{bulkdata_path:path}",
    responses=success("The value", MULTIPART_RELATED, OCTET_STREAM)
    | partial_content("The range that was asked for", MULTIPART_RELATED, OCTET_STREAM)
    | problems(HTTPStatus.NOT_MODIFIED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
)
async def retrieve_bulkdata(asked: OfInstance, bulkdata_path: str) -> Response:
    """Retrieve a binary value by its BulkDataURI: its tag, within sequences `tag/item/tag`.

    Pixel data comes whole where it is native or is to be, and by its frames, a part each, where it is
    compressed; a video comes as one.
    """
    path = parse_bulkdata_path(bulkdata_path)
    answer = await asked.state.decodes.finish(await run_in_threadpool(_answer_path, asked, path))
    answer.headers.update(_DOWNLOAD_HEADERS)
    return answer


@router.get(STUDY_PATH + "/bulkdata")
async def retrieve_study_bulkdata(asked: OfStudy) -> Response:
    """Retrieve all bulk data of a study: large binary values and pixel data, each by its Content-Location."""
    return await _answer_all(asked, pixels_only=False)


@router.get(SERIES_PATH + "/bulkdata")
async def retrieve_series_bulkdata(asked: OfSeries) -> Response:
    """Retrieve all bulk data of a series."""
    return await _answer_all(asked, pixels_only=False)


@router.get(INSTANCE_PATH + "/bulkdata")
async def retrieve_instance_bulkdata(asked: OfInstance) -> Response:
    """Retrieve all bulk data of an instance."""
    return await _answer_all(asked, pixels_only=False)


@router.get(STUDY_PATH + "/pixeldata")
async def retrieve_study_pixel_data(asked: OfStudy) -> Response:
    """Retrieve the pixel data of all instances of a study."""
    return await _answer_all(asked, pixels_only=True)


@router.get(SERIES_PATH + "/pixeldata")
async def retrieve_series_pixel_data(asked: OfSeries) -> Response:
    """Retrieve the pixel data of all instances of a series."""
    return await _answer_all(asked, pixels_only=True)


@router.get(INSTANCE_PATH + "/pixeldata")
async def retrieve_instance_pixel_data(asked: OfInstance) -> Response:
    """Retrieve the pixel data of an instance."""
    return await _answer_all(asked, pixels_only=True)


def _answer_path(asked: RetrieveRequest, path: str) -> Answer:
    (instance,) = asked.find_instances()
    if path in PIXEL_DATA_TAGS.values():
        return _answer_pixel_data(asked, instance)
    return _answer_value(asked, instance, path)


def _answer_value(asked: RetrieveRequest, instance: StoredInstance, path: str) -> Response:
    big_endian = TRANSFER_SYNTAXES[instance.transfer_syntax_uid].big_endian
    found = find_value(read_attributes(asked.archive, instance), path, big_endian=big_endian)
    types = dict.fromkeys((found.media_type, OCTET_STREAM))
    chosen = asked.choose([Representation(one, multipart=part) for one in types for part in (True, False)])
    etag = make_etag(instance.location.sha256, path, chosen)
    if (answer := not_modified(asked.request, etag, IMMUTABLE)) is not None:
        return answer
    return _answer_one(asked, [piece_of(found.value)], chosen, etag)


def _answer_one(
    asked: RetrieveRequest, pieces: Sequence[Piece], chosen: Representation, etag: str
) -> Response:
    """Answer with a value of known size, or with a range of it."""
    headers = cache_headers(etag, IMMUTABLE)
    if not chosen.multipart:
        return answer_pieces(asked.request, pieces, str(chosen), headers)
    boundary = etag.strip('"')
    head = multipart.part_head(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    around = head, b"\r\n" + multipart.closing(boundary)
    media_type = multipart.content_type(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    return answer_pieces(asked.request, pieces, media_type, headers, around)


def _answer_pixel_data(asked: RetrieveRequest, instance: StoredInstance) -> Answer:
    if not has_pixel_data(instance):
        raise NotFound("the instance has no pixel data")
    syntax = TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    forms = frame_representations(instance.transfer_syntax_uid)
    forms = [one for one in forms if not (syntax.video and one.transfer_syntax_uid != syntax.uid)]
    alone = [
        Representation(one.media_type, one.transfer_syntax_uid, implied=one.implied)
        for one in forms
        if syntax.video or one.transfer_syntax_uid != syntax.uid or not syntax.encapsulated
    ]
    chosen = asked.choose([*forms, *alone])
    etag = make_etag(instance.location.sha256, "pixel data", chosen)
    if (answer := not_modified(asked.request, etag, IMMUTABLE)) is not None:
        return answer
    pieces = pieces_of_value(asked.archive, instance)
    if pieces is not None:
        return _answer_one(asked, pieces, chosen, etag)
    headers, boundary = cache_headers(etag, IMMUTABLE), etag.strip('"')
    media_type = multipart.content_type(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    if chosen.multipart:
        chunks = _write_parts(_readable_parts(asked, [instance], chosen, pixels_only=True), boundary)
    else:
        chunks, media_type = next(list_pixel_parts(asked.archive, instance, chosen)).chunks, str(chosen)
    iterate = asked.state.decodes.iterate
    return lambda: StreamingResponse(
        iterate(primed(gathered(chunks))), headers=headers, media_type=media_type
    )


async def _answer_all(asked: RetrieveRequest, *, pixels_only: bool) -> Response:
    """Answer with the bulk data of all instances; what is missing or damaged does not keep the rest back."""
    instances = await run_in_threadpool(asked.find_instances)
    forms = [Representation(OCTET_STREAM, multipart=True)]  # native
    forms.append(replace(forms[0], implied=False))  # stored
    syntaxes = {instance.transfer_syntax_uid for instance in instances}
    if len(syntaxes) == 1 and pixels_only:
        forms = [*frame_representations(syntaxes.pop()), *forms]
    chosen = asked.choose(forms)
    present, missing = await run_in_threadpool(split_by_presence, asked.archive, instances)
    if not present:
        raise ObjectNotFound(f"none of {len(missing)} objects is in the store")
    boundary = secrets.token_hex(16)
    parts = _readable_parts(asked, present, chosen, pixels_only)
    chunks = await asked.state.decodes.run(lambda: primed(gathered(_write_parts(parts, boundary))))
    headers = {"Vary": "Accept", **_DOWNLOAD_HEADERS}
    if missing:
        headers["Warning"] = f'299 filmless "instances left out: {len(missing)} missing in the store"'
    return StreamingResponse(
        asked.state.decodes.iterate(chunks),
        HTTPStatus.PARTIAL_CONTENT if missing else HTTPStatus.OK,
        headers,
        multipart.content_type(boundary, chosen.media_type, chosen.transfer_syntax_uid),
    )


def _readable_parts(
    asked: RetrieveRequest, instances: Sequence[StoredInstance], form: Representation, pixels_only: bool
) -> Iterator[BulkPart]:
    """List the parts of all instances whose first piece can be read.

    Raises
    ------
    ArchiveError
        There is none: what the first one failed with, or NotFound.
    """
    is_empty, refusal = True, None
    for instance in instances:
        uids = instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
        url = asked.state.urls.instance(*uids)
        try:
            for part in _list_parts(asked.archive, instance, form, pixels_only):
                chunks = primed(part.chunks)
                is_empty = False
                yield BulkPart(f"{url}/{part.name}", part.form, chunks)
        except ArchiveError as error:
            refusal = refusal or error
    if is_empty:
        raise refusal or NotFound("there is no bulk data")


def _list_parts(
    archive: Archive, instance: StoredInstance, form: Representation, pixels_only: bool
) -> Iterator[BulkPart]:
    if not pixels_only:
        big_endian = TRANSFER_SYNTAXES[instance.transfer_syntax_uid].big_endian
        for found in list_values(read_attributes(archive, instance), big_endian=big_endian):
            octets = Representation(OCTET_STREAM)
            yield BulkPart(f"bulkdata/{found.path}", octets, iter((found.value,)))
    if has_pixel_data(instance):
        yield from list_pixel_parts(archive, instance, form)


def _write_parts(parts: Iterable[BulkPart], boundary: str) -> Iterator[bytes]:
    for part in parts:
        yield multipart.part_head(boundary, part.form.media_type, part.form.transfer_syntax_uid, part.name)
        yield from part.chunks
        yield b"\r\n"
    yield multipart.closing(boundary)
