"""Retrieving frames: WADO-RS (PS3.18 10.4.1.1.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pacs.errors import NotFound
from pacs.index.records import StoredInstance
from pacs.retrieve import find_instances
from viewer_api import multipart
from viewer_api.caching import IMMUTABLE, cache_headers, make_etag, not_modified
from viewer_api.frame_bytes import frame_representations, native_frame, needs_decoding, stored_frame
from viewer_api.media_types import MULTIPART_RELATED, OCTET_STREAM
from viewer_api.negotiation import AcceptableTypes, Representation
from viewer_api.openapi import problems, success
from viewer_api.params import MAX_FRAMES, parse_frame_list
from viewer_api.state import INSTANCE_PATH, InstanceUid, SeriesUid, State, StudyUid, ViewerState
from viewer_api.streaming import primed_async

router = APIRouter(tags=["Retrieve (WADO-RS)"], default_response_class=Response)

FrameList = Annotated[str, Path(description=f"Frame numbers from 1 on, by commas; at most {MAX_FRAMES}")]


@router.get(
    INSTANCE_PATH + "/frames/{frame_list}",
    responses=success("The frames", MULTIPART_RELATED, OCTET_STREAM)
    | problems(
        HTTPStatus.NOT_MODIFIED,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def retrieve_frames(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
    frame_list: FrameList,
) -> Response:
    """Retrieve frames, as they are stored or decoded, each with its media type and transfer syntax.

    Stored frames come in the media type of their transfer syntax (`image/jls` and so on), also to a client
    that takes anything, or as `application/octet-stream; transfer-syntax=*`. `application/octet-stream` alone
    means decoded, little endian samples. A single frame can also be had without multipart around it.
    """
    frames = parse_frame_list(frame_list)
    uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
    (instance,) = await run_in_threadpool(find_instances, state.archive, *uids)
    if max(frames) > instance.number_of_frames:
        raise NotFound(f"there is no frame {max(frames)}, only 1 to {instance.number_of_frames}")
    offered = frame_representations(instance.transfer_syntax_uid)
    if len(frames) == 1:
        offered += [replace(one, multipart=False) for one in offered]
    chosen = acceptable.choose(offered)
    etag = make_etag(instance.location.sha256, chosen, *frames)
    if (answer := not_modified(request, etag, IMMUTABLE)) is not None:
        return answer
    answer = await _answer_frames(state, instance, frames, chosen, boundary=etag.strip('"'))
    answer.headers.update(cache_headers(etag, IMMUTABLE))
    return answer


async def _answer_frames(
    state: ViewerState,
    instance: StoredInstance,
    frames: Sequence[int],
    chosen: Representation,
    boundary: str,
) -> Response:
    media_type = multipart.content_type(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    if len(frames) > 1:
        parts = await primed_async(_parts(state, instance, frames, chosen, boundary))
        return StreamingResponse(parts, media_type=media_type)
    data = await _read_frame(state, instance, frames[0], chosen)
    if chosen.multipart:
        body = b"".join((*_part(data, chosen, boundary), multipart.closing(boundary)))
        return Response(body, media_type=media_type)
    return Response(data, media_type=str(chosen), headers={"Content-Disposition": "attachment"})


async def _parts(
    state: ViewerState,
    instance: StoredInstance,
    frames: Sequence[int],
    chosen: Representation,
    boundary: str,
) -> AsyncIterator[bytes]:
    for frame_number in frames:
        data = await _read_frame(state, instance, frame_number, chosen)
        yield b"".join(_part(data, chosen, boundary))
    yield multipart.closing(boundary)


def _part(data: bytes, chosen: Representation, boundary: str) -> tuple[bytes, bytes, bytes]:
    head = multipart.part_head(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    return head, data, b"\r\n"


async def _read_frame(
    state: ViewerState, instance: StoredInstance, frame_number: int, chosen: Representation
) -> bytes:
    if needs_decoding(instance.transfer_syntax_uid, chosen):
        return await state.decodes.run(partial(native_frame, state.archive, instance, frame_number))
    return await run_in_threadpool(stored_frame, state.archive, instance, frame_number)
