"""The one map from what can go wrong to what an HTTP client is told: problem details (RFC 9457)."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from pacs.errors import (
    ArchiveError,
    DecodingUnavailable,
    DeletedInstance,
    DeletionNotAllowed,
    DuplicateInstance,
    ImpossibleState,
    IndexUnavailable,
    InvalidRequest,
    MatchDecisionsNotAllowed,
    NotFound,
    ObjectTooLarge,
    OrderBegun,
    OrderChanged,
    PeerChangesNotAllowed,
    PeerRefused,
    PixelsUnavailable,
    SopClassMismatch,
    UndecodablePixels,
    UnreadableInstance,
    UnsupportedSopClass,
    UnsupportedTransferSyntax,
)
from storage.errors import ObjectNotFound, StoreError, StoreFull, StoreUnavailable

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 5

_log = logging.getLogger(__name__)


class HttpProblem(Exception):
    """A refusal that only HTTP knows of. ``members`` extend the problem details (RFC 9457 3.2)."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members


class NotAcceptable(HttpProblem):
    """The client accepts nothing of what there is; ``available`` tells what that is."""

    def __init__(self, available: Sequence[str]) -> None:
        super().__init__(
            HTTPStatus.NOT_ACCEPTABLE,
            "nothing that is acceptable to the client is available here",
            available=list(available),
        )


class _Answer(NamedTuple):
    status: HTTPStatus
    detail: str | None = None  # None: the error's own message


# The first that fits counts. Messages of the store and the index may name disks and hosts: nobody's business.
_ANSWERS: tuple[tuple[type[Exception], _Answer], ...] = (
    (NotFound, _Answer(HTTPStatus.NOT_FOUND)),
    (InvalidRequest, _Answer(HTTPStatus.BAD_REQUEST)),
    (UnreadableInstance, _Answer(HTTPStatus.BAD_REQUEST)),
    (SopClassMismatch, _Answer(HTTPStatus.CONFLICT)),
    (UnsupportedSopClass, _Answer(HTTPStatus.CONFLICT)),
    (DuplicateInstance, _Answer(HTTPStatus.CONFLICT)),
    (DeletedInstance, _Answer(HTTPStatus.CONFLICT)),
    (OrderBegun, _Answer(HTTPStatus.CONFLICT)),
    (ImpossibleState, _Answer(HTTPStatus.CONFLICT)),
    (OrderChanged, _Answer(HTTPStatus.PRECONDITION_FAILED)),
    (DeletionNotAllowed, _Answer(HTTPStatus.FORBIDDEN)),
    (PeerChangesNotAllowed, _Answer(HTTPStatus.FORBIDDEN)),
    (MatchDecisionsNotAllowed, _Answer(HTTPStatus.FORBIDDEN)),
    (PeerRefused, _Answer(HTTPStatus.FORBIDDEN)),
    (ObjectTooLarge, _Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)),
    (UndecodablePixels, _Answer(HTTPStatus.UNPROCESSABLE_ENTITY)),
    (PixelsUnavailable, _Answer(HTTPStatus.NOT_ACCEPTABLE)),
    (UnsupportedTransferSyntax, _Answer(HTTPStatus.NOT_ACCEPTABLE)),
    (
        DecodingUnavailable,
        _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "no image can be decoded; try again later"),
    ),
    (IndexUnavailable, _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "the index does not answer; try again later")),
    (StoreFull, _Answer(HTTPStatus.INSUFFICIENT_STORAGE, "there is no space left; try again later")),
    (StoreUnavailable, _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "the store does not answer; try again later")),
    (ObjectNotFound, _Answer(HTTPStatus.GONE, "the index knows this object and the store does not have it")),
)


def problem_response(
    status: int, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """Make an answer of problem details; its type is ``about:blank``, so the title is the status phrase."""
    content = {"title": HTTPStatus(status).phrase, "status": int(status), **members}
    if detail:
        content["detail"] = detail
    return Response(orjson.dumps(content), status, dict(headers or {}), PROBLEM_JSON)


def status_of(error: Exception) -> HTTPStatus | None:
    """Translate an error of the archive or the store; None for any other."""
    answer = _find_answer(error)
    return answer and answer.status


def code_location(error: BaseException) -> str:
    """Name type and place of an unexpected error; its message may hold anything and is never logged."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place


def _find_answer(error: Exception) -> _Answer | None:
    return next((answer for kind, answer in _ANSWERS if isinstance(error, kind)), None)


def _retry_headers(status: int) -> dict[str, str]:
    later = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE)
    return {"Retry-After": str(RETRY_AFTER_S)} if status in later else {}


async def _answer_error(request: Request, error: ArchiveError | StoreError) -> Response:
    answer = _find_answer(error)
    if answer is None:
        raise error
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, ObjectNotFound):
        _log.error("%s %s", request.method, code_location(error))
    detail = str(error) if answer.detail is None else answer.detail
    return problem_response(answer.status, detail, headers=_retry_headers(answer.status))


async def _answer_problem(request: Request, error: HttpProblem) -> Response:
    headers = {**_retry_headers(error.status), **error.headers}
    return problem_response(error.status, error.detail, headers=headers, **error.members)


async def _answer_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer what the framework refuses; its own words may repeat the client's, so they are left out."""
    return problem_response(error.status_code, headers=error.headers)


async def _answer_validation_error(request: Request, error: RequestValidationError) -> Response:
    names = sorted({str(one["loc"][-1]) for one in error.errors() if one["loc"]})
    return problem_response(HTTPStatus.BAD_REQUEST, f"not of the right form: {', '.join(names)}")


async def _answer_nobody(request: Request, error: ClientDisconnect) -> Response:
    """Answer a client that is gone; nobody reads it."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


# Every error that is raised on purpose; the others are the middleware's.
EXCEPTION_HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    ArchiveError: _answer_error,
    StoreError: _answer_error,
    HttpProblem: _answer_problem,
    HTTPException: _answer_http_exception,
    RequestValidationError: _answer_validation_error,
    ClientDisconnect: _answer_nobody,
}
