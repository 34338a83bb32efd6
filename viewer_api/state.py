"""What the routes of one process share, and how they reach it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Annotated, Final, TypeAlias, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Path, Request, Response
from pydantic import AfterValidator

from pacs.archive import Archive
from pacs.dicom.uids import MAX_UID_LENGTH, parse_uid
from pacs.dicomweb_urls import DICOM_WEB_PATH, DicomWebUrls
from pacs.pictures.pictures import Pictures
from viewer_api.forwarded import PUBLIC_URL
from viewer_api.ohif.installation import OhifFolder
from viewer_api.problems import HttpProblem

MAX_WAITING_DECODES: Final = 256
MAX_UPLOADS: Final = 32
MAX_FOLLOWERS: Final = 32

_T = TypeVar("_T")

# Either ready, or made when it is its turn to decode: its first piece takes that.
Answer: TypeAlias = Response | Callable[[], Response]


class DecodeQueue:
    """Bounds how many images are decoded at a time; the others wait without holding a thread."""

    def __init__(self, at_a_time: int = 2 * (os.cpu_count() or 1)) -> None:
        self._limiter = CapacityLimiter(at_a_time)

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do ``work`` in a thread when it is its turn.

        Raises
        ------
        HttpProblem
            503: too many are waiting already.
        """
        if self._limiter.statistics().tasks_waiting >= MAX_WAITING_DECODES:
            raise HttpProblem(HTTPStatus.SERVICE_UNAVAILABLE, "too many images are being decoded; try again")
        return await to_thread.run_sync(work, limiter=self._limiter)

    async def finish(self, answer: Answer) -> Response:
        """Make an answer that is not ready in a thread when it is its turn. Raises what ``run`` raises."""
        return answer if isinstance(answer, Response) else await self.run(answer)

    async def iterate(self, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Make each of the chunks of an answer, which takes decoding, in a thread when it is its turn."""
        try:
            while (chunk := await to_thread.run_sync(next, chunks, None, limiter=self._limiter)) is not None:
                yield chunk
        finally:
            if isinstance(chunks, Generator):  # what it holds open is let go when nobody listens any more
                chunks.close()


@dataclass(frozen=True, slots=True)
class ViewerState:
    """What the routes of one process share."""

    archive: Archive
    ohif: OhifFolder
    pictures: Pictures
    decodes: DecodeQueue = field(default_factory=DecodeQueue)
    # An upload holds its thread for as long as its sender takes; these are not the threads that answer.
    uploads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MAX_UPLOADS))
    # Who waits for changes looks for them now and then.
    followers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MAX_FOLLOWERS))

    # As the proxy of this request says that clients reach this server; None: as the settings say.
    forwarded_url: str | None = None

    @property
    def urls(self) -> DicomWebUrls:
        """Addresses as clients reach them."""
        public_url = self.forwarded_url or self.archive.settings.resolved_public_url
        return DicomWebUrls(public_url + DICOM_WEB_PATH)


def viewer_state(request: Request) -> ViewerState:
    """Return what the routes share, with addresses as the sender of this request reaches them."""
    state: ViewerState = request.app.state.viewer
    forwarded_url = request.scope.get(PUBLIC_URL)
    return replace(state, forwarded_url=forwarded_url) if forwarded_url else state


async def _state(request: Request) -> ViewerState:
    return viewer_state(request)


State = Annotated[ViewerState, Depends(_state)]


def _uid(name: str) -> object:
    return Path(description=f"{name}, digits and dots (PS3.5 9.1)", max_length=MAX_UID_LENGTH + 16)


StudyUid = Annotated[str, AfterValidator(parse_uid), _uid("Study Instance UID")]
SeriesUid = Annotated[str, AfterValidator(parse_uid), _uid("Series Instance UID")]
InstanceUid = Annotated[str, AfterValidator(parse_uid), _uid("SOP Instance UID")]

STUDY_PATH: Final = "/studies/{study_instance_uid}"
SERIES_PATH: Final = STUDY_PATH + "/series/{series_instance_uid}"
INSTANCE_PATH: Final = SERIES_PATH + "/instances/{sop_instance_uid}"
