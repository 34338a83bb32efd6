"""Keeping metadata and thumbnails of series ready: made when a series is quiet, removed when it is gone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event
from typing import Final

from pacs.archive import Archive
from pacs.errors import ArchiveError, IndexUnavailable
from pacs.metadata.keys import KEY_PREFIX as METADATA_PREFIX
from pacs.metadata.keys import parse_metadata_key
from pacs.metadata.series import keep_series_metadata
from pacs.pictures.pictures import Pictures
from pacs.pictures.thumbnail_keeping import keep_series_thumbnails
from pacs.pictures.thumbnails import KEY_PREFIX as THUMBNAIL_PREFIX
from pacs.pictures.thumbnails import parse_thumbnail_key
from storage.errors import StoreError
from storage.store import ObjectStat

_log = logging.getLogger(__name__)

_EVERY_S: Final = 5.0
_RETRY_AFTER_S: Final = 30.0
_BATCH_SIZE: Final = 5000  # instances
_LOOK_BACK: Final = 20_000  # instances: what may have come while no worker ran
_SHARE: Final = 0.25  # of one processor's time, so that ingest does not feel it
_KEYS_AT_A_TIME: Final = 500


def keep_series_ready(archive: Archive, stop: Event) -> None:
    """Keep metadata and thumbnails of each series that comes to rest ready, until ``stop`` is set.

    Where this worker stands is not written down. What it passes over is kept when it is first asked for.
    """
    cursor: int | None = None
    while not stop.is_set():
        try:
            if cursor is None:
                cursor = max(archive.index.newest_instance() - _LOOK_BACK, 0)
            cursor = keep_settled(archive, cursor, stop)
            stop.wait(_EVERY_S)
        except (IndexUnavailable, StoreError) as error:
            _log.warning("series could not be made ready and will be tried again: %s", error)
            stop.wait(_RETRY_AFTER_S)


def keep_settled(archive: Archive, cursor: int, stop: Event) -> int:
    """Keep metadata and thumbnails of the quiet series behind a cursor ready; return where to go on.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    pictures = Pictures(archive)
    while not stop.is_set():
        quiet_since = datetime.now(UTC) - timedelta(seconds=archive.settings.metadata_after_s)
        settled = archive.index.list_settled_series(cursor, quiet_since, _BATCH_SIZE)
        if settled.cursor == cursor:
            break
        for study_instance_uid, series_instance_uid in settled.uids:
            _keep(archive, pictures, study_instance_uid, series_instance_uid, stop)
        cursor = settled.cursor
    return cursor


def drop_orphaned(archive: Archive, stop: Event) -> int:
    """Remove what is kept of series that are not there any more, or in another format; return how many.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    dropped = 0
    for prefix, parse in _KEPT:
        for batch in _batches(archive.store.list(prefix)):
            if stop.is_set():
                break
            names = {stat.key: parse(stat.key) for stat in batch}
            known = archive.index.known_series(name[1] for name in names.values() if name is not None)
            for key in (key for key, name in names.items() if name not in known):
                archive.store.delete(key)
                dropped += 1
    return dropped


def _keep(
    archive: Archive, pictures: Pictures, study_instance_uid: str, series_instance_uid: str, stop: Event
) -> None:
    begin = time.monotonic()
    try:
        _keep_metadata(archive, study_instance_uid, series_instance_uid)
        keep_series_thumbnails(archive, pictures, study_instance_uid, series_instance_uid)
    except IndexUnavailable:
        raise
    except ArchiveError as error:
        _log.warning("series %s could not be made ready: %s", series_instance_uid, error)
    stop.wait((time.monotonic() - begin) * (1 / _SHARE - 1))


def _keep_metadata(archive: Archive, study_instance_uid: str, series_instance_uid: str) -> None:
    for contents in archive.index.list_series_contents(study_instance_uid, series_instance_uid):
        keep_series_metadata(archive, contents)


def _batches(stats: Iterable[ObjectStat]) -> Iterator[list[ObjectStat]]:
    source = iter(stats)
    while batch := list(islice(source, _KEYS_AT_A_TIME)):
        yield batch


_KEPT: Final[Sequence[tuple[str, Callable[[str], tuple[str, str] | None]]]] = (
    (METADATA_PREFIX, parse_metadata_key),
    (THUMBNAIL_PREFIX, parse_thumbnail_key),
)
