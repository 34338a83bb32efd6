"""What the services can do: Retrieve Capabilities (PS3.18 8.9)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response

from pacs.dicomweb_urls import DICOM_WEB_PATH
from viewer_api.capabilities import WADL, describe, to_wadl
from viewer_api.media_types import JSON
from viewer_api.negotiation import AcceptableTypes, Representation
from viewer_api.openapi import problems, success
from viewer_api.state import State

_REPRESENTATIONS: Final = (Representation(WADL), Representation(JSON))

router = APIRouter(tags=["Capabilities"], default_response_class=Response)


@router.options("", include_in_schema=False)
@router.options(
    "/",
    responses=success("A Capabilities Description (PS3.18 Annex H)", WADL, JSON)
    | problems(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_ACCEPTABLE),
)
async def retrieve_capabilities(request: Request, state: State, acceptable: AcceptableTypes) -> Response:
    """Describe all resources below, their methods, media types and query parameters."""
    chosen = acceptable.choose(_REPRESENTATIONS).media_type
    application = describe(request.app.openapi(), DICOM_WEB_PATH, state.urls.base)
    content = to_wadl(application) if chosen == WADL else orjson.dumps({"application": application})
    return Response(content, media_type=chosen)
