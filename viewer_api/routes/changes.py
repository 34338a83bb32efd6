"""The feed of changes, for systems that follow the archive: a HIS, a mirror."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Annotated, Any, Final

import anyio
import orjson
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from pacs.changes import MAX_CHANGES, Action, Change, ChangePage, read_changes
from viewer_api.media_types import JSON
from viewer_api.openapi import problems
from viewer_api.state import State, ViewerState

MAX_WAIT_S: Final = 60
_DEFAULT_LIMIT: Final = 1000
_MAX_SEQUENCE: Final = 2**53 - 1  # what every reader of JSON can count to
_LOOK_EVERY_S: Final = 1.0

_CHANGE_SCHEMA: Final = {
    "type": "object",
    "required": ["sequence", "at", "action", "study_instance_uid"],
    "properties": {
        "sequence": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
        "action": {"type": "string", "enum": [action.value for action in Action]},
        "study_instance_uid": {"type": "string"},
        "series_instance_uid": {"type": "string", "description": "Absent where the whole study is meant"},
        "sop_instance_uid": {"type": "string", "description": "Absent where the whole study is meant"},
    },
}
_PAGE_SCHEMA: Final = {
    "type": "object",
    "required": ["changes", "last"],
    "properties": {
        "changes": {"type": "array", "items": _CHANGE_SCHEMA},
        "last": {"type": "integer", "description": "Pass it as `since` to read on"},
    },
}
_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    HTTPStatus.OK.value: {
        "description": "What changed, oldest first",
        "content": {JSON: {"schema": _PAGE_SCHEMA}},
    }
}
router = APIRouter(tags=["Changes"], default_response_class=Response)


@router.get(
    "/changes",
    responses=_ANSWER | problems(HTTPStatus.BAD_REQUEST, HTTPStatus.GONE, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def get_changes(
    request: Request,
    state: State,
    since: Annotated[
        int, Query(ge=0, le=_MAX_SEQUENCE, description="`last` of the page before; 0 from the beginning")
    ] = 0,
    limit: Annotated[
        int, Query(ge=1, le=MAX_CHANGES, description="Entries to look at; not each is a change")
    ] = _DEFAULT_LIMIT,
    wait: Annotated[
        int,
        Query(
            ge=0,
            le=MAX_WAIT_S,
            description="Seconds to wait where there is nothing new yet; not where too many wait already",
        ),
    ] = 0,
) -> Response:
    """Tell what changed behind `since`: instances stored, changed and deleted, studies changed.

    Numbers are never given twice and none is skipped, also with many writers at a time: whoever keeps `last`
    sees each change exactly once. They stay the same when the index is made again from the store. Where
    `last` is not `since` there may be more.
    """
    page = await run_in_threadpool(read_changes, state.archive, since, limit)
    if page.last == since and wait and state.followers.available_tokens:
        async with state.followers:
            page = await _await_changes(request, state, since, limit, wait)
    content = {"changes": [_to_json(change) for change in page.changes], "last": page.last}
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), media_type=JSON)


async def _await_changes(
    request: Request, state: ViewerState, since: int, limit: int, wait_s: int
) -> ChangePage:
    deadline = time.monotonic() + wait_s
    while True:
        await anyio.sleep(min(_LOOK_EVERY_S, max(deadline - time.monotonic(), 0)))
        page = await run_in_threadpool(read_changes, state.archive, since, limit)
        if page.last != since or time.monotonic() >= deadline or await request.is_disconnected():
            return page


def _to_json(change: Change) -> dict[str, Any]:
    written: dict[str, Any] = {
        "sequence": change.sequence,
        "at": change.at,
        "action": change.action,
        "study_instance_uid": change.study_instance_uid,
    }
    if change.series_instance_uid is not None:
        written["series_instance_uid"] = change.series_instance_uid
    if change.sop_instance_uid is not None:
        written["sop_instance_uid"] = change.sop_instance_uid
    return written
