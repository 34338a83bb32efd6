"""Retrieving whole instances: WADO-RS (PS3.18 10.4)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pacs import __version__
from pacs.archive import Archive
from pacs.dicomweb_urls import DICOM_WEB_PATH
from pacs.index.records import StoredInstance
from pacs.pixels.fragments import Extent
from viewer_api import multipart
from viewer_api.byte_ranges import Piece, answer_pieces, piece_of
from viewer_api.caching import IMMUTABLE, RENDERED, cache_headers, make_etag, not_modified
from viewer_api.file_answer import FileAnswer
from viewer_api.instance_parts import (
    Answerable,
    OutgoingInstance,
    common_syntax,
    instance_representations,
    is_surely_stored,
    plan_answer,
    read_outgoing,
)
from viewer_api.lean_route import LeanRoute
from viewer_api.media_types import DICOM, MULTIPART_RELATED, ZIP
from viewer_api.negotiation import Acceptable, Representation
from viewer_api.openapi import partial_content, problems, success
from viewer_api.retrieve_request import OfInstance, OfSeries, OfStudy, RetrieveRequest
from viewer_api.state import INSTANCE_PATH, SERIES_PATH, STUDY_PATH, Answer
from viewer_api.stored_chunks import stored_chunks
from viewer_api.streaming import Chunk, ChunksResponse, gathered, primed
from viewer_api.zip_stream import stream_zip

_RESPONSES: Final = (
    success("The instances", MULTIPART_RELATED, ZIP)
    | partial_content("Not all of them: a Warning tells why", MULTIPART_RELATED, ZIP)
    | problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.GONE,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
)

_REMEMBERED: Final = 256

router = APIRouter(
    prefix=DICOM_WEB_PATH,
    tags=["Retrieve (WADO-RS)"],
    default_response_class=Response,
    responses=_RESPONSES,
    route_class=LeanRoute,
)


@router.get(STUDY_PATH)
async def retrieve_study(asked: OfStudy) -> Response:
    """Retrieve all instances of a study.

    They come in the transfer syntax that is asked for; with `transfer-syntax=*`, byte for byte as they are
    stored. Without this parameter they come in Explicit VR Little Endian (PS3.18 8.7.3), but those that are
    stored with loss as they are. Instances that are missing in the store, or not to be had in this
    transfer syntax, are left out: the status is 206 then, and a Warning tells how many. `application/zip` has
    them as files, with a DICOMDIR.
    """
    return await asked.state.decodes.finish(await run_in_threadpool(_answer_instances, asked))


@router.get(SERIES_PATH)
async def retrieve_series(asked: OfSeries) -> Response:
    """Retrieve all instances of a series; see the study."""
    return await asked.state.decodes.finish(await run_in_threadpool(_answer_instances, asked))


@router.get(
    INSTANCE_PATH,
    responses=success("The instance", MULTIPART_RELATED, DICOM)
    | partial_content("The range that was asked for", MULTIPART_RELATED, DICOM)
    | problems(HTTPStatus.NOT_MODIFIED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
)
async def retrieve_instance(asked: OfInstance) -> Response:
    """Retrieve an instance; see the study.

    It comes as the only part of `multipart/related`, or, where the client prefers `application/dicom`, alone.
    As it is stored it can also be had in parts, by a Range header field.
    """
    return await asked.state.decodes.finish(await run_in_threadpool(_answer_single, asked))


def plan_stored_instance(instance: StoredInstance, acceptable: Acceptable) -> FileAnswer | None:
    """Plan the answer with an instance that goes out as it is stored; None where it may have to be converted.

    Raises
    ------
    viewer_api.problems.NotAcceptable
    """
    syntax = instance.transfer_syntax_uid
    chosen = _choose(acceptable, syntax)
    if not is_surely_stored(syntax, chosen):
        return None
    headers = _headers(instance, chosen, IMMUTABLE)
    return FileAnswer.make(
        Extent(0, instance.location.size_bytes), headers, *_around(syntax, chosen, headers)
    )


@lru_cache(_REMEMBERED)
def _choose(acceptable: Acceptable, transfer_syntax_uid: str) -> Representation:
    """Choose among all forms of one instance, and remember it: there are many to compare."""
    parts = instance_representations(transfer_syntax_uid)
    alone = instance_representations(transfer_syntax_uid, multipart=False)
    return acceptable.choose([*parts, *alone])


def _answer_single(asked: RetrieveRequest) -> Answer:
    (instance,) = asked.find_instances()
    syntax = instance.transfer_syntax_uid
    chosen = _choose(asked.acceptable, syntax)
    offered = instance_representations(syntax, multipart=chosen.multipart)
    return answer_instance(asked, instance, offered, chosen)


def answer_instance(
    asked: RetrieveRequest,
    instance: StoredInstance,
    offered: Sequence[Representation],
    chosen: Representation,
) -> Answer:
    """Answer with an instance in the chosen one of the forms of ``instance_representations``.

    Raises
    ------
    viewer_api.problems.NotAcceptable
        It cannot be had in this form.
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    (outgoing,) = plan_answer(asked.archive, [instance], offered, chosen).instances
    if outgoing.as_stored:
        stored = Piece(instance.location.size_bytes, partial(stored_chunks, asked.archive, instance))
        return _answer_stored(asked, instance, chosen, stored)
    headers = _headers(instance, chosen, RENDERED)
    if (answer := not_modified(asked.request, headers["ETag"], RENDERED)) is not None:
        return answer
    return partial(_answer_converted, asked, outgoing, chosen, headers)


def _headers(instance: StoredInstance, chosen: Representation, cache_control: str) -> dict[str, str]:
    etag = make_etag(__version__, instance.location.sha256, chosen)  # conversion changes with the software
    headers = cache_headers(etag, cache_control)
    if not chosen.multipart:
        headers["Content-Disposition"] = f'attachment; filename="{instance.sop_instance_uid}.dcm"'
    return headers


def _answer_stored(
    asked: RetrieveRequest, instance: StoredInstance, chosen: Representation, stored: Piece
) -> Response:
    """Answer with an instance byte for byte, or with a range of the answer."""
    headers = _headers(instance, chosen, IMMUTABLE)
    if (answer := not_modified(asked.request, headers["ETag"], IMMUTABLE)) is not None:
        return answer
    media_type, before, after = _around(instance.transfer_syntax_uid, chosen, headers)
    pieces = [piece_of(before), stored, piece_of(after)] if chosen.multipart else [stored]
    return answer_pieces(asked.request, pieces, media_type, headers)


def _around(syntax: str, chosen: Representation, headers: Mapping[str, str]) -> tuple[str, bytes, bytes]:
    """Tell the media type of an answer with a stored instance, and what goes before and behind that."""
    if not chosen.multipart:
        return str(Representation(DICOM, syntax)), b"", b""
    boundary = headers["ETag"].strip('"')
    media_type = multipart.content_type(boundary, DICOM, syntax)
    return media_type, multipart.part_head(boundary, DICOM, syntax), b"\r\n" + multipart.closing(boundary)


def _answer_converted(
    asked: RetrieveRequest, outgoing: OutgoingInstance, chosen: Representation, headers: dict[str, str]
) -> Response:
    syntax, chunks = read_outgoing(asked.archive, outgoing)
    media_type = str(Representation(DICOM, syntax))
    if chosen.multipart:
        boundary = headers["ETag"].strip('"')
        media_type = multipart.content_type(boundary, DICOM, syntax)
        chunks = _as_part(chunks, syntax, boundary, last=True)
    return StreamingResponse(asked.state.decodes.iterate(chunks), headers=headers, media_type=media_type)


def _answer_instances(asked: RetrieveRequest) -> Answer:
    instances = asked.find_instances()
    syntax = common_syntax(instances)
    parts = instance_representations(syntax)
    zips = instance_representations(syntax, media_type=ZIP, multipart=False)
    chosen = asked.choose([*parts, *zips])
    answerable = plan_answer(asked.archive, instances, parts if chosen.multipart else zips, chosen)
    headers = {"Vary": "Accept"}
    if answerable.warning:
        headers["Warning"] = answerable.warning
    status = HTTPStatus.PARTIAL_CONTENT if answerable.warning else HTTPStatus.OK
    if chosen.multipart:
        return _answer_parts(asked, answerable, status, headers)
    uid = asked.uids[-1]
    headers["Content-Disposition"] = f'attachment; filename="{uid}.zip"'
    files = gathered(stream_zip(asked.archive, answerable.instances, uid))
    if answerable.as_stored:
        return StreamingResponse(primed(files), status, headers, ZIP)
    return lambda: StreamingResponse(asked.state.decodes.iterate(primed(files)), status, headers, ZIP)


def _answer_parts(
    asked: RetrieveRequest, answerable: Answerable, status: int, headers: dict[str, str]
) -> Answer:
    boundary = secrets.token_hex(16)
    syntaxes = {outgoing.transfer_syntax_uid for outgoing in answerable.instances}
    media_type = multipart.content_type(boundary, DICOM, syntaxes.pop() if len(syntaxes) == 1 else None)
    if answerable.as_stored:
        headers["Content-Length"] = str(_size_bytes(answerable, boundary))
        stored = _stored_parts(asked.archive, answerable.instances, boundary)
        return ChunksResponse(stored, status, headers, media_type)
    parts = gathered(_parts(asked.archive, answerable.instances, boundary))
    return lambda: StreamingResponse(asked.state.decodes.iterate(primed(parts)), status, headers, media_type)


def _size_bytes(answerable: Answerable, boundary: str) -> int:
    """Return the size of an answer of stored instances: told, a client sees an answer that was cut."""
    parts = (
        len(_head(outgoing.transfer_syntax_uid, boundary))
        + outgoing.instance.location.size_bytes
        + len(b"\r\n")
        for outgoing in answerable.instances
    )
    return sum(parts) + len(multipart.closing(boundary))


def _stored_parts(archive: Archive, instances: Sequence[OutgoingInstance], boundary: str) -> Iterator[Chunk]:
    for outgoing in instances:
        yield _head(outgoing.transfer_syntax_uid, boundary)
        yield from stored_chunks(archive, outgoing.instance)
        yield b"\r\n"
    yield multipart.closing(boundary)


def _parts(archive: Archive, instances: Sequence[OutgoingInstance], boundary: str) -> Iterator[bytes]:
    for outgoing in instances:
        syntax, chunks = read_outgoing(archive, outgoing)
        yield from _as_part(chunks, syntax, boundary, last=outgoing is instances[-1])


def _as_part(chunks: Iterator[bytes], syntax: str, boundary: str, *, last: bool) -> Iterator[bytes]:
    yield _head(syntax, boundary)
    yield from chunks
    yield b"\r\n"
    if last:
        yield multipart.closing(boundary)


def _head(syntax: str, boundary: str) -> bytes:
    return multipart.part_head(boundary, DICOM, syntax)
