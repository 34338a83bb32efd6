"""Removing from the store what was deleted, when its time is over."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Final

from pacs.archive import Archive
from pacs.dicom.object_keys import parse_key
from pacs.errors import ArchiveError
from pacs.index.tombstones import Tombstone
from pacs.pictures.pictures import drop_pictures
from storage.errors import StoreError

_log = logging.getLogger(__name__)

_EVERY_S: Final = 60.0
_BATCH_SIZE: Final = 20  # removed well before a claim ends


def remove_deleted(archive: Archive, stop: Event, keep: timedelta) -> int:
    """Remove the objects of what was deleted longer ago than ``keep``; return how many.

    Safe to run at any time, by several workers, and again after a crash: what is removed already is success.
    An object that came again since its deletion stays. With an object go the pictures of it that this machine
    keeps.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    removed = 0
    while not stop.is_set():
        now = datetime.now(UTC)
        claimed = archive.index.claim_removals(now - keep, now, _BATCH_SIZE)
        if not claimed:
            break
        removed += _remove(archive, claimed)
        archive.index.mark_removed(claimed, datetime.now(UTC))
    return removed


def _remove(archive: Archive, batch: Sequence[Tombstone]) -> int:
    living = archive.index.living_object_keys([one.sop_instance_uid for one in batch])
    names = {parse_key(key) for key in living}
    removed = 0
    for one in batch:
        if one.key in living:
            continue
        if parse_key(one.key) in names:
            archive.store.drop_copy(one.key)  # the same content lies elsewhere now, and is wanted there
        else:
            archive.store.delete(one.key)
            _drop_what_was_made(archive, one.key)
        removed += 1
    return removed


def _drop_what_was_made(archive: Archive, key: str) -> None:
    name = parse_key(key)
    if name is not None:
        drop_pictures(archive, name)


def keep_removing(archive: Archive, stop: Event) -> None:
    """Remove what is due now and then until ``stop`` is set; what is away is tried again."""
    keep = timedelta(hours=archive.settings.delete_keep_hours)
    while not stop.wait(_EVERY_S):
        try:
            removed = remove_deleted(archive, stop, keep)
        except (ArchiveError, StoreError) as error:
            _log.warning("deleted objects could not be removed and will be tried again: %s", error)
            continue
        if removed:
            _log.info("%d deleted objects removed from the store", removed)
