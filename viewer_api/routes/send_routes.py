"""Routes: rules that send studies to a peer as they come."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from pacs.errors import PeerChangesNotAllowed
from pacs.index.known_routes import KnownRoute
from pacs.routes import MOST_CONDITIONS, MOST_LENGTH, MOST_PRIORS, MOST_QUIET_S, check_route
from pacs.sending import MOST_PRIORITY
from viewer_api.media_types import JSON
from viewer_api.openapi import problems, success
from viewer_api.state import State, ViewerState

_PATH: Final = "/routes/{name}"

router = APIRouter(
    tags=["Routes"],
    default_response_class=Response,
    responses=problems(HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
)
Name = Annotated[
    str,
    Path(
        description="Letters, digits, points, - and _", max_length=64, pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$"
    ),
]
Condition = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=MOST_LENGTH)], ...], Field(max_length=MOST_CONDITIONS)
]


class RouteBody(BaseModel):
    """A route: of each list one has to fit, of an empty one anything does; `*` and `?` are wildcards."""

    model_config = ConfigDict(extra="forbid")

    ae_title: str = Field(max_length=64, description="The peer that gets the studies")
    modalities: Condition = ()
    calling_ae_titles: Condition = Field(default=(), description="Of the senders")
    station_names: Condition = ()
    body_parts: Condition = ()
    institutions: Condition = ()
    hours: str | None = Field(default=None, max_length=255, description="Only what comes then: 22:00-05:00")
    quiet_s: int = Field(default=60, ge=0, le=MOST_QUIET_S, description="Sent when nothing came for so long")
    priority: int = Field(default=0, ge=-MOST_PRIORITY, le=MOST_PRIORITY, description="The highest first")
    priors: int = Field(
        default=0,
        ge=0,
        le=MOST_PRIORS,
        description="When one is ordered: so many previous studies",
    )
    fetches: bool = Field(default=False, description="The previous studies come from the peer")


@router.get("/routes", responses=success("The routes, by their names", JSON))
def list_routes(state: State) -> Response:
    """List the rules by which studies are sent to peers."""
    routes = [_to_json(route) for route in state.archive.index.routes.list_all()]
    return Response(orjson.dumps({"routes": routes}), media_type=JSON)


@router.get(_PATH, responses=success("The route", JSON) | problems(HTTPStatus.NOT_FOUND))
def get_route(state: State, name: Name) -> Response:
    """Tell the peer and the conditions of a route."""
    return Response(orjson.dumps(_to_json(state.archive.index.routes.find(name))), media_type=JSON)


@router.put(
    _PATH,
    responses={
        **success("The route was changed", JSON),
        HTTPStatus.CREATED.value: {"description": "The route was added", "content": {JSON: {}}},
        **problems(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND),
    },
)
def put_route(state: State, name: Name, body: RouteBody) -> Response:
    """Add a route, for what comes from now on, or put what is sent in its place.

    Needs the setting ALLOW_PEER_CHANGES. The worker heeds it within two seconds.
    """
    _require_changes_allowed(state)
    route = check_route(KnownRoute(name, **body.model_dump()))
    state.archive.index.peers.find(route.ae_title)
    is_new = state.archive.index.routes.put(route, datetime.now(UTC))
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return Response(orjson.dumps(_to_json(route)), status, media_type=JSON)


@router.delete(
    _PATH,
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND),
)
def delete_route(state: State, name: Name) -> Response:
    """Remove a route; send jobs that it made go on. Needs the setting ALLOW_PEER_CHANGES."""
    _require_changes_allowed(state)
    state.archive.index.routes.remove(name)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _require_changes_allowed(state: ViewerState) -> None:
    if not state.archive.settings.allow_peer_changes:
        raise PeerChangesNotAllowed(
            "routes are changed by 'filmless routes' only; ALLOW_PEER_CHANGES of the settings is off"
        )


def _to_json(route: KnownRoute) -> dict[str, Any]:
    return {name: value for name, value in asdict(route).items() if name != "created_at"}
