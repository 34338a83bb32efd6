"""Retrieving frames: WADO-RS (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pacs.archive import Archive
from pacs.dicomweb_urls import DICOM_WEB_PATH
from pacs.errors import PixelsUnavailable, UnreadableInstance
from pacs.index.records import StoredInstance
from pacs.retrieve import locate_frame, require_frame
from viewer_api import multipart
from viewer_api.byte_ranges import Piece, answer_pieces, piece_of
from viewer_api.caching import IMMUTABLE, cache_headers, make_etag, not_modified
from viewer_api.file_answer import FileAnswer
from viewer_api.frame_bytes import (
    converted_frame,
    encoded_representations,
    frame_representations,
    needs_decoding,
    stored_frame,
    transcodable,
)
from viewer_api.lean_route import LeanRoute
from viewer_api.media_types import MULTIPART_RELATED, OCTET_STREAM
from viewer_api.negotiation import Acceptable, Representation
from viewer_api.openapi import partial_content, problems, success
from viewer_api.params import MAX_FRAMES, parse_frame_list
from viewer_api.retrieve_request import OfInstance, RetrieveRequest
from viewer_api.state import INSTANCE_PATH, Answer
from viewer_api.stored_chunks import stored_frame_piece
from viewer_api.streaming import primed_async

router = APIRouter(
    prefix=DICOM_WEB_PATH, tags=["Retrieve (WADO-RS)"], default_response_class=Response, route_class=LeanRoute
)

_REMEMBERED: Final = 256

FrameList = Annotated[str, Path(description=f"Frame numbers from 1 on, by commas; at most {MAX_FRAMES}")]


@router.get(
    INSTANCE_PATH + "/frames/{frame_list}",
    responses=success("The frames", MULTIPART_RELATED, OCTET_STREAM)
    | partial_content("The range that was asked for", MULTIPART_RELATED, OCTET_STREAM)
    | problems(
        HTTPStatus.NOT_MODIFIED,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.GONE,
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def retrieve_frames(asked: OfInstance, frame_list: FrameList) -> Response:
    """Retrieve frames, each with its media type and transfer syntax.

    Stored frames come in the media type of their transfer syntax (`image/jls` and so on), also to a client
    that takes anything, or as `application/octet-stream; transfer-syntax=*`. `application/octet-stream` alone
    means decoded, little endian samples. Other transfer syntaxes are made for who asks for them, where the
    Standard allows them for these pixels: lossless ones, and JPEG Baseline. A single frame can also be had
    without multipart around it, and in parts, by a Range header field.
    """
    frames = parse_frame_list(frame_list)
    if len(frames) == 1:
        return await asked.state.decodes.finish(await run_in_threadpool(_answer_frame, asked, frames[0]))
    planned = await run_in_threadpool(_find_and_plan, asked, frames)
    if isinstance(planned, Response):
        return planned
    parts = await primed_async(_parts(asked, planned, frames))
    return StreamingResponse(parts, headers=planned.headers, media_type=planned.media_type)


@dataclass(frozen=True, slots=True)
class _Planned:
    """An instance, and the form in which frames of it go out."""

    instance: StoredInstance
    form: Representation
    headers: dict[str, str]

    @property
    def is_stored(self) -> bool:
        return not needs_decoding(self.instance.transfer_syntax_uid, self.form)

    @property
    def boundary(self) -> str:
        return self.headers["ETag"].strip('"')

    @property
    def media_type(self) -> str:
        if not self.form.multipart:
            return str(self.form)
        return multipart.content_type(self.boundary, self.form.media_type, self.form.transfer_syntax_uid)

    @property
    def part_head(self) -> bytes:
        return multipart.part_head(self.boundary, self.form.media_type, self.form.transfer_syntax_uid)

    @property
    def around(self) -> tuple[bytes, bytes]:
        """What goes before and behind a single frame."""
        if not self.form.multipart:
            return b"", b""
        return self.part_head, b"\r\n" + multipart.closing(self.boundary)


def plan_stored_frame(
    archive: Archive, instance: StoredInstance, frame_number: int, acceptable: Acceptable
) -> FileAnswer | None:
    """Plan the answer with a frame (1-based) that goes out as it is stored; None where the route has to look.

    Raises
    ------
    pacs.errors.ArchiveError
        There is no such frame, or it cannot be told where it lies.
    viewer_api.problems.NotAcceptable
    """
    form = _choose_any(acceptable, instance.transfer_syntax_uid, may_be_alone=True)
    planned = _planned(instance, form, [frame_number])
    extent = locate_frame(archive, instance, frame_number) if planned.is_stored else None
    if extent is None:
        return None
    return FileAnswer.make(extent, planned.headers, planned.media_type, *planned.around)


def _planned(instance: StoredInstance, form: Representation, frames: Sequence[int]) -> _Planned:
    headers = cache_headers(make_etag(instance.location.sha256, form, *frames), IMMUTABLE)
    if not form.multipart:
        headers["Content-Disposition"] = "attachment"
    return _Planned(instance, form, headers)


def _find_and_plan(asked: RetrieveRequest, frames: Sequence[int]) -> _Planned | Response:
    (instance,) = asked.find_instances()
    return _plan(asked, instance, frames)


def _plan(asked: RetrieveRequest, instance: StoredInstance, frames: Sequence[int]) -> _Planned | Response:
    """Choose a form; a response where the client has it already."""
    require_frame(max(frames), instance.number_of_frames)
    form = _choose(asked, instance, may_be_alone=len(frames) == 1)
    planned = _planned(instance, form, frames)
    return not_modified(asked.request, planned.headers["ETag"], IMMUTABLE) or planned


def _choose(asked: RetrieveRequest, instance: StoredInstance, *, may_be_alone: bool) -> Representation:
    """Choose a form; the pixels are asked only where the client prefers one that is not there yet."""
    uid = instance.transfer_syntax_uid
    chosen = _choose_any(asked.acceptable, uid, may_be_alone=may_be_alone)
    ready = {one.transfer_syntax_uid for one in frame_representations(uid)}
    if chosen.transfer_syntax_uid in ready:
        return chosen
    offered = _offered(uid, may_be_alone)
    try:
        possible = {*ready, *transcodable(asked.archive, instance)}
    except (PixelsUnavailable, UnreadableInstance):
        possible = ready
    return asked.choose([one for one in offered if one.transfer_syntax_uid in possible])


@lru_cache(_REMEMBERED)
def _choose_any(acceptable: Acceptable, transfer_syntax_uid: str, *, may_be_alone: bool) -> Representation:
    return acceptable.choose(_offered(transfer_syntax_uid, may_be_alone))


@cache
def _offered(transfer_syntax_uid: str, may_be_alone: bool) -> tuple[Representation, ...]:
    ready, encoded = frame_representations(transfer_syntax_uid), encoded_representations(transfer_syntax_uid)
    offered = (*ready, *encoded)
    return (*offered, *(replace(one, multipart=False) for one in offered)) if may_be_alone else offered


def _answer_frame(asked: RetrieveRequest, frame_number: int) -> Answer:
    planned = _find_and_plan(asked, [frame_number])
    if isinstance(planned, Response):
        return planned
    if planned.is_stored:
        return _answer_piece(
            asked, planned, stored_frame_piece(asked.archive, planned.instance, frame_number)
        )
    return lambda: _answer_piece(asked, planned, piece_of(_converted(asked, planned, frame_number)))


def _answer_piece(asked: RetrieveRequest, planned: _Planned, piece: Piece) -> Response:
    before, after = planned.around
    pieces = [piece_of(before), piece, piece_of(after)] if planned.form.multipart else [piece]
    return answer_pieces(asked.request, pieces, planned.media_type, planned.headers)


async def _parts(asked: RetrieveRequest, planned: _Planned, frames: Sequence[int]) -> AsyncIterator[bytes]:
    for frame_number in frames:
        if planned.is_stored:
            data = await run_in_threadpool(stored_frame, asked.archive, planned.instance, frame_number)
        else:
            data = await asked.state.decodes.run(partial(_converted, asked, planned, frame_number))
        yield b"".join((planned.part_head, data, b"\r\n"))
    yield multipart.closing(planned.boundary)


def _converted(asked: RetrieveRequest, planned: _Planned, frame_number: int) -> bytes:
    syntax = str(planned.form.transfer_syntax_uid)
    return converted_frame(asked.archive, planned.instance, frame_number, syntax)
