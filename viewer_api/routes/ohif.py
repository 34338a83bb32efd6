"""OHIF where an operator has installed it, and how to where nobody has."""

from __future__ import annotations

import gzip
from http import HTTPStatus
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from viewer_api.caching import IMMUTABLE, cache_headers, make_etag, not_modified
from viewer_api.compression import HEADERS as GZIP_HEADERS
from viewer_api.compression import accepts_gzip
from viewer_api.media_types import JSON
from viewer_api.ohif.installation import Installation
from viewer_api.ohif.rewriting import PAGE, PAGE_PATH, is_content_name
from viewer_api.openapi import success
from viewer_api.problems import HttpProblem
from viewer_api.routes.viewer import web_files
from viewer_api.state import State

_NOT_INSTALLED_PAGE: Final = "ohif-missing.html"
_PAGE_CACHE_CONTROL: Final = "no-cache"
# What OHIF cannot do without: WebAssembly, workers and styles that it makes as it goes, PDF and video as
# blobs. Scripts and requests stay with this server, also those that OHIF would send elsewhere.
PAGE_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "font-src 'self' data:; connect-src 'self' blob: data:; object-src 'self' blob:; frame-src 'self' blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
# A worker has the policy of its own file, not of the page; the decoders' glue code makes functions of texts.
FILE_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; connect-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'self'"
)

router = APIRouter(tags=["Viewer"], default_response_class=Response)


@router.get("/api/viewers", responses=success("What studies can be opened with", JSON))
def list_viewers(state: State) -> Response:
    """Tell which viewers can be opened besides the one of this archive: `ohif`, its version or null."""
    installation = state.ohif.installed()
    version = None if installation is None else installation.version
    return Response(orjson.dumps({"ohif": version}), media_type=JSON)


@router.get("/ohif", include_in_schema=False)
async def ohif_without_slash(request: Request) -> Response:
    """Lead to OHIF, relative to the address that the browser used."""
    query = request.url.query
    return RedirectResponse("ohif/" + (f"?{query}" if query else ""), HTTPStatus.PERMANENT_REDIRECT)


@router.get(PAGE_PATH + "{path:path}", include_in_schema=False)
def ohif(request: Request, state: State, path: str) -> Response:
    """Send a file of OHIF, or its page for every other path: it is the page that knows its own paths."""
    installation = state.ohif.installed()
    if installation is None:
        return Response(
            web_files()[_NOT_INSTALLED_PAGE].content,
            HTTPStatus.NOT_FOUND,
            media_type="text/html; charset=utf-8",
        )
    folder, _, file = path.partition("/")
    if not is_content_name(folder):
        return _answer_file(request, installation, PAGE, _PAGE_CACHE_CONTROL, PAGE_SECURITY_POLICY)
    if folder != installation.content_name or file not in installation.files:
        raise HttpProblem(HTTPStatus.NOT_FOUND, "OHIF has no such file; it was installed anew, perhaps")
    return _answer_file(request, installation, file, IMMUTABLE, FILE_SECURITY_POLICY)


def _answer_file(
    request: Request, installation: Installation, path: str, cache_control: str, security_policy: str
) -> Response:
    headers = {"Content-Security-Policy": security_policy}
    etag = make_etag(installation.content_name, path, security_policy)
    if (answer := not_modified(request, etag, cache_control)) is not None:
        answer.headers.update(headers)
        return answer
    file = installation.files[path]
    try:
        content = installation.read(path)
    except FileNotFoundError as error:
        raise HttpProblem(
            HTTPStatus.SERVICE_UNAVAILABLE, "OHIF is being installed anew; try again"
        ) from error
    headers |= cache_headers(etag, cache_control) | {"Vary": "Accept-Encoding"}
    if file.is_compressed and accepts_gzip(request):
        headers |= GZIP_HEADERS
    elif file.is_compressed:
        content = gzip.decompress(content)
    return Response(content, headers=headers, media_type=file.media_type)
