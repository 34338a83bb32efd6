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
from starlette.responses import StreamingResponse

from pacs.errors import ArchiveError, PixelsUnavailable
from pacs.pictures.rendering import Rendering
from storage.errors import ObjectNotFound
from viewer_api import multipart
from viewer_api.caching import REVALIDATED, cache_headers, etag_of, not_modified
from viewer_api.pictures import ShownFrame
from viewer_api.retrieve_request import RetrieveRequest
from viewer_api.streaming import primed_async

_BATCH: Final = 4  # a picture may take less time than handing it to a thread
_BATCHES_AHEAD: Final = 3

_Drawn: TypeAlias = tuple[ShownFrame, bytes | Exception]


async def answer_pictures(
    asked: RetrieveRequest, shown: Sequence[ShownFrame], rendering: Rendering, *, all_or_nothing: bool
) -> Response:
    """Answer with pictures as ``multipart/related``, in order, or with 304.

    Parameters
    ----------
    all_or_nothing
        Whether a picture that cannot be made ends the answer; else it is left out.

    Raises
    ------
    pacs.errors.PixelsUnavailable
        There is none. What the first picture raises, if all or nothing is wanted.
    """
    digest = hashlib.sha256("".join(rendering.digest(*one) for one in shown).encode())
    etag = etag_of(digest.hexdigest())
    if (answer := not_modified(asked.request, etag, REVALIDATED)) is not None:
        return answer
    boundary = etag.strip('"')
    parts = await primed_async(_parts(asked, shown, rendering, boundary, all_or_nothing))
    media_type = multipart.content_type(boundary, rendering.media_type)
    return StreamingResponse(parts, headers=cache_headers(etag, REVALIDATED), media_type=media_type)


async def _parts(
    asked: RetrieveRequest,
    shown: Sequence[ShownFrame],
    rendering: Rendering,
    boundary: str,
    all_or_nothing: bool,
) -> AsyncIterator[bytes]:
    refusal: Exception = PixelsUnavailable("there are no images")
    is_empty = True
    async for drawn in _drawn_ahead(asked, shown, rendering):
        parts = []
        for (instance, frame_number), picture in drawn:
            if isinstance(picture, Exception):
                refusal = picture
                if all_or_nothing:
                    raise refusal
                continue
            uids = instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid
            location = f"{asked.state.urls.instance(*uids)}/frames/{frame_number}/rendered"
            head = multipart.part_head(boundary, rendering.media_type, location=location)
            parts.append(head + picture + b"\r\n")
        if parts:
            yield b"".join(parts)
            is_empty = False
    if is_empty:
        raise refusal
    yield multipart.closing(boundary)


async def _drawn_ahead(
    asked: RetrieveRequest, shown: Sequence[ShownFrame], rendering: Rendering
) -> AsyncIterator[list[_Drawn]]:
    """Draw batches in threads, some ahead of what is sent, and give them in their order."""
    batches = _batches(shown)
    pending: deque[asyncio.Task[list[_Drawn]]] = deque()
    try:
        while True:
            for batch in islice(batches, _BATCHES_AHEAD - len(pending)):
                draw = partial(_draw_batch, asked, batch, rendering)
                pending.append(asyncio.create_task(asked.state.decodes.run(draw)))
            if not pending:
                return
            yield await pending.popleft()
    finally:
        for task in pending:  # nobody listens any more, or an error was told
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _draw_batch(asked: RetrieveRequest, batch: Iterable[ShownFrame], rendering: Rendering) -> list[_Drawn]:
    return [(one, _draw(asked, one, rendering)) for one in batch]


def _draw(asked: RetrieveRequest, shown: ShownFrame, rendering: Rendering) -> bytes | Exception:
    try:
        return asked.state.pictures.draw(*shown, rendering)
    except (ArchiveError, ObjectNotFound) as error:
        return error


def _batches(shown: Sequence[ShownFrame]) -> Iterator[Sequence[ShownFrame]]:
    return (shown[start : start + _BATCH] for start in range(0, len(shown), _BATCH))
