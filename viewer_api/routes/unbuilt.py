"""Services of the Standard that this server does not have yet: told as 501, not as a missing page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Response

from viewer_api.openapi import NOT_OFFERED, problems
from viewer_api.problems import problem_response

_RESOURCES: Final = (
    ("GET", "/workitems"),  # UPS-RS, PS3.18 11
    ("POST", "/workitems"),
    ("GET", "/workitems/{workitem}"),
    ("POST", "/workitems/{workitem}"),
    ("PUT", "/workitems/{workitem}/state"),
    ("GET", "/modality-scheduled-procedure-steps"),  # MWL-RS
)


def _answer_unbuilt() -> Response:
    """Tell that this service is not offered."""
    return problem_response(HTTPStatus.NOT_IMPLEMENTED, "this server does not have this service")


def _unbuilt_router() -> APIRouter:
    router = APIRouter(tags=[NOT_OFFERED])
    for method, path in _RESOURCES:
        router.add_api_route(
            path,
            _answer_unbuilt,
            methods=[method],
            status_code=HTTPStatus.NOT_IMPLEMENTED,
            response_class=Response,
            responses=problems(HTTPStatus.NOT_IMPLEMENTED),
        )
    return router


router = _unbuilt_router()
