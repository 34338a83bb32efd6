"""Retrieving frames: WADO-RS (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pacs.errors import NotFound, PixelsUnavailable, UnreadableInstance
from pacs.index.records import StoredInstance
from viewer_api import multipart
from viewer_api.byte_ranges import answer_bytes
from viewer_api.caching import IMMUTABLE, cache_headers, make_etag, not_modified
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
from viewer_api.negotiation import Representation
from viewer_api.openapi import partial_content, problems, success
from viewer_api.params import MAX_FRAMES, parse_frame_list
from viewer_api.retrieve_request import OfInstance, RetrieveRequest
from viewer_api.state import INSTANCE_PATH
from viewer_api.streaming import primed_async

router = APIRouter(tags=["Retrieve (WADO-RS)"], default_response_class=Response, route_class=LeanRoute)

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
    (instance,) = await run_in_threadpool(asked.find_instances)
    if max(frames) > instance.number_of_frames:
        raise NotFound(f"there is no frame {max(frames)}, only 1 to {instance.number_of_frames}")
    chosen = await _choose(asked, instance, may_be_alone=len(frames) == 1)
    etag = make_etag(instance.location.sha256, chosen, *frames)
    if (answer := not_modified(asked.request, etag, IMMUTABLE)) is not None:
        return answer
    headers = cache_headers(etag, IMMUTABLE)
    if len(frames) == 1:
        return await _answer_frame(asked, instance, frames[0], chosen, headers)
    boundary = etag.strip('"')
    parts = await primed_async(_parts(asked, instance, frames, chosen, boundary))
    media_type = multipart.content_type(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    return StreamingResponse(parts, headers=headers, media_type=media_type)


async def _choose(asked: RetrieveRequest, instance: StoredInstance, *, may_be_alone: bool) -> Representation:
    """Choose a form; the pixels are asked only where the client prefers one that is not there yet."""
    ready = frame_representations(instance.transfer_syntax_uid)
    encoded = encoded_representations(instance.transfer_syntax_uid)
    chosen = asked.choose(_with_single(ready + encoded, may_be_alone))
    if chosen.transfer_syntax_uid in {one.transfer_syntax_uid for one in ready}:
        return chosen
    try:
        possible = await run_in_threadpool(transcodable, asked.archive, instance)
    except (PixelsUnavailable, UnreadableInstance):
        possible = []
    encoded = [one for one in encoded if one.transfer_syntax_uid in possible]
    return asked.choose(_with_single(ready + encoded, may_be_alone))


def _with_single(offered: Sequence[Representation], may_be_alone: bool) -> list[Representation]:
    alone = [replace(one, multipart=False) for one in offered] if may_be_alone else []
    return [*offered, *alone]


async def _answer_frame(
    asked: RetrieveRequest,
    instance: StoredInstance,
    frame_number: int,
    chosen: Representation,
    headers: dict[str, str],
) -> Response:
    data = await _read_frame(asked, instance, frame_number, chosen)
    if not chosen.multipart:
        headers["Content-Disposition"] = "attachment"
        return answer_bytes(asked.request, data, str(chosen), headers)
    boundary = headers["ETag"].strip('"')
    body = b"".join((*_part(data, chosen, boundary), multipart.closing(boundary)))
    media_type = multipart.content_type(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    return answer_bytes(asked.request, body, media_type, headers)


async def _parts(
    asked: RetrieveRequest,
    instance: StoredInstance,
    frames: Sequence[int],
    chosen: Representation,
    boundary: str,
) -> AsyncIterator[bytes]:
    for frame_number in frames:
        data = await _read_frame(asked, instance, frame_number, chosen)
        yield b"".join(_part(data, chosen, boundary))
    yield multipart.closing(boundary)


def _part(data: bytes, chosen: Representation, boundary: str) -> tuple[bytes, bytes, bytes]:
    head = multipart.part_head(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    return head, data, b"\r\n"


async def _read_frame(
    asked: RetrieveRequest, instance: StoredInstance, frame_number: int, chosen: Representation
) -> bytes:
    if needs_decoding(instance.transfer_syntax_uid, chosen):
        syntax = str(chosen.transfer_syntax_uid)
        convert = partial(converted_frame, asked.archive, instance, frame_number, syntax)
        return await asked.state.decodes.run(convert)
    return await run_in_threadpool(stored_frame, asked.archive, instance, frame_number)
