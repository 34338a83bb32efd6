"""The pages: study list and viewer, their files, and the study list's search."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from viewer_api.caching import cache_headers, make_etag, not_modified
from viewer_api.compression import HEADERS as GZIP_HEADERS
from viewer_api.compression import accepts_gzip, compress
from viewer_api.negotiation import AcceptableTypes
from viewer_api.openapi import STUDY_LIST_PARAMETERS
from viewer_api.problems import HttpProblem
from viewer_api.routes.search import RESPONSES as SEARCH_RESPONSES
from viewer_api.routes.search import answer_search
from viewer_api.search_params import parse_study_list
from viewer_api.state import State

WEB_DIRECTORY: Final = Path(__file__).resolve().parent.parent / "web"
_CACHE_CONTROL: Final = "no-cache"  # kept, and asked for again by its tag: an update shows at once
_COMPRESSIBLE: Final = ("text/", "application/json", "image/svg+xml")
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

router = APIRouter(tags=["Viewer"], default_response_class=Response)


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file of the pages, in memory; ``compressed`` is None where gzip gains nothing."""

    content: bytes
    compressed: bytes | None
    media_type: str
    etag: str


@cache
def web_files() -> Mapping[str, WebFile]:
    """Read the pages' files, by their paths below the folder; no other path leads to a file.

    They are read once: a new version comes with a new process.
    """
    return {
        path.relative_to(WEB_DIRECTORY).as_posix(): _read(path)
        for path in sorted(WEB_DIRECTORY.rglob("*"))
        if path.is_file()
    }


@router.get("/", include_in_schema=False)
async def study_list(request: Request) -> Response:
    """Show the study list."""
    return _answer_file(request, "index.html")


@router.get("/viewer/", include_in_schema=False)
async def viewer(request: Request) -> Response:
    """Show the viewer; which study it shows is in the query, for the page's script to read."""
    return _answer_file(request, "viewer.html")


@router.get("/viewer", include_in_schema=False)
async def viewer_without_slash(request: Request) -> Response:
    """Lead to the viewer, relative to the address that the browser used."""
    query = request.url.query
    return RedirectResponse("viewer/" + (f"?{query}" if query else ""), HTTPStatus.PERMANENT_REDIRECT)


@router.get("/static/{path:path}", include_in_schema=False)
async def static_file(request: Request, path: str) -> Response:
    """Send a file of the pages."""
    return _answer_file(request, path)


@router.get(
    "/api/studies",
    responses=SEARCH_RESPONSES,
    openapi_extra=STUDY_LIST_PARAMETERS,
)
def list_studies(request: Request, state: State, acceptable: AcceptableTypes) -> Response:
    """List studies, newest first, as the study list shows them.

    `q` is what was typed: each word must be the beginning of a word of the patient's name or the study
    description, of the patient ID, of the accession number, or of a procedure code; blind to case and
    diacritics. The keys of a search for studies can be added. The answer is that of a search for studies.
    """
    search = parse_study_list(request.query_params.multi_items())
    return answer_search(request, state, acceptable, search)


def _answer_file(request: Request, path: str) -> Response:
    file = web_files().get(path)
    if file is None:
        raise HttpProblem(HTTPStatus.NOT_FOUND, "there is no such page")
    if (answer := not_modified(request, file.etag, _CACHE_CONTROL)) is not None:
        return answer
    headers = cache_headers(file.etag, _CACHE_CONTROL) | {"Vary": "Accept-Encoding"}
    if file.compressed is not None and accepts_gzip(request):
        return Response(file.compressed, headers=headers | GZIP_HEADERS, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _read(path: Path) -> WebFile:
    content = path.read_bytes()
    guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    media_type = _MEDIA_TYPES.get(path.suffix, guessed)
    compressed = compress(content) if media_type.startswith(_COMPRESSIBLE) else None
    return WebFile(content, compressed, media_type, make_etag(content.hex()))
