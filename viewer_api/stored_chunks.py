"""The bytes of an object as it is stored, on their way into an answer."""

from __future__ import annotations

from collections.abc import Iterator

from pacs.archive import Archive
from pacs.index.records import StoredInstance
from pacs.retrieve import open_file, read_chunks
from viewer_api.streaming import Chunk, FilePart


def stored_chunks(
    archive: Archive, instance: StoredInstance, offset: int = 0, size_bytes: int | None = None
) -> Iterator[Chunk]:
    """Give an instance as it is stored, or a part of it: by its file, where it lies in one.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    size_bytes = instance.location.size_bytes if size_bytes is None else size_bytes
    file = open_file(archive, instance)
    if file is None:
        yield from read_chunks(archive, instance, offset, size_bytes)
    else:
        yield FilePart(file, offset, size_bytes)
