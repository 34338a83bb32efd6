"""Frames and instances straight from their files, where there is nothing to find out.

A viewer asks for hundreds of frames with the same words. What goes around one depends on its content and on
these words alone, and is remembered: between such a request and the file stands only a look at whether the
index still knows the instance. All else, and all that goes wrong, is left to the routes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from pacs.archive import Archive
from pacs.dicomweb_urls import DICOM_WEB_PATH
from pacs.errors import ArchiveError
from pacs.index.records import StoredInstance
from pacs.retrieve import knows_pixels, open_file
from storage.errors import StoreError
from viewer_api.file_answer import FileAnswer
from viewer_api.negotiation import acceptable_of
from viewer_api.outgoing_answer import OutgoingAnswer
from viewer_api.problems import HttpProblem
from viewer_api.repeated_requests import Again
from viewer_api.routes.frames import plan_stored_frame
from viewer_api.routes.retrieve import plan_stored_instance
from viewer_api.zero_copy import FILE_ANSWER

_PATH: Final = re.compile(
    rf"{DICOM_WEB_PATH}/studies/([0-9.]{{1,64}})/series/([0-9.]{{1,64}})/instances/([0-9.]{{1,64}})"
    r"(?:/frames/([1-9][0-9]{0,8}))?",
    re.ASCII,
)
# What an answer depends on besides the Accept field: for the routes, and what stands around them.
_CONDITIONS: Final = frozenset({b"if-none-match", b"if-range", b"origin", b"range"})
_MAX_ACCEPT_LENGTH: Final = 256  # more is remembered of nobody
_REMEMBERED: Final = 4096


class DirectAnswers:
    """Answers in place of the routes where it can at once; it stands right before them.

    The whole answer is one message of :mod:`viewer_api.zero_copy`, which all that stands before passes on.
    """

    def __init__(self, app: ASGIApp, archive: Archive) -> None:
        self.app = app
        self._archive = archive
        self._plan = lru_cache(_REMEMBERED)(self._make_plan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        find = self._read(scope) if FILE_ANSWER in scope.get("extensions", ()) else None
        answer = find(scope["path"]) if find is not None else None
        if answer is None:
            await self.app(scope, receive, send)
        else:
            await send({"type": FILE_ANSWER, "answer": answer, "again": find})

    def _read(self, scope: Scope) -> Again | None:
        """Read what the answers to a request and its like depend on; None where they are for the routes."""
        accept = _read_accept(scope)
        return None if accept is None else partial(self._find, accept)

    def _find(self, accept: str, path: str) -> OutgoingAnswer | None:
        """Find an answer, and open its file; None where the routes have to look."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        *uids, frame = match.groups()
        try:
            return self._find_known(uids, int(frame or 0), accept)
        except (ArchiveError, StoreError, HttpProblem):
            return None

    def _find_known(self, uids: Sequence[str], frame_number: int, accept: str) -> OutgoingAnswer | None:
        known = self._archive.index.known_instances(*uids)
        if known is None or (frame_number and not knows_pixels(known[0])):
            return None
        answer = self._plan(_Content(known[0]), frame_number, accept)
        file = None if answer is None else open_file(self._archive, known[0])
        return None if answer is None or file is None else answer.outgoing(file)

    def _make_plan(self, content: _Content, frame_number: int, accept: str) -> FileAnswer | None:
        acceptable = acceptable_of(accept)
        if frame_number:
            return plan_stored_frame(self._archive, content.instance, frame_number, acceptable)
        return plan_stored_instance(content.instance, acceptable)


class _Content:
    """An instance for which any other of the same content will do."""

    __slots__ = ("instance", "sha256")

    def __init__(self, instance: StoredInstance) -> None:
        self.instance = instance
        self.sha256 = instance.location.sha256

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)


def _read_accept(scope: Scope) -> str | None:
    """Read the Accept header fields as one; None where the request is no simple GET, or says more."""
    if scope["method"] != "GET" or scope["query_string"]:
        return None
    accepts = []
    for name, value in scope["headers"]:
        if name in _CONDITIONS:
            return None
        if name == b"accept":
            accepts.append(value.decode("latin-1"))
    accept = ",".join(accepts)
    return accept if len(accept) <= _MAX_ACCEPT_LENGTH else None
