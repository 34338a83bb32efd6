"""A content that lies in packs twice, as what is sent again does: the second copy goes or mends the first."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from pacs.archive import Archive
from pacs.integrity import is_whole
from storage.errors import ObjectNotFound, StoreUnavailable

_log = logging.getLogger(__name__)


def settle_second_copy(archive: Archive, sop_instance_uid: str, sha256: str, copy_key: str) -> bool:
    """Delete an intact copy if the archive has the same bytes elsewhere; else let it take their place.

    Where each content has one key for ever, the two are one object. What is not intact is left where it lies.
    Tells whether the copy is gone.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreUnavailable
    """
    keys = archive.index.object_keys(sop_instance_uid, sha256)
    if copy_key in keys:
        return False
    for key in keys:
        try:
            intact = is_intact(archive, key, sha256)
        except StoreUnavailable:
            if archive.spool is not None:  # the remote store may be away
                continue
            intact = False  # a bad sector: the store has just taken, or given, the copy
        if intact:
            archive.store.drop_copy(copy_key)
            return True
        archive.index.move_object(key, copy_key, datetime.now(UTC))
        _log.error("an object was missing or damaged and is replaced by its second copy: %s", key)
        return False
    return False


def is_intact(archive: Archive, key: str, sha256: str) -> bool:
    """Read an object whole; tell whether it is there and has this digest. Raises StoreUnavailable."""
    try:
        return is_whole(archive.store, key, None, sha256, from_disk=False)
    except ObjectNotFound:
        return False
