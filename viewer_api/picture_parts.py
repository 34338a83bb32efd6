"""Many pictures in one answer, which begins while they are being made."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final, TypeAlias

from fastapi import Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pacs.errors import (
    ArchiveError,
    DecodingInterrupted,
    DecodingUnavailable,
    IndexUnavailable,
    PixelsUnavailable,
)
from pacs.pictures.presentations import show_presented
from pacs.pictures.rendering import ShownFrame
from storage.errors import ObjectNotFound
from viewer_api import multipart
from viewer_api.caching import REVALIDATED, cache_headers, etag_of, not_modified
from viewer_api.retrieve_request import RetrieveRequest
from viewer_api.streaming import primed_async

_BATCH: Final = 4  # a picture may take less time than handing it to a thread
_BATCHES_AHEAD: Final = 3

# A part that is left out is kept out by every cache: none is for what may be well again in a moment.
_PASSING: Final = (DecodingInterrupted, DecodingUnavailable, IndexUnavailable)

_Drawn: TypeAlias = tuple[ShownFrame, bytes | Exception]


async def answer_pictures(
    asked: RetrieveRequest, shown: Sequence[ShownFrame], media_type: str, *, all_or_nothing: bool
) -> Response:
    """Answer with pictures of one media type as ``multipart/related``, in order, or with 304.

    Parameters
    ----------
    all_or_nothing
        Whether a picture that cannot be made ends the answer; else it is left out, unless the next attempt
        may succeed.

    Raises
    ------
    pacs.errors.PixelsUnavailable
        There is none.
    Exception
        What the first picture raises, if all or nothing is wanted or it may succeed later.
    """
    etag = await run_in_threadpool(_make_etag, shown)
    if (answer := not_modified(asked.request, etag, REVALIDATED)) is not None:
        return answer
    boundary = etag.strip('"')
    parts = await primed_async(_parts(asked, shown, boundary, all_or_nothing))
    headers = cache_headers(etag, REVALIDATED)
    return StreamingResponse(parts, headers=headers, media_type=multipart.content_type(boundary, media_type))


def _make_etag(shown: Sequence[ShownFrame]) -> str:
    return etag_of(hashlib.sha256("".join(one.digest for one in shown).encode()).hexdigest())


async def _parts(
    asked: RetrieveRequest,
    shown: Sequence[ShownFrame],
    boundary: str,
    all_or_nothing: bool,
) -> AsyncIterator[bytes]:
    refusal: Exception = PixelsUnavailable("there are no images")
    is_empty = True
    async for drawn in _drawn_ahead(asked, shown):
        parts = []
        for one, picture in drawn:
            if isinstance(picture, Exception):
                refusal = picture
                if all_or_nothing:
                    raise refusal
                continue
            parts.append(_part_head(asked, one, boundary) + picture + b"\r\n")
        if parts:
            yield b"".join(parts)
            is_empty = False
    if is_empty:
        raise refusal
    yield multipart.closing(boundary)


def _part_head(asked: RetrieveRequest, shown: ShownFrame, boundary: str) -> bytes:
    one = shown.instance
    address = asked.state.urls.instance(one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid)
    location = f"{address}/frames/{shown.frame_number}/rendered"
    return multipart.part_head(boundary, shown.rendering.media_type, location=location)


async def _drawn_ahead(asked: RetrieveRequest, shown: Sequence[ShownFrame]) -> AsyncIterator[list[_Drawn]]:
    """Draw batches in threads, some ahead of what is sent, and give them in their order."""
    batches = _batches(shown)
    pending: deque[asyncio.Task[list[_Drawn]]] = deque()
    try:
        while True:
            for batch in islice(batches, _BATCHES_AHEAD - len(pending)):
                draw = partial(_draw_batch, asked, batch)
                pending.append(asyncio.create_task(asked.state.decodes.run(draw)))
            if not pending:
                return
            yield await pending.popleft()
    finally:
        for task in pending:  # nobody listens any more, or an error was told
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _draw_batch(asked: RetrieveRequest, batch: Iterable[ShownFrame]) -> list[_Drawn]:
    return [(one, _draw(asked, one)) for one in batch]


def _draw(asked: RetrieveRequest, shown: ShownFrame) -> bytes | Exception:
    try:
        return asked.state.pictures.draw(show_presented(asked.archive, shown))
    except _PASSING:
        raise
    except (ArchiveError, ObjectNotFound) as error:
        return error


def _batches(shown: Sequence[ShownFrame]) -> Iterator[Sequence[ShownFrame]]:
    return (shown[start : start + _BATCH] for start in range(0, len(shown), _BATCH))
