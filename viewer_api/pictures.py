"""Pictures as answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.index.records import StoredInstance
from pacs.pictures.rendering import Rendering
from viewer_api.caching import cache_headers, etag_of, not_modified
from viewer_api.retrieve_request import RetrieveRequest

ShownFrame: TypeAlias = tuple[StoredInstance, int]  # and the number of its frame, 1-based

# To hand a smaller image to another thread takes about as long as to draw it.
_SMALL_IMAGE_BYTES: Final = 1 << 20


async def answer_picture(
    asked: RetrieveRequest, find: Callable[[], ShownFrame], rendering: Rendering, cache_control: str
) -> Response:
    """Answer with a picture, or with 304 before anything of the object is read.

    Parameters
    ----------
    find
        Looks for what is to be shown; it may take a while, and raises what is to be told.
    """
    if asked.can_find_at_once():
        known = _answer_from_memory(asked, find(), rendering, cache_control)
        if known is not None:
            return known
    answer = await run_in_threadpool(_answer_at_once, asked, find, rendering, cache_control)
    if isinstance(answer, Response):
        return answer
    instance, frame_number = answer
    make = partial(asked.state.pictures.make, instance, frame_number, rendering)
    picture = await asked.state.decodes.run(make)
    return _answer(picture, rendering, etag_of(rendering.digest(instance, frame_number)), cache_control)


def _answer_from_memory(
    asked: RetrieveRequest, shown: ShownFrame, rendering: Rendering, cache_control: str
) -> Response | None:
    """Answer what the client knows, or what is in memory; None where there is more to do."""
    instance, frame_number = shown
    key = rendering.digest(instance, frame_number)
    if (answer := not_modified(asked.request, etag_of(key), cache_control)) is not None:
        return answer
    picture = asked.state.pictures.find_in_memory(instance, key)
    return None if picture is None else _answer(picture, rendering, etag_of(key), cache_control)


def _answer_at_once(
    asked: RetrieveRequest, find: Callable[[], ShownFrame], rendering: Rendering, cache_control: str
) -> Response | ShownFrame:
    """Answer what is known, kept, or small, without waiting for a turn; else tell what is to be shown."""
    shown = find()
    if (answer := _answer_from_memory(asked, shown, rendering, cache_control)) is not None:
        return answer
    instance, frame_number = shown
    key = rendering.digest(instance, frame_number)
    picture = asked.state.pictures.find(instance, key)
    if picture is None and _is_small(instance):
        picture = asked.state.pictures.make(instance, frame_number, rendering)
    return shown if picture is None else _answer(picture, rendering, etag_of(key), cache_control)


def _is_small(instance: StoredInstance) -> bool:
    syntax = TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    is_compressed = syntax.encapsulated or syntax.deflated
    return not is_compressed and instance.location.size_bytes <= _SMALL_IMAGE_BYTES


def _answer(picture: bytes, rendering: Rendering, etag: str, cache_control: str) -> Response:
    return Response(picture, headers=cache_headers(etag, cache_control), media_type=rendering.media_type)
