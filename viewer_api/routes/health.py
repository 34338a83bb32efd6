"""For the supervisor, the container and the load balancer: does this process live, and can it work."""

from __future__ import annotations

from http import HTTPStatus

import orjson
from fastapi import APIRouter, Response

from viewer_api.media_types import JSON
from viewer_api.openapi import problems, success
from viewer_api.state import State

router = APIRouter(tags=["Health"], default_response_class=Response)


@router.get("/health", responses=success("The process answers", JSON))
async def health() -> Response:
    """Tell that this process lives."""
    return Response(orjson.dumps({"status": "ok"}), media_type=JSON)


@router.get(
    "/ready",
    responses=success("Index and store can be used", JSON)
    | problems(HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE),
)
def ready(state: State) -> Response:
    """Tell whether index and object store can be used now; the store is written to, to be sure."""
    state.archive.index.check()
    state.archive.store.check()
    return Response(orjson.dumps({"status": "ready"}), media_type=JSON)
