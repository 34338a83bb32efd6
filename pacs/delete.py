"""Deleting on purpose: out of the index and into the ledger in one transaction, out of the store later.

A crash at any point leaves one of two states: everything as it was, or deleted for good. What is still in the
store then is removed by the worker (``pacs/jobs/removal.py``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Final

from pacs.adoption import scan_object
from pacs.archive import Archive
from pacs.errors import DeletionNotAllowed, NotFound
from pacs.index.records import InstanceRecord
from pacs.ingest import Origin

_AT_A_TIME: Final = 1000  # instances in a transaction


def delete_instances(
    archive: Archive,
    study_instance_uid: str,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> int:
    """Delete a study, a series or an instance, with every content that was ever sent of each instance.

    Returns
    -------
    int
        How many instances there were.

    Raises
    ------
    pacs.errors.DeletionNotAllowed
        The settings do not allow it.
    pacs.errors.NotFound
        There are none.
    pacs.errors.IndexUnavailable
        Of more than a thousand instances some may be deleted; the same again deletes the rest.
    """
    if not archive.settings.allow_delete:
        raise DeletionNotAllowed("this archive does not delete; ALLOW_DELETE of its settings is off")
    uids = [uid for uid in (study_instance_uid, series_instance_uid, sop_instance_uid) if uid is not None]
    at = datetime.now(UTC)
    number = found = archive.index.delete_instances(uids, at, partial(read_left, archive), _AT_A_TIME)
    while found == _AT_A_TIME:
        found = archive.index.delete_instances(uids, at, partial(read_left, archive), _AT_A_TIME)
        number += found
    if not number:
        raise NotFound("there is no such study, series or instance")
    return number


def read_left(archive: Archive, key: str) -> InstanceRecord:
    """Read the header of an object that stays, so that it says what its study is.

    Raises
    ------
    pacs.errors.UnreadableInstance, storage.errors.StoreError
    """
    return scan_object(archive, key, archive.store.stat(key).size_bytes, Origin(None))
