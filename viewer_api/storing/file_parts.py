"""DICOM files in the parts of a request: stored while the next ones arrive, several at a time.

An instance is acknowledged when its object and its row are on the disk. Those that are stored at the same
moment share these flushes, so that a request of many instances does not wait for each of them in turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from pacs.archive import Archive
from pacs.errors import ArchiveError, UnreadableInstance
from pacs.ingest import IncomingInstance, Origin, StoreOutcome, open_part10, store_instance
from pacs.ledger.entries import Door
from storage.errors import StoreError
from storage.store import Buffer
from viewer_api.media_types import DICOM, parse_media_type
from viewer_api.multipart import MalformedMultipart, Part
from viewer_api.store_report import Failure

STOW: Final = Origin(Door.STOW)

_AT_A_TIME: Final = 4  # of one request; each holds a small instance in memory
_SMALL_BYTES: Final = 1 << 20  # what is larger is stored while it arrives
_UNENCODED: Final = ("", "binary", "8bit", "7bit", "identity")

_Result: TypeAlias = StoreOutcome | Failure
_storing = ThreadPoolExecutor(16, "stow")  # of the requests of this process together


class _UnderWay(NamedTuple):
    """A part that is being stored; where it names no instance, nothing was begun."""

    uid: str | None
    result: Future[_Result]


def store_file_parts(
    archive: Archive, parts: Iterable[Part], study_instance_uid: str | None
) -> Generator[_Result, None, None]:
    """Store part after part; yield what became of each, in their order.

    Several contents of one instance are stored one after the other, as they come.

    Raises
    ------
    MalformedMultipart
        Once what became of the parts before was told.
    """
    under_way: deque[_UnderWay] = deque()
    try:
        yield from _store_parts(archive, parts, study_instance_uid, under_way)
    except MalformedMultipart:
        yield from (one.result.result() for one in under_way)
        raise
    finally:
        wait(one.result for one in under_way)  # a request that ends in any other way leaves nothing running


def _store_parts(
    archive: Archive,
    parts: Iterable[Part],
    study_instance_uid: str | None,
    under_way: deque[_UnderWay],
) -> Iterator[_Result]:
    for part in parts:
        begin, is_whole = _read_beginning(part.chunks)
        opened = _open_part(Part(part.headers, chain(begin, part.chunks)), study_instance_uid)
        uid = opened.sop_instance_uid
        while len(under_way) >= (_AT_A_TIME if is_whole else 1) or any(one.uid == uid for one in under_way):
            yield under_way.popleft().result.result()
        if is_whole:
            under_way.append(_UnderWay(uid, _storing.submit(_store_opened, archive, opened)))
        else:
            yield _store_opened(archive, opened)
    while under_way:
        yield under_way.popleft().result.result()


def _read_beginning(chunks: Iterator[Buffer]) -> tuple[list[Buffer], bool]:
    """Read a part if it is small; tell whether that is all of it."""
    begin: list[Buffer] = []
    left = _SMALL_BYTES
    for chunk in chunks:
        begin.append(chunk)
        left -= len(chunk)
        if left < 0:
            return begin, False
    return begin, True


def _open_part(part: Part, study_instance_uid: str | None) -> IncomingInstance | Failure:
    try:
        require_unencoded(part)
        media_type = parse_media_type(part.headers.get("content-type", DICOM))
        if media_type is None or media_type.name != DICOM:
            raise UnreadableInstance(f"a part is not {DICOM}")
        return replace(open_part10(part.chunks), study_instance_uid=study_instance_uid)
    except MalformedMultipart:
        raise
    except ArchiveError as error:
        return Failure(error)


def _store_opened(archive: Archive, opened: IncomingInstance | Failure) -> _Result:
    if isinstance(opened, Failure):
        return opened
    try:
        return store_instance(archive, opened, STOW)
    except MalformedMultipart:
        raise
    except (ArchiveError, StoreError) as error:
        return Failure(error, opened.sop_class_uid, opened.sop_instance_uid)


def require_unencoded(part: Part) -> None:
    """Refuse a part that is encoded. Raises UnreadableInstance."""
    encodings = (part.headers.get(name, "") for name in ("content-transfer-encoding", "content-encoding"))
    if any(encoding.lower() not in _UNENCODED for encoding in encodings):
        raise UnreadableInstance("a part is encoded")
