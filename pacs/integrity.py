"""Whether an object is what was stored: read again, and compared by size and SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Final

from pacs.archive import Archive
from storage.errors import StoreFull
from storage.store import ObjectStore

_READ_SIZE_BYTES: Final = 1024**2


def is_whole(
    store: ObjectStore,
    key: str,
    size_bytes: int | None,
    sha256: str,
    go_on: Callable[[int], bool] = lambda _: True,
    *,
    from_disk: bool = True,
) -> bool:
    """Read an object, and compare it.

    Parameters
    ----------
    size_bytes, sha256
        What it has to have. Where the size is not known, the digest is enough.
    go_on
        Called with the size of each piece read; where it says no, the object counts as damaged.
    from_disk
        Do not take the word of the system's memory for a file of this machine, nor leave it there.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreError
    """
    digest, read_bytes = hashlib.sha256(), 0
    with store.open(key) as stream:
        if from_disk:
            _drop_cached(stream)
        while piece := stream.read(_READ_SIZE_BYTES):
            digest.update(piece)
            read_bytes += len(piece)
            if not go_on(len(piece)):
                break
        if from_disk:
            _drop_cached(stream)
    return size_bytes in (None, read_bytes) and digest.hexdigest() == sha256


def require_store(archive: Archive) -> None:
    """Prove that the store answers: what cannot be read although it does is a fault of the object.

    Raises
    ------
    storage.errors.StoreUnavailable
    """
    store = archive.store if archive.spool is None else archive.spool.remote
    with suppress(StoreFull):
        store.check()


def _drop_cached(stream: BinaryIO) -> None:
    """Let a file be read from the disk instead of from memory, and not push others out of memory after it."""
    with suppress(OSError):  # not a file of this machine
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
